/** Sums and products of vectors in float64, two entries at a time, one or four vectors together. */

export function dot(a: usize, b: usize, length: i32): f64 {
  let even = f64x2.splat(0);
  let odd = f64x2.splat(0);
  const end = a + ((length & ~3) << 3);
  while (a < end) {
    even = f64x2.add(even, f64x2.mul(v128.load(a), v128.load(b)));
    odd = f64x2.add(odd, f64x2.mul(v128.load(a, 16), v128.load(b, 16)));
    a += 32;
    b += 32;
  }
  const both = f64x2.add(even, odd);
  let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  for (let p = length & 3; p > 0; p--) {
    sum += load<f64>(a) * load<f64>(b);
    a += 8;
    b += 8;
  }
  return sum;
}

/** What `dotFour` answers. */
export let first: f64 = 0;
export let second: f64 = 0;
export let third: f64 = 0;
export let fourth: f64 = 0;

/** The products of four rows of `length` with one vector. */
export function dotFour(a: usize, b: usize, c: usize, e: usize, y: usize, length: i32): void {
  let s0 = f64x2.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  const end = <usize>((length & ~1) << 3);
  let at: usize = (length & 2) << 3;
  if (at) {
    const value = v128.load(y);
    s0 = f64x2.mul(v128.load(a), value);
    s1 = f64x2.mul(v128.load(b), value);
    s2 = f64x2.mul(v128.load(c), value);
    s3 = f64x2.mul(v128.load(e), value);
  }
  for (; at < end; at += 32) {
    const value = v128.load(y + at);
    const next = v128.load(y + at, 16);
    const p = a + at;
    const q = b + at;
    const r = c + at;
    const t = e + at;
    s0 = f64x2.add(f64x2.add(s0, f64x2.mul(v128.load(p), value)), f64x2.mul(v128.load(p, 16), next));
    s1 = f64x2.add(f64x2.add(s1, f64x2.mul(v128.load(q), value)), f64x2.mul(v128.load(q, 16), next));
    s2 = f64x2.add(f64x2.add(s2, f64x2.mul(v128.load(r), value)), f64x2.mul(v128.load(r, 16), next));
    s3 = f64x2.add(f64x2.add(s3, f64x2.mul(v128.load(t), value)), f64x2.mul(v128.load(t, 16), next));
  }
  const last = length & 1 ? load<f64>(y + end) : 0;
  const tail = length & 1 ? end : 0;
  first = both(s0) + last * load<f64>(a + tail);
  second = both(s1) + last * load<f64>(b + tail);
  third = both(s2) + last * load<f64>(c + tail);
  fourth = both(s3) + last * load<f64>(e + tail);
}

// @ts-ignore: decorator
@inline
function both(pair: v128): f64 {
  return f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1);
}

/** y [length] += a A + b B + c C + e E. */
export function addFour(a: f64, A: usize, b: f64, B: usize, c: f64, C: usize, e: f64, E: usize, y: usize, length: i32): void {
  const a2 = f64x2.splat(a);
  const b2 = f64x2.splat(b);
  const c2 = f64x2.splat(c);
  const e2 = f64x2.splat(e);
  const end = <usize>((length & ~1) << 3);
  for (let at: usize = 0; at < end; at += 16) {
    const ab = f64x2.add(f64x2.mul(a2, v128.load(A + at)), f64x2.mul(b2, v128.load(B + at)));
    const ce = f64x2.add(f64x2.mul(c2, v128.load(C + at)), f64x2.mul(e2, v128.load(E + at)));
    v128.store(y + at, f64x2.add(v128.load(y + at), f64x2.add(ab, ce)));
  }
  if (length & 1) {
    const sum = a * load<f64>(A + end) + b * load<f64>(B + end) + (c * load<f64>(C + end) + e * load<f64>(E + end));
    store<f64>(y + end, load<f64>(y + end) + sum);
  }
}

/** y [length] += multiple x. */
export function addMultiple(multiple: f64, x: usize, y: usize, length: i32): void {
  const splat = f64x2.splat(multiple);
  const end = x + ((length & ~1) << 3);
  while (x < end) {
    v128.store(y, f64x2.add(v128.load(y), f64x2.mul(splat, v128.load(x))));
    x += 16;
    y += 16;
  }
  if (length & 1) store<f64>(y, load<f64>(y) + multiple * load<f64>(x));
}
