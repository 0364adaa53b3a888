/**
 * Neurons that feed all outputs, multiplied in float32: Z += a(H) A with H = X W', tiles as for one output each (assembly/neurons.ts).
 *
 * Activations of a block of rows and a group of neurons stay in a cache between the tiles that make them and the outputs that they
 * feed; where there is room all are kept for the way back, which makes the pulls N A' of a block, masked by the signs, and sums them
 * with its rows into G and its activations with N into the gradient in A.
 */

import { back, GROUP, KEPT, mask, neuronPart, neuronPlace, NEURON_ROWS, tiles, told } from "./neurons";

/** What a layer says of itself, in 32-bit integers that lie together. */
export const X_AT: usize = 0; // panels [stride x 4] of four rows, float32; rows and stride multiples of 4, what fills up is zero
export const ROWS: usize = 4;
export const COLUMNS: usize = 8;
export const STRIDE: usize = 12; // floats
export const GROUPS: usize = 16;
export const WIDE: usize = 20; // outputs, filled up to a multiple of 4
export const W_AT: usize = 24; // [groups x columns x 8] float32
export const A_AT: usize = 28; // [groups x 8 x wide] float32
export const ACROSS_AT: usize = 32; // the same [groups x wide x 8]
export const KEPT_AT: usize = 36; // activations [groups x rows x 8] float32, or 0: they are made twice
export const SIGNS_AT: usize = 40; // [groups x rows] bytes
export const Z_AT: usize = 44; // [rows x wide] float32
export const N_AT: usize = 48; // panels [wide x 4] of four rows, or samples, float32
export const G_AT: usize = 52; // [groups x stride x 8] float64
export const IN_A_AT: usize = 56; // [groups x wide x 8] float64
const PLACES_AT: usize = 60; // of the threads
export const PATCHES: usize = 64; // rows of a sample, a multiple of 4, what fills up is zero; or 1 (assembly/filters.ts)

/** Bytes of a row of a block: a number for each neuron of a group. */
export const LINE: i32 = GROUP << 2;

/** A thread's place: activations of `NEURON_ROWS`, then pulls. */
// @ts-ignore: decorator
@inline
export function placeOf(layer: usize, thread: i32): usize {
  return <usize>told(layer, PLACES_AT) + ((thread * neuronPlace(told(layer, ROWS), told(layer, STRIDE))) << 3);
}

/** The activations of a group on `size` rows from s, with their signs. */
function activate(layer: usize, g: i32, s: i32, size: i32, slope: f64, to: usize): void {
  const rows = told(layer, ROWS);
  const d = told(layer, COLUMNS);
  const stride = told(layer, STRIDE);
  const x = <usize>told(layer, X_AT) + ((s * stride) << 2);
  const w = <usize>told(layer, W_AT) + g * d * LINE;
  const signs = <usize>told(layer, SIGNS_AT) + g * rows + s;
  if (slope == 0) tiles(x, stride << 4, size, w, d, 0, to, signs, false, 0, KEPT);
  else tiles(x, stride << 4, size, w, d, 0, to, signs, true, <f32>slope, KEPT);
}

/** Where they are, or go. */
// @ts-ignore: decorator
@inline
function activations(layer: usize, g: i32, s: i32, place: usize): usize {
  const kept = <usize>told(layer, KEPT_AT);
  return kept == 0 ? place : kept + (g * told(layer, ROWS) + s) * LINE;
}

/** Z := the outputs of rows from `from`, and signs and activations. */
export function togetherForward(layer: usize, from: i32, count: i32, slope: f64, thread: i32): void {
  const wide = told(layer, WIDE);
  const groups = told(layer, GROUPS);
  const step = neuronPart(told(layer, ROWS), told(layer, STRIDE));
  const place = placeOf(layer, thread);
  const Z = <usize>told(layer, Z_AT);
  memory.fill(Z + ((from * wide) << 2), 0, (count * wide) << 2);
  for (let first = from; first < from + count; first += step) {
    const last = min(first + step, from + count);
    for (let g = 0; g < groups; g++) {
      const a = <usize>told(layer, A_AT) + g * wide * LINE;
      for (let s = first; s < last; s += NEURON_ROWS) {
        const size = min(NEURON_ROWS, last - s);
        const block = activations(layer, g, s, place);
        activate(layer, g, s, size, slope, block);
        feed(block, size, a, wide, Z + ((s * wide) << 2));
      }
    }
  }
}

