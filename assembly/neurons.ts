/**
 * Neurons that feed one output each, multiplied in float32: z += a(h) A with h = X W', a(h) = h where h > 0 and slope h elsewhere.
 *
 * Eight neurons of one output are a group. A tile of four samples and a group stays in registers from the product to the activations
 * and their sum; what is kept of it are the signs, one bit each. The way back makes G = X' (a'(h) N) of a group from these alone:
 * A G is the gradient in W, and since a is homogeneous w'G that in A.
 */

/** What a tile's products become: added to sums [size x 4], activations [size x 8], or the sums of these over all rows [8]. */
const SAID: i32 = 0;
export const KEPT: i32 = 1;
export const POOLED: i32 = 2;

/** Neurons of a group. */
export const GROUP: i32 = 8;
/** Rows whose pulls are made together; parts of the rows begin on multiples of it. */
export const NEURON_ROWS: i32 = 128;
/** Floats of X that should stay in a cache from one group to the next. */
const CACHED: i32 = 1 << 15;

/** What a layer says of itself, in 32-bit integers that lie together. */
const X_AT: usize = 0; // panels [stride x 4] of four rows, float32; rows and stride multiples of 4, what fills up is zero
const ROWS: usize = 4;
const COLUMNS: usize = 8;
const STRIDE: usize = 12; // floats
const GROUPS: usize = 16;
const OUTPUT_AT: usize = 20; // [groups] i32; groups of one output follow each other
const W_AT: usize = 24; // [groups x columns x 8] float32
const A_AT: usize = 28; // [groups x 8] float32
const SIGNS_AT: usize = 32; // [groups x rows] bytes
const Z_AT: usize = 36; // [C x rows] float64
const N_AT: usize = 40; // [C x rows] float32
const G_AT: usize = 44; // [groups x stride x 8] float64
const PLACES_AT: usize = 48; // of the threads

// @ts-ignore: decorator
@inline
export function told(layer: usize, what: usize): i32 {
  return load<i32>(layer + what);
}

/** Rows that are gone through with one group after another. */
export function neuronPart(rows: i32, stride: i32): i32 {
  return min((rows + NEURON_ROWS - 1) / NEURON_ROWS * NEURON_ROWS, max(NEURON_ROWS, CACHED / stride / NEURON_ROWS * NEURON_ROWS));
}

/** Doubles that a thread wants as its place: sums of a part, or pulls and activations of `NEURON_ROWS`. */
export function neuronPlace(rows: i32, stride: i32): i32 {
  return max(2 * neuronPart(rows, stride), NEURON_ROWS * GROUP);
}

/** Z := the outputs of rows from `from`, and their signs. */
export function neuronsForward(layer: usize, from: i32, count: i32, slope: f64, thread: i32): void {
  const rows = told(layer, ROWS);
  const d = told(layer, COLUMNS);
  const stride = told(layer, STRIDE);
  const groups = told(layer, GROUPS);
  const outputs = <usize>told(layer, OUTPUT_AT);
  const step = neuronPart(rows, stride);
  const sums = <usize>told(layer, PLACES_AT) + ((thread * neuronPlace(rows, stride)) << 3);
  for (let first = from; first < from + count; first += step) {
    const size = min(step, from + count - first);
    memory.fill(sums, 0, size << 4);
    for (let g = 0; g < groups; g++) {
      const x = <usize>told(layer, X_AT) + ((first * stride) << 2);
      const signs = <usize>told(layer, SIGNS_AT) + g * rows + first;
      const w = <usize>told(layer, W_AT) + ((g * d) << 5);
      const a = <usize>told(layer, A_AT) + (g << 5);
      if (slope == 0) tiles(x, stride << 4, size, w, d, a, sums, signs, false, 0, SAID);
      else tiles(x, stride << 4, size, w, d, a, sums, signs, true, <f32>slope, SAID);
      const output = load<i32>(outputs + (g << 2));
      if (g + 1 < groups && load<i32>(outputs + ((g + 1) << 2)) == output) continue;
      const z = <usize>told(layer, Z_AT) + ((output * rows + first) << 3);
      for (let s = 0; s < size; s++) {
        const at = sums + (s << 4);
        const left = <f64>load<f32>(at) + <f64>load<f32>(at, 4);
        store<f64>(z + (s << 3), left + (<f64>load<f32>(at, 8) + <f64>load<f32>(at, 12)));
      }
      memory.fill(sums, 0, size << 4);
    }
  }
}

/**
 * Tiles of one group over `size` rows, a multiple of 4, and their signs; `what` becomes of them is written `to` there. `panel`: bytes of one of X.
 *
 * The loop over columns makes one a turn: V8 puts the products of two next to each other, for which it has too few registers.
 */
