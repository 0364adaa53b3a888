/**
 * C += alpha A B with SIMD, A [m x k], B [k x n], all strides free; A, or both, may be masks instead. Matrices are in float64;
 * T, in which panels are packed and multiplied, may be float32: twice as fast, to some six digits.
 *
 * Goto's scheme (Goto and van de Geijn 2008): B is packed into panels of 4 columns, 8 in float32, A into panels of 4 rows, and
 * a micro-kernel keeps its eight accumulators in registers. Strides come in entries, pointers in bytes.
 *
 * An entry of C is the same sum in the same order whatever part of C a call is for, so that parts may go to several threads.
 */

import { kernel, wide } from "./kernel";
import { packA, packB, packBits, packMasked } from "./pack";

const ROWS: i32 = 64; // of A in one packed block: 64 x 256 doubles, 128 kB, about an L2 cache
const DEPTH: i32 = 256;
const COLUMNS: i32 = 512; // of B in one packed block: 256 x 512 doubles, 1 MB

/** Bytes of work space that `gemm` wants at `work`. */
export function gemmBytes(): i32 {
  return (ROWS * DEPTH + DEPTH * COLUMNS + 32) << 3;
}

/** What A and B are: matrices; masked columns of R (`packMasked`) and a matrix; or masks and masks (`packBits`, in float64 only). */
export const DENSE: i32 = 0;
export const MASKED: i32 = 1;
export const BITS: i32 = 2;

/**
 * With `lower`, entries of C above the diagonal are neither read nor written.
 *
 * MASKED: A is R [n x ?] by columns of length rsa, csa the address of the list of columns, and row 0 of the product is row
 * `row0` of the list. BITS: A is the address of the weights, row 0 is sample `row0`, column 0 sample `column0`, k counts gates.
 */
export function gemm<T>(
  source: i32, row0: i32, column0: i32,
  m: i32, n: i32, k: i32,
  A: usize, rsa: i32, csa: i32,
  B: usize, rsb: i32, csb: i32,
  C: usize, ldc: i32,
  alpha: f64, lower: bool, work: usize,
): void {
  const packedA = work;
  const packedB = work + ((ROWS * DEPTH) << 3);
  const tile = packedB + ((DEPTH * COLUMNS) << 3);
  for (let jc = 0; jc < n; jc += COLUMNS) {
    const nc = min(COLUMNS, n - jc);
    for (let pc = 0; pc < k; pc += DEPTH) {
      const kc = min(DEPTH, k - pc);
      if (source == BITS) packBits(nc, kc, column0 + jc, pc, 0, packedB);
      else packB<T>(kc, nc, B + ((pc * rsb + jc * csb) << 3), rsb, csb, packedB);
      for (let ic = lower ? jc / ROWS * ROWS : 0; ic < m; ic += ROWS) {
        const mc = min(ROWS, m - ic);
        if (source == DENSE) packA<T>(mc, kc, A + ((ic * rsa + pc * csa) << 3), rsa, csa, packedA);
        else if (source == MASKED) packMasked<T>(mc, kc, row0 + ic, pc, A, rsa, csa, packedA);
        else packBits(mc, kc, row0 + ic, pc, A, packedA);
        for (let j = 0; j < nc; j += wide<T>()) {
          const b = packedB + j * kc * sizeof<T>();
          const columns = min(wide<T>(), nc - j);
          for (let i = 0; i < mc; i += 4) {
            const row = ic + i;
            const column = jc + j;
            if (lower && row + 3 < column) continue;
            const a = packedA + i * kc * sizeof<T>();
            const rows = min(4, mc - i);
            const c = C + ((row * ldc + column) << 3);
            const whole = rows == 4 && columns == wide<T>() && (!lower || row >= column + columns - 1);
            if (!whole) memory.fill(tile, 0, 32 * wide<T>());
            kernel<T>(kc, a, b, whole ? c : tile, (whole ? ldc : wide<T>()) << 3, alpha);
            if (whole) continue;
            for (let r = 0; r < rows; r++) {
              for (let s = 0; s < columns; s++) {
                if (lower && row + r < column + s) continue;
                const at = c + ((r * ldc + s) << 3);
                store<f64>(at, load<f64>(at) + load<f64>(tile + ((r * wide<T>() + s) << 3)));
              }
            }
          }
        }
      }
    }
  }
}