/** Z [size x wide] += block [size x 8] A [8 x wide]. */
export function feed(block: usize, size: i32, a: usize, wide: i32, z: usize): void {
  const row = <usize>(wide << 2);
  for (let s = 0; s < size; s += 4) {
    let c = 0;
    for (; c + 8 <= wide; c += 8) {
      const at = z + (c << 2);
      let c00 = v128.load(at);
      let c01 = v128.load(at, 16);
      let c10 = v128.load(at + row);
      let c11 = v128.load(at + row, 16);
      let c20 = v128.load(at + 2 * row);
      let c21 = v128.load(at + 2 * row, 16);
      let c30 = v128.load(at + 3 * row);
      let c31 = v128.load(at + 3 * row, 16);
      let b = a + (c << 2);
      let h = block;
      for (const end = h + LINE; h < end; h += 4) {
        const b0 = v128.load(b);
        const b1 = v128.load(b, 16);
        let t = v128.load_splat<f32>(h);
        c00 = f32x4.add(c00, f32x4.mul(t, b0));
        c01 = f32x4.add(c01, f32x4.mul(t, b1));
        t = v128.load_splat<f32>(h, 32);
        c10 = f32x4.add(c10, f32x4.mul(t, b0));
        c11 = f32x4.add(c11, f32x4.mul(t, b1));
        t = v128.load_splat<f32>(h, 64);
        c20 = f32x4.add(c20, f32x4.mul(t, b0));
        c21 = f32x4.add(c21, f32x4.mul(t, b1));
        t = v128.load_splat<f32>(h, 96);
        c30 = f32x4.add(c30, f32x4.mul(t, b0));
        c31 = f32x4.add(c31, f32x4.mul(t, b1));
        b += row;
      }
      v128.store(at, c00);
      v128.store(at, c01, 16);
      v128.store(at + row, c10);
      v128.store(at + row, c11, 16);
      v128.store(at + 2 * row, c20);
      v128.store(at + 2 * row, c21, 16);
      v128.store(at + 3 * row, c30);
      v128.store(at + 3 * row, c31, 16);
    }
    if (c < wide) feedFour(block, a + (c << 2), row, z + (c << 2));
    block += 4 * LINE;
    z += 4 * row;
  }
}

/** The same for four rows and four outputs. */
// @ts-ignore: decorator
@inline
function feedFour(block: usize, a: usize, row: usize, z: usize): void {
  let c0 = v128.load(z);
  let c1 = v128.load(z + row);
  let c2 = v128.load(z + 2 * row);
  let c3 = v128.load(z + 3 * row);
  for (const end = block + LINE; block < end; block += 4) {
    const b = v128.load(a);
    c0 = f32x4.add(c0, f32x4.mul(v128.load_splat<f32>(block), b));
    c1 = f32x4.add(c1, f32x4.mul(v128.load_splat<f32>(block, 32), b));
    c2 = f32x4.add(c2, f32x4.mul(v128.load_splat<f32>(block, 64), b));
    c3 = f32x4.add(c3, f32x4.mul(v128.load_splat<f32>(block, 96), b));
    a += row;
  }
  v128.store(z, c0);
  v128.store(z + row, c1);
  v128.store(z + 2 * row, c2);
  v128.store(z + 3 * row, c3);
}

