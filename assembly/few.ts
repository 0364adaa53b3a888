/** Products of few rows with a matrix that is read once, from where it lies: packing it would cost as much as the product. */

import { addFour, addMultiple, dot, dotFour, first, fourth, second, third } from "./vectors";

/** Rows up to which that is faster. */
export const FEW: i32 = 4;

/**
 * C [m x n] += alpha A B: A [m x k] by rows, B [k x n] by rows (csb = 1) or by columns (rsb = 1). An entry of C is the same sum
 * in the same order whatever part of C a call is for, as long as parts begin with a multiple of 4.
 */
export function multiplyFew(
  m: i32, n: i32, k: i32,
  A: usize, rsa: i32,
  B: usize, rsb: i32, csb: i32,
  C: usize, ldc: i32,
  alpha: f64,
): void {
  const byRows = csb == 1;
  const count = byRows ? k : n;
  const step = (byRows ? rsb : csb) << 3;
  for (let q = 0, taken = 4; q < count; q += taken) {
    if (count - q < 4) taken = 1;
    const b = B + q * step;
    const b1 = b + step;
    const b2 = b1 + step;
    const b3 = b2 + step;
    for (let i = 0; i < m; i++) {
      const a = A + ((i * rsa) << 3);
      const c = C + ((i * ldc) << 3);
      if (byRows) {
        const x = a + (q << 3);
        const first = alpha * load<f64>(x);
        if (taken == 1) addMultiple(first, b, c, n);
        else addFour(first, b, alpha * load<f64>(x, 8), b1, alpha * load<f64>(x, 16), b2, alpha * load<f64>(x, 24), b3, c, n);
        continue;
      }
      const y = c + (q << 3);
      if (taken == 1) {
        store<f64>(y, load<f64>(y) + alpha * dot(a, b, k));
        continue;
      }
      dotFour(b, b1, b2, b3, a, k);
      store<f64>(y, load<f64>(y) + alpha * first);
      store<f64>(y, load<f64>(y, 8) + alpha * second, 8);
      store<f64>(y, load<f64>(y, 16) + alpha * third, 16);
      store<f64>(y, load<f64>(y, 24) + alpha * fourth, 24);
    }
  }
}
