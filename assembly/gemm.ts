/**
 * C += alpha A B in float64 with SIMD, A [m x k], B [k x n], all strides free: the one routine that the WASM engine is made of.
 *
 * Goto's scheme (Goto and van de Geijn 2008): B is packed into panels of 4 columns, A into panels of 4 rows, and a 4 x 4
 * micro-kernel keeps its eight accumulators in registers. Strides come in entries, pointers in bytes.
 */

const ROWS: i32 = 64; // of A in one packed block: 64 x 256 doubles, 128 kB, about an L2 cache
const DEPTH: i32 = 256;
const COLUMNS: i32 = 512; // of B in one packed block: 256 x 512 doubles, 1 MB

/** Bytes of work space that `gemm` wants at `work`. */
export function workBytes(): i32 {
  return (ROWS * DEPTH + DEPTH * COLUMNS + 16) << 3;
}

/** With `lower`, entries of C above the diagonal are neither read nor written. */
export function gemm(
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
      packB(kc, nc, B + ((pc * rsb + jc * csb) << 3), rsb, csb, packedB);
      for (let ic = lower ? jc / ROWS * ROWS : 0; ic < m; ic += ROWS) {
        const mc = min(ROWS, m - ic);
        packA(mc, kc, A + ((ic * rsa + pc * csa) << 3), rsa, csa, packedA);
        for (let j = 0; j < nc; j += 4) {
          const b = packedB + ((j * kc) << 3);
          const columns = min(4, nc - j);
          for (let i = 0; i < mc; i += 4) {
            const row = ic + i;
            const column = jc + j;
            if (lower && row + 3 < column) continue;
            const a = packedA + ((i * kc) << 3);
            const rows = min(4, mc - i);
            const c = C + ((row * ldc + column) << 3);
            if (rows == 4 && columns == 4 && (!lower || row >= column + 3)) {
              kernel(kc, a, b, c, ldc << 3, alpha);
            } else {
              memory.fill(tile, 0, 128);
              kernel(kc, a, b, tile, 32, alpha);
              for (let r = 0; r < rows; r++) {
                for (let s = 0; s < columns; s++) {
                  if (lower && row + r < column + s) continue;
                  const at = c + ((r * ldc + s) << 3);
                  store<f64>(at, load<f64>(at) + load<f64>(tile + ((r * 4 + s) << 3)));
                }
              }
            }
          }
        }
      }
    }
  }
}

/** Panels of 4 rows, each k after k; rows beyond the last are zero. */
function packA(mc: i32, kc: i32, A: usize, rsa: i32, csa: i32, out: usize): void {
  for (let i = 0; i < mc; i += 4) {
    const rows = min(4, mc - i);
    const from = A + ((i * rsa) << 3);
    if (rows == 4) {
      const a1 = rsa << 3;
      const a2 = a1 << 1;
      const a3 = a1 + a2;
      let at = from;
      for (let p = 0; p < kc; p++) {
        store<f64>(out, load<f64>(at));
        store<f64>(out, load<f64>(at + a1), 8);
        store<f64>(out, load<f64>(at + a2), 16);
        store<f64>(out, load<f64>(at + a3), 24);
        at += csa << 3;
        out += 32;
      }
    } else {
      for (let p = 0; p < kc; p++) {
        for (let r = 0; r < 4; r++) {
          store<f64>(out + (r << 3), r < rows ? load<f64>(from + ((r * rsa + p * csa) << 3)) : 0);
        }
        out += 32;
      }
    }
  }
}

