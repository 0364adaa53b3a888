/**
 * The two loops of L-BFGS over pairs in float32, on a vector in float64 (Nocedal 1980). Every pass does what two neighbours of the
 * recursion want: one vector joins q, and the product with the next is taken.
 */

/**
 * q [size] := H q. `pairs` [2 count] i32: where the steps s_k lie, oldest first, then the changes y_k of the gradient; `curvatures` [2 count]:
 * s_k'y_k, and room; the first H is a multiple of the diagonal `scales` [size]. Sizes are multiples of 4.
 */
export function twoLoops(pairs: usize, count: i32, curvatures: usize, scales: usize, q: usize, size: i32): void {
  const last = count - 1;
  let product = addAndMultiply(0, 0, q, move(pairs, last), size);
  for (let k = last; k >= 0; k--) {
    const share = product / load<f64>(curvatures + (k << 3));
    store<f64>(curvatures + ((count + k) << 3), share);
    product = addAndMultiply(-share, turn(pairs, count, k), q, k > 0 ? move(pairs, k - 1) : 0, size);
  }
  const bend = scaledSquare(scales, turn(pairs, count, last), size);
  scaleAll(load<f64>(curvatures + (last << 3)) / bend, scales, q, size);
  product = addAndMultiply(0, 0, q, turn(pairs, count, 0), size);
  for (let k = 0; k < count; k++) {
    const factor = load<f64>(curvatures + ((count + k) << 3)) - product / load<f64>(curvatures + (k << 3));
    product = addAndMultiply(factor, move(pairs, k), q, k < last ? turn(pairs, count, k + 1) : 0, size);
  }
}

/** The product of two vectors in float32, in float64. */
export function pairProduct(a: usize, b: usize, size: i32): f64 {
  let even = f64x2.splat(0);
  let odd = even;
  for (const end = a + (<usize>size << 2); a < end; a += 16, b += 16) {
    const x = v128.load(a);
    const y = v128.load(b);
    even = f64x2.add(even, f64x2.mul(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(y)));
    odd = f64x2.add(odd, f64x2.mul(high(x), high(y)));
  }
  return both(even, odd);
}

// @ts-ignore: decorator
@inline
function move(pairs: usize, k: i32): usize {
  return <usize>load<i32>(pairs + (k << 2));
}

// @ts-ignore: decorator
@inline
function turn(pairs: usize, count: i32, k: i32): usize {
  return <usize>load<i32>(pairs + ((count + k) << 2));
}

// @ts-ignore: decorator
@inline
function high(x: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 1));
}

// @ts-ignore: decorator
@inline
function both(even: v128, odd: v128): f64 {
  const sum = f64x2.add(even, odd);
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

/** q += factor a, where there is an a; then b'q, where there is a b. */
function addAndMultiply(factor: f64, a: usize, q: usize, b: usize, size: i32): f64 {
  const all = f64x2.splat(factor);
  let even = f64x2.splat(0);
  let odd = even;
  for (const end = q + (<usize>size << 3); q < end; q += 32) {
    let left = v128.load(q);
    let right = v128.load(q, 16);
    if (a != 0) {
      const x = v128.load(a);
      left = f64x2.add(left, f64x2.mul(all, f64x2.promote_low_f32x4(x)));
      right = f64x2.add(right, f64x2.mul(all, high(x)));
      v128.store(q, left);
      v128.store(q, right, 16);
      a += 16;
    }
    if (b != 0) {
      const y = v128.load(b);
      even = f64x2.add(even, f64x2.mul(left, f64x2.promote_low_f32x4(y)));
      odd = f64x2.add(odd, f64x2.mul(right, high(y)));
      b += 16;
    }
  }
  return both(even, odd);
}

/** q := factor scales q. */
function scaleAll(factor: f64, scales: usize, q: usize, size: i32): void {
  const all = f64x2.splat(factor);
  for (const end = q + (<usize>size << 3); q < end; q += 16, scales += 16) {
    v128.store(q, f64x2.mul(v128.load(q), f64x2.mul(all, v128.load(scales))));
  }
}

/** sum_p scales_p a_p^2. */
function scaledSquare(scales: usize, a: usize, size: i32): f64 {
  let even = f64x2.splat(0);
  let odd = even;
  for (const end = a + (<usize>size << 2); a < end; a += 16, scales += 32) {
    const x = v128.load(a);
    const left = f64x2.promote_low_f32x4(x);
    const right = high(x);
    even = f64x2.add(even, f64x2.mul(v128.load(scales), f64x2.mul(left, left)));
    odd = f64x2.add(odd, f64x2.mul(v128.load(scales, 16), f64x2.mul(right, right)));
  }
  return both(even, odd);
}