// @ts-ignore: decorator
@inline
export function tiles(
  x: usize, panel: usize, size: i32, w: usize, d: i32, a: usize, to: usize, signs: usize, leaky: bool, slope: f32, what: i32,
): void {
  const a0 = what == SAID ? v128.load(a) : f32x4.splat(1);
  const a1 = what == SAID ? v128.load(a, 16) : a0;
  const fall = f32x4.splat(slope);
  const zero = f32x4.splat(0);
  let left = zero, right = zero;
  for (let s = 0; s < size; s += 4) {
    let c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
    let at = w;
    let from = x;
    for (const end = w + (d << 5); at < end; at += 32) {
      const b0 = v128.load(at);
      const b1 = v128.load(at, 16);
      let t = v128.load_splat<f32>(from);
      c00 = f32x4.add(c00, f32x4.mul(t, b0));
      c01 = f32x4.add(c01, f32x4.mul(t, b1));
      t = v128.load_splat<f32>(from, 4);
      c10 = f32x4.add(c10, f32x4.mul(t, b0));
      c11 = f32x4.add(c11, f32x4.mul(t, b1));
      t = v128.load_splat<f32>(from, 8);
      c20 = f32x4.add(c20, f32x4.mul(t, b0));
      c21 = f32x4.add(c21, f32x4.mul(t, b1));
      t = v128.load_splat<f32>(from, 12);
      c30 = f32x4.add(c30, f32x4.mul(t, b0));
      c31 = f32x4.add(c31, f32x4.mul(t, b1));
      from += 16;
    }
    x += panel;
    if (what == POOLED) {
      const upper = f32x4.add(active(c00, leaky, fall), active(c10, leaky, fall));
      left = f32x4.add(left, f32x4.add(upper, f32x4.add(active(c20, leaky, fall), active(c30, leaky, fall))));
      const lower = f32x4.add(active(c01, leaky, fall), active(c11, leaky, fall));
      right = f32x4.add(right, f32x4.add(lower, f32x4.add(active(c21, leaky, fall), active(c31, leaky, fall))));
    } else if (what == KEPT) {
      keep(to, c00, c01, leaky, fall);
      keep(to + 32, c10, c11, leaky, fall);
      keep(to + 64, c20, c21, leaky, fall);
      keep(to + 96, c30, c31, leaky, fall);
      to += 128;
    } else {
      say(to, c00, c01, a0, a1, leaky, fall);
      say(to + 16, c10, c11, a0, a1, leaky, fall);
      say(to + 32, c20, c21, a0, a1, leaky, fall);
      say(to + 48, c30, c31, a0, a1, leaky, fall);
      to += 64;
    }
    store<u32>(signs, signsOf(c00, c01, c10, c11) | (signsOf(c20, c21, c30, c31) << 16));
    signs += 4;
  }
  if (what != POOLED) return;
  v128.store(to, left);
  v128.store(to, right, 16);
}

/** Adds what a sample's tile says to its sums. */
// @ts-ignore: decorator
@inline
function say(sums: usize, left: v128, right: v128, a0: v128, a1: v128, leaky: bool, slope: v128): void {
  const both = f32x4.add(f32x4.mul(active(left, leaky, slope), a0), f32x4.mul(active(right, leaky, slope), a1));
  v128.store(sums, f32x4.add(v128.load(sums), both));
}

/** Writes a sample's activations. */
// @ts-ignore: decorator
@inline
function keep(to: usize, left: v128, right: v128, leaky: bool, slope: v128): void {
  v128.store(to, active(left, leaky, slope));
  v128.store(to, active(right, leaky, slope), 16);
}

// @ts-ignore: decorator
@inline
function active(h: v128, leaky: bool, slope: v128): v128 {
  const zero = f32x4.splat(0);
  const high = f32x4.pmax(h, zero); // NaN stays
  return leaky ? f32x4.add(high, f32x4.mul(slope, f32x4.pmin(h, zero))) : high;
}

/** Bits of which products of two samples are positive. */
// @ts-ignore: decorator
@inline
function signsOf(h0: v128, h1: v128, h2: v128, h3: v128): u32 {
  const zero = f32x4.splat(0);
  const first = i16x8.narrow_i32x4_s(f32x4.gt(h0, zero), f32x4.gt(h1, zero));
  const second = i16x8.narrow_i32x4_s(f32x4.gt(h2, zero), f32x4.gt(h3, zero));
  return <u32>i8x16.bitmask(i8x16.narrow_i16x8_s(first, second));
}

