/**
 * Filters, in float32: neurons that see every patch of a sample and feed all outputs by the sum of their activations. Z += P A with
 * P [samples x m] the sums of a(X W'), and the way back, where N A' is the pull on all patches of a sample.
 *
 * They lie as neurons that feed all outputs (assembly/together.ts), the patches of a sample in a row; P is in the place of activations
 * that are kept. Outputs are fed once a sample, so that what a patch costs is its products with X, there and back.
 */

import { back, mask, neuronPart, NEURON_ROWS, POOLED, tiles, told } from "./neurons";
import {
  A_AT, ACROSS_AT, COLUMNS, feed, G_AT, GROUPS, IN_A_AT, KEPT_AT, LINE, N_AT, PATCHES, placeOf, pull, ROWS, SIGNS_AT, STRIDE, W_AT, WIDE, X_AT, Z_AT,
} from "./together";

/** Whether a layer's rows are patches. */
export function hasPatches(layer: usize): bool {
  return told(layer, PATCHES) > 1;
}

/** Samples, a multiple of 4, whose patches should stay in a cache from one group to the next. */
function together(layer: usize): i32 {
  return max(4, neuronPart(told(layer, ROWS), told(layer, STRIDE)) / told(layer, PATCHES) & ~3);
}

/** Z := the outputs of samples from `from`, and P and signs; samples come in fours. */
export function filtersForward(layer: usize, from: i32, count: i32, slope: f64): void {
  const rows = told(layer, ROWS);
  const K = told(layer, PATCHES);
  const d = told(layer, COLUMNS);
  const stride = told(layer, STRIDE) << 2;
  const wide = told(layer, WIDE);
  const samples = rows / K;
  const step = together(layer);
  const Z = <usize>told(layer, Z_AT);
  memory.fill(Z + ((from * wide) << 2), 0, (count * wide) << 2);
  for (let first = from; first < from + count; first += step) {
    const size = min(step, from + count - first);
    for (let g = 0; g < told(layer, GROUPS); g++) {
      const w = <usize>told(layer, W_AT) + g * d * LINE;
      const P = <usize>told(layer, KEPT_AT) + (g * samples + first) * LINE;
      let x = <usize>told(layer, X_AT) + first * K * stride;
      let signs = <usize>told(layer, SIGNS_AT) + g * rows + first * K;
      for (let to = P; to < P + size * LINE; to += LINE) {
        if (slope == 0) tiles(x, stride << 2, K, w, d, 0, to, signs, false, 0, POOLED);
        else tiles(x, stride << 2, K, w, d, 0, to, signs, true, <f32>slope, POOLED);
        x += K * stride;
        signs += K;
      }
      feed(P, size, <usize>told(layer, A_AT) + g * wide * LINE, wide, Z + ((first * wide) << 2));
    }
  }
}

/** G and the gradient in A of `count` groups from `from`. */
export function filtersBackward(layer: usize, from: i32, count: i32, slope: f64, thread: i32): void {
  const rows = told(layer, ROWS);
  const K = told(layer, PATCHES);
  const d = told(layer, COLUMNS);
  const stride = told(layer, STRIDE);
  const wide = told(layer, WIDE);
  const samples = rows / K;
  const step = together(layer);
  const ofSamples = placeOf(layer, thread);
  const pulls = ofSamples + NEURON_ROWS * LINE;
  const all = <usize>told(layer, G_AT);
  const inA = <usize>told(layer, IN_A_AT);
  memory.fill(all + ((from * stride) << 6), 0, (count * stride) << 6);
  memory.fill(inA + ((from * wide) << 6), 0, (count * wide) << 6);
  for (let first = 0; first < samples; first += step) {
    const last = min(first + step, samples);
    for (let g = from; g < from + count; g++) {
      const G = all + ((g * stride) << 6);
      const P = <usize>told(layer, KEPT_AT) + g * samples * LINE;
      const signs = <usize>told(layer, SIGNS_AT) + g * rows;
      for (let s = first; s < last; s += NEURON_ROWS) {
        const size = min(NEURON_ROWS, last - s);
        const N = <usize>told(layer, N_AT) + ((s * wide) << 2);
        pull(N, size, <usize>told(layer, ACROSS_AT) + g * wide * LINE, wide, 0, ofSamples, false, false, 0);
        for (let c = 0; c < wide; c += 4) back(N + (c << 4), wide << 4, size, P + s * LINE, inA + ((g * wide + c) << 6));
        const end = size * K;
        for (let r = 0; r < end; r += NEURON_ROWS) {
          const part = min(NEURON_ROWS, end - r);
          const row = s * K + r;
          if (slope == 0) spread(ofSamples, r, K, part, signs + row, pulls, false, 0);
          else spread(ofSamples, r, K, part, signs + row, pulls, true, <f32>slope);
          const x = <usize>told(layer, X_AT) + ((row * stride) << 2);
          for (let p = 0; p < d; p += 4) back(x + (p << 4), stride << 4, part, pulls, G + (p << 6));
        }
      }
    }
  }
}

/** to [part x 8] := on patches from `r` the pull on their sample, of Q [samples x 8], where the sign is set, slope times it elsewhere. */
// @ts-ignore: decorator
@inline
function spread(Q: usize, r: i32, K: i32, part: i32, signs: usize, to: usize, leaky: bool, slope: f32): void {
  const fall = f32x4.splat(slope);
  let q = Q + r / K * LINE;
  let rest = K - r % K;
  let left = v128.load(q);
  let right = v128.load(q, 16);
  for (const end = signs + part; signs < end; signs += 4) {
    if (rest == 0) {
      q += LINE;
      rest = K;
      left = v128.load(q);
      right = v128.load(q, 16);
    }
    mask(to, signs, left, right, leaky, fall);
    mask(to + LINE, signs + 1, left, right, leaky, fall);
    mask(to + 2 * LINE, signs + 2, left, right, leaky, fall);
    mask(to + 3 * LINE, signs + 3, left, right, leaky, fall);
    to += 4 * LINE;
    rest -= 4;
  }
}