/** Panels of 4 columns, each k after k; columns beyond the last are zero. */
function packB(kc: i32, nc: i32, B: usize, rsb: i32, csb: i32, out: usize): void {
  for (let j = 0; j < nc; j += 4) {
    const columns = min(4, nc - j);
    const from = B + ((j * csb) << 3);
    if (columns == 4 && csb == 1) {
      let at = from;
      for (let p = 0; p < kc; p++) {
        v128.store(out, v128.load(at));
        v128.store(out, v128.load(at, 16), 16);
        at += rsb << 3;
        out += 32;
      }
    } else if (columns == 4) {
      const b1 = csb << 3;
      const b2 = b1 << 1;
      const b3 = b1 + b2;
      let at = from;
      for (let p = 0; p < kc; p++) {
        store<f64>(out, load<f64>(at));
        store<f64>(out, load<f64>(at + b1), 8);
        store<f64>(out, load<f64>(at + b2), 16);
        store<f64>(out, load<f64>(at + b3), 24);
        at += rsb << 3;
        out += 32;
      }
    } else {
      for (let p = 0; p < kc; p++) {
        for (let s = 0; s < 4; s++) {
          store<f64>(out + (s << 3), s < columns ? load<f64>(from + ((p * rsb + s * csb) << 3)) : 0);
        }
        out += 32;
      }
    }
  }
}

/** C[4 x 4] += alpha sum_p a_p b_p'. */
// @ts-ignore: decorator
@inline
function kernel(kc: i32, a: usize, b: usize, c: usize, stride: usize, alpha: f64): void {
  let c00 = f64x2.splat(0), c01 = f64x2.splat(0);
  let c10 = f64x2.splat(0), c11 = f64x2.splat(0);
  let c20 = f64x2.splat(0), c21 = f64x2.splat(0);
  let c30 = f64x2.splat(0), c31 = f64x2.splat(0);
  for (let p = 0; p < kc; p++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load64_splat(a);
    c00 = f64x2.add(c00, f64x2.mul(x, b0));
    c01 = f64x2.add(c01, f64x2.mul(x, b1));
    x = v128.load64_splat(a, 8);
    c10 = f64x2.add(c10, f64x2.mul(x, b0));
    c11 = f64x2.add(c11, f64x2.mul(x, b1));
    x = v128.load64_splat(a, 16);
    c20 = f64x2.add(c20, f64x2.mul(x, b0));
    c21 = f64x2.add(c21, f64x2.mul(x, b1));
    x = v128.load64_splat(a, 24);
    c30 = f64x2.add(c30, f64x2.mul(x, b0));
    c31 = f64x2.add(c31, f64x2.mul(x, b1));
    a += 32;
    b += 32;
  }
  const scale = f64x2.splat(alpha);
  v128.store(c, f64x2.add(v128.load(c), f64x2.mul(scale, c00)));
  v128.store(c, f64x2.add(v128.load(c, 16), f64x2.mul(scale, c01)), 16);
  c += stride;
  v128.store(c, f64x2.add(v128.load(c), f64x2.mul(scale, c10)));
  v128.store(c, f64x2.add(v128.load(c, 16), f64x2.mul(scale, c11)), 16);
  c += stride;
  v128.store(c, f64x2.add(v128.load(c), f64x2.mul(scale, c20)));
  v128.store(c, f64x2.add(v128.load(c, 16), f64x2.mul(scale, c21)), 16);
  c += stride;
  v128.store(c, f64x2.add(v128.load(c), f64x2.mul(scale, c30)));
  v128.store(c, f64x2.add(v128.load(c, 16), f64x2.mul(scale, c31)), 16);
}

/** y [n] = X z for row-major X [n x d]. */
export function matvec(X: usize, n: i32, d: i32, z: usize, y: usize): void {
  const pairs = d & ~3;
  for (let i = 0; i < n; i++) {
    let even = f64x2.splat(0);
    let odd = f64x2.splat(0);
    let p = 0;
    for (; p < pairs; p += 4) {
      const at = p << 3;
      even = f64x2.add(even, f64x2.mul(v128.load(X + at), v128.load(z + at)));
      odd = f64x2.add(odd, f64x2.mul(v128.load(X + at, 16), v128.load(z + at, 16)));
    }
    const both = f64x2.add(even, odd);
    let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
    for (; p < d; p++) sum += load<f64>(X + (p << 3)) * load<f64>(z + (p << 3));
    store<f64>(y + (i << 3), sum);
    X += d << 3;
  }
}
