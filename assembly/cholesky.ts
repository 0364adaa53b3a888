/** Cholesky factors and inverses of matrices that a cache holds: factors by columns from the left, four rows and two numbers at a time. */

/** Lower triangle of H [n x n] := L, H = L L'; false where a pivot is not positive. What is above the diagonal is left as it is. */
export function choleskySmall(H: usize, n: i32): bool {
  const stride = n << 3;
  for (let j = 0; j < n; j++) {
    const row = H + j * stride;
    const at = row + (j << 3);
    const pivot = load<f64>(at) - product(row, row, j);
    if (!(pivot > 0)) return false;
    const root = Math.sqrt(pivot);
    store<f64>(at, root);
    let i = j + 1;
    for (; i + 3 < n; i += 4) below(row, H + i * stride, stride, j, root);
    for (; i < n; i++) {
      const to = H + i * stride;
      store<f64>(to + (j << 3), (load<f64>(to + (j << 3)) - product(row, to, j)) / root);
    }
  }
  return true;
}

/** H [n x n] := its inverse, given its lower triangle, with room for another at `room`; false where a pivot is not positive. */
export function inverseSmall(H: usize, n: i32, room: usize): bool {
  if (!choleskySmall(H, n)) return false;
  const stride = n << 3;
  memory.fill(room, 0, n * stride);
  for (let i = 0; i < n; i++) {
    const row = H + i * stride;
    const to = room + i * stride;
    const diagonal = load<f64>(row + (i << 3));
    for (let k = 0; k < i; k++) add(-load<f64>(row + (k << 3)) / diagonal, room + k * stride, to, k + 1);
    store<f64>(to + (i << 3), 1 / diagonal);
  }
  memory.fill(H, 0, n * stride);
  for (let k = 0; k < n; k++) {
    const row = room + k * stride;
    for (let i = 0; i <= k; i++) add(load<f64>(row + (i << 3)), row, H + i * stride, i + 1);
  }
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) store<f64>(H + j * stride + (i << 3), load<f64>(H + i * stride + (j << 3)));
  }
  return true;
}

/** `to` += factor a, `size` numbers. */
// @ts-ignore: decorator
@inline
function add(factor: f64, a: usize, to: usize, size: i32): void {
  const x = f64x2.splat(factor);
  const end: usize = (size & ~1) << 3;
  for (let p: usize = 0; p < end; p += 16) {
    v128.store(to + p, f64x2.add(v128.load(to + p), f64x2.mul(x, v128.load(a + p))));
  }
  if (size & 1) store<f64>(to + end, load<f64>(to + end) + factor * load<f64>(a + end));
}

/** Column j of four rows at `to`. */
// @ts-ignore: decorator
@inline
function below(row: usize, to: usize, stride: i32, j: i32, root: f64): void {
  let s0 = f64x2.splat(0), s1 = f64x2.splat(0), s2 = f64x2.splat(0), s3 = f64x2.splat(0);
  const r1 = to + stride;
  const r2 = r1 + stride;
  const r3 = r2 + stride;
  const end: usize = (j & ~1) << 3;
  for (let p: usize = 0; p < end; p += 16) {
    const x = v128.load(row + p);
    s0 = f64x2.add(s0, f64x2.mul(x, v128.load(to + p)));
    s1 = f64x2.add(s1, f64x2.mul(x, v128.load(r1 + p)));
    s2 = f64x2.add(s2, f64x2.mul(x, v128.load(r2 + p)));
    s3 = f64x2.add(s3, f64x2.mul(x, v128.load(r3 + p)));
  }
  const rest = j & 1 ? load<f64>(row + end) : 0;
  finish(to, s0, rest, end, j, root);
  finish(r1, s1, rest, end, j, root);
  finish(r2, s2, rest, end, j, root);
  finish(r3, s3, rest, end, j, root);
}

// @ts-ignore: decorator
@inline
function finish(row: usize, sums: v128, rest: f64, end: usize, j: i32, root: f64): void {
  let sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
  if (j & 1) sum += rest * load<f64>(row + end);
  store<f64>(row + (j << 3), (load<f64>(row + (j << 3)) - sum) / root);
}

/** a'b of `size` numbers. */
// @ts-ignore: decorator
@inline
function product(a: usize, b: usize, size: i32): f64 {
  let sums = f64x2.splat(0);
  const end: usize = (size & ~1) << 3;
  for (let p: usize = 0; p < end; p += 16) sums = f64x2.add(sums, f64x2.mul(v128.load(a + p), v128.load(b + p)));
  const sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
  return size & 1 ? sum + load<f64>(a + end) * load<f64>(b + end) : sum;
}
