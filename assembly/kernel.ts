/** The micro-kernel of the product: eight accumulators that stay in registers. */

/** Columns of a panel of B packed in T: two registers of 16 bytes. */
// @ts-ignore: decorator
@inline
export function wide<T>(): i32 {
  return 32 / sizeof<T>();
}

/** a b + c on two or four lanes, with two roundings: relaxed SIMD would leave it to the host whether there is one, and so the weights. */
// @ts-ignore: decorator
@inline
export function multiplyAdd<T>(a: v128, b: v128, c: v128): v128 {
  return v128.add<T>(c, v128.mul<T>(a, b));
}

/** C[4 x wide] += alpha sum_p a_p b_p', with panels packed in T and C in float64. */
// @ts-ignore: decorator
@inline
export function kernel<T>(kc: i32, a: usize, b: usize, c: usize, stride: usize, alpha: f64): void {
  let c00 = f64x2.splat(0), c01 = f64x2.splat(0);
  let c10 = f64x2.splat(0), c11 = f64x2.splat(0);
  let c20 = f64x2.splat(0), c21 = f64x2.splat(0);
  let c30 = f64x2.splat(0), c31 = f64x2.splat(0);
  for (let p = 0; p < kc; p++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load_splat<T>(a);
    c00 = multiplyAdd<T>(x, b0, c00);
    c01 = multiplyAdd<T>(x, b1, c01);
    x = v128.load_splat<T>(a, sizeof<T>());
    c10 = multiplyAdd<T>(x, b0, c10);
    c11 = multiplyAdd<T>(x, b1, c11);
    x = v128.load_splat<T>(a, 2 * sizeof<T>());
    c20 = multiplyAdd<T>(x, b0, c20);
    c21 = multiplyAdd<T>(x, b1, c21);
    x = v128.load_splat<T>(a, 3 * sizeof<T>());
    c30 = multiplyAdd<T>(x, b0, c30);
    c31 = multiplyAdd<T>(x, b1, c31);
    a += 4 * sizeof<T>();
    b += 32;
  }
  const scale = f64x2.splat(alpha);
  add<T>(c, scale, c00, c01);
  c += stride;
  add<T>(c, scale, c10, c11);
  c += stride;
  add<T>(c, scale, c20, c21);
  c += stride;
  add<T>(c, scale, c30, c31);
}

/** A row of C += alpha times a row of accumulators. Not fused: an entry comes out the same whether it is added here or by way of a tile. */
// @ts-ignore: decorator
@inline
function add<T>(c: usize, scale: v128, left: v128, right: v128): void {
  if (sizeof<T>() == 8) {
    addPair(c, scale, left);
    addPair(c + 16, scale, right);
  } else {
    addPair(c, scale, f64x2.promote_low_f32x4(left));
    addPair(c + 16, scale, f64x2.promote_low_f32x4(v128.shuffle<i64>(left, left, 1, 1)));
    addPair(c + 32, scale, f64x2.promote_low_f32x4(right));
    addPair(c + 48, scale, f64x2.promote_low_f32x4(v128.shuffle<i64>(right, right, 1, 1)));
  }
}

// @ts-ignore: decorator
@inline
function addPair(c: usize, scale: v128, pair: v128): void {
  v128.store(c, f64x2.add(v128.load(c), f64x2.mul(scale, pair)));
}