/** G of `count` groups from `from`. */
export function neuronsBackward(layer: usize, from: i32, count: i32, slope: f64, thread: i32): void {
  const rows = told(layer, ROWS);
  const d = told(layer, COLUMNS);
  const stride = told(layer, STRIDE);
  const outputs = <usize>told(layer, OUTPUT_AT);
  const step = neuronPart(rows, stride);
  const pulls = <usize>told(layer, PLACES_AT) + ((thread * neuronPlace(rows, stride)) << 3);
  const all = <usize>told(layer, G_AT);
  memory.fill(all + ((from * stride) << 6), 0, (count * stride) << 6);
  for (let first = 0; first < rows; first += step) {
    const last = min(first + step, rows);
    for (let g = from; g < from + count; g++) {
      const signs = <usize>told(layer, SIGNS_AT) + g * rows;
      const N = <usize>told(layer, N_AT) + ((load<i32>(outputs + (g << 2)) * rows) << 2);
      for (let s = first; s < last; s += NEURON_ROWS) {
        const size = min(NEURON_ROWS, last - s);
        if (slope == 0) pull(signs + s, N + (s << 2), size, pulls, false, 0);
        else pull(signs + s, N + (s << 2), size, pulls, true, <f32>slope);
        const x = <usize>told(layer, X_AT) + ((s * stride) << 2);
        const G = all + ((g * stride) << 6);
        for (let p = 0; p < d; p += 4) back(x + (p << 4), stride << 4, size, pulls, G + (p << 6));
      }
    }
  }
}

/** to [size x 8] := N where the sign is set, slope N elsewhere. */
// @ts-ignore: decorator
@inline
function pull(signs: usize, N: usize, size: i32, to: usize, leaky: bool, slope: f32): void {
  const fall = f32x4.splat(slope);
  for (let s = 0; s < size; s++) {
    const n = v128.load_splat<f32>(N + (s << 2));
    mask(to, signs + s, n, n, leaky, fall);
    to += 32;
  }
}

/** to [8] := what comes of a row's neurons where the sign is set, slope times it elsewhere. */
// @ts-ignore: decorator
@inline
export function mask(to: usize, sign: usize, left: v128, right: v128, leaky: bool, slope: v128): void {
  const bits = v128.load8_splat(sign);
  const low = i32x4(1, 2, 4, 8);
  const high = i32x4(16, 32, 64, 128);
  const m0 = i32x4.eq(v128.and(bits, low), low);
  const m1 = i32x4.eq(v128.and(bits, high), high);
  v128.store(to, leaky ? v128.bitselect(left, f32x4.mul(left, slope), m0) : v128.and(left, m0));
  v128.store(to, leaky ? v128.bitselect(right, f32x4.mul(right, slope), m1) : v128.and(right, m1), 16);
}

/** G [4 x 8] += four columns of `size` rows, in panels that are so many bytes apart, times the pulls on them. */
export function back(x: usize, panel: usize, size: i32, pulls: usize, G: usize): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
  for (const end = pulls + (size << 5); pulls < end; x += panel - 16) {
    for (const next = x + 16; x < next; x += 4) {
      const b0 = v128.load(pulls);
      const b1 = v128.load(pulls, 16);
      let t = v128.load_splat<f32>(x);
      c00 = f32x4.add(c00, f32x4.mul(t, b0));
      c01 = f32x4.add(c01, f32x4.mul(t, b1));
      t = v128.load_splat<f32>(x, 16);
      c10 = f32x4.add(c10, f32x4.mul(t, b0));
      c11 = f32x4.add(c11, f32x4.mul(t, b1));
      t = v128.load_splat<f32>(x, 32);
      c20 = f32x4.add(c20, f32x4.mul(t, b0));
      c21 = f32x4.add(c21, f32x4.mul(t, b1));
      t = v128.load_splat<f32>(x, 48);
      c30 = f32x4.add(c30, f32x4.mul(t, b0));
      c31 = f32x4.add(c31, f32x4.mul(t, b1));
      pulls += 32;
    }
  }
  gather(G, c00, c01);
  gather(G + 64, c10, c11);
  gather(G + 128, c20, c21);
  gather(G + 192, c30, c31);
}

/** Eight sums in float64 += eight in float32. */
// @ts-ignore: decorator
@inline
function gather(to: usize, left: v128, right: v128): void {
  addPair(to, left);
  addPair(to + 16, v128.shuffle<i64>(left, left, 1, 1));
  addPair(to + 32, right);
  addPair(to + 48, v128.shuffle<i64>(right, right, 1, 1));
}

// @ts-ignore: decorator
@inline
function addPair(to: usize, low: v128): void {
  v128.store(to, f64x2.add(v128.load(to), f64x2.promote_low_f32x4(low)));
}