/** G and the gradient in A of `count` groups from `from`. */
export function togetherBackward(layer: usize, from: i32, count: i32, slope: f64, thread: i32): void {
  const rows = told(layer, ROWS);
  const d = told(layer, COLUMNS);
  const stride = told(layer, STRIDE);
  const wide = told(layer, WIDE);
  const step = neuronPart(rows, stride);
  const place = placeOf(layer, thread);
  const pulls = place + NEURON_ROWS * LINE;
  const kept = told(layer, KEPT_AT) != 0;
  const all = <usize>told(layer, G_AT);
  const inA = <usize>told(layer, IN_A_AT);
  memory.fill(all + ((from * stride) << 6), 0, (count * stride) << 6);
  memory.fill(inA + ((from * wide) << 6), 0, (count * wide) << 6);
  for (let first = 0; first < rows; first += step) {
    const last = min(first + step, rows);
    for (let g = from; g < from + count; g++) {
      const a = <usize>told(layer, ACROSS_AT) + g * wide * LINE;
      const signs = <usize>told(layer, SIGNS_AT) + g * rows;
      const G = all + ((g * stride) << 6);
      for (let s = first; s < last; s += NEURON_ROWS) {
        const size = min(NEURON_ROWS, last - s);
        const block = activations(layer, g, s, place);
        if (!kept) activate(layer, g, s, size, slope, block);
        const N = <usize>told(layer, N_AT) + ((s * wide) << 2);
        if (slope == 0) pull(N, size, a, wide, signs + s, pulls, true, false, 0);
        else pull(N, size, a, wide, signs + s, pulls, true, true, <f32>slope);
        const x = <usize>told(layer, X_AT) + ((s * stride) << 2);
        for (let p = 0; p < d; p += 4) back(x + (p << 4), stride << 4, size, pulls, G + (p << 6));
        for (let c = 0; c < wide; c += 4) back(N + (c << 4), wide << 4, size, block, inA + ((g * wide + c) << 6));
      }
    }
  }
}

/** to [size x 8] := N A, N in panels of `size` rows, A [wide x 8]; where that is `masked`, slope times it where the sign is not set. */
// @ts-ignore: decorator
@inline
export function pull(
  N: usize, size: i32, a: usize, wide: i32, signs: usize, to: usize, masked: bool, leaky: bool, slope: f32,
): void {
  const zero = f32x4.splat(0);
  const fall = f32x4.splat(slope);
  for (let s = 0; s < size; s += 4) {
    let c00 = zero, c01 = zero, c10 = zero, c11 = zero, c20 = zero, c21 = zero, c30 = zero, c31 = zero;
    let at = a;
    for (const end = a + wide * LINE; at < end; at += LINE) {
      const b0 = v128.load(at);
      const b1 = v128.load(at, 16);
      let t = v128.load_splat<f32>(N);
      c00 = f32x4.add(c00, f32x4.mul(t, b0));
      c01 = f32x4.add(c01, f32x4.mul(t, b1));
      t = v128.load_splat<f32>(N, 4);
      c10 = f32x4.add(c10, f32x4.mul(t, b0));
      c11 = f32x4.add(c11, f32x4.mul(t, b1));
      t = v128.load_splat<f32>(N, 8);
      c20 = f32x4.add(c20, f32x4.mul(t, b0));
      c21 = f32x4.add(c21, f32x4.mul(t, b1));
      t = v128.load_splat<f32>(N, 12);
      c30 = f32x4.add(c30, f32x4.mul(t, b0));
      c31 = f32x4.add(c31, f32x4.mul(t, b1));
      N += 16;
    }
    pulled(to, signs + s, c00, c01, masked, leaky, fall);
    pulled(to + LINE, signs + s + 1, c10, c11, masked, leaky, fall);
    pulled(to + 2 * LINE, signs + s + 2, c20, c21, masked, leaky, fall);
    pulled(to + 3 * LINE, signs + s + 3, c30, c31, masked, leaky, fall);
    to += 4 * LINE;
  }
}

// @ts-ignore: decorator
@inline
function pulled(to: usize, sign: usize, left: v128, right: v128, masked: bool, leaky: bool, slope: v128): void {
  if (masked) {
    mask(to, sign, left, right, leaky, slope);
  } else {
    v128.store(to, left);
    v128.store(to, right, 16);
  }
}
