/** A network of one input as the piecewise linear function that it is. */

import { type NetworkWeights, slopeOf } from "../network.js";

/** Where the slope changes. */
export interface Kink {
  readonly x: number;
  /** The slope to the right less the slope to the left, [C]. */
  readonly change: readonly number[];
  /** The sample that is nearest, and how far it is, as a share of the range of the samples. */
  readonly nearest: number;
  readonly distance: number;
  /** False beyond the first and the last sample, where a kink is only the other end of a line. */
  readonly inside: boolean;
}

/** f(x) = offset + slope x between two kinks. */
export interface Segment {
  readonly from: number; // -Infinity for the first
  readonly to: number; // Infinity for the last
  readonly slope: readonly number[]; // [C]
  readonly offset: readonly number[]; // [C]
}

export interface PiecewiseLinear {
  readonly kinks: readonly Kink[]; // from left to right
  readonly segments: readonly Segment[]; // one more than kinks
  /**
   * Kinks that are no further than float32 from a sample. Where the bias costs nothing the price of a neuron is linear in its
   * kink between two samples, so that there is an optimum with all inner kinks at samples; a charge moves them off.
   */
  readonly atSamples: number;
}

/** Kinks this near, as a share of the range, are one; so are a kink and a sample: the rounding of float32 weights. */
const SAME = 1e-5;

/** Reads (x w_j + b_j)_+ a_j + c, and a linear layer beside them, with a slope for negative sums where there is one: kernel [2 x m] with the bias over `biasColumn` in its last row, or [1 x m] without a bias. */
export function piecewiseLinear(weights: NetworkWeights, biasColumn: number, samples: Float64Array): PiecewiseLinear {
  const { kernel, output, bias, skip } = weights;
  const m = kernel.cols;
  const C = output.cols;
  const closed = weights.gates === null ? slopeOf(weights.pooling) : 0;
  const [low, high] = [Math.min(...samples), Math.max(...samples)];
  const range = high - low || 1;
  const slope = skip === undefined ? new Float64Array(C) : Float64Array.from(skip.data);
  const offset = Float64Array.from(bias);
  const turns: { x: number; slope: number[]; offset: number[] }[] = [];
  for (let j = 0; j < m; j++) {
    const w = kernel.data[j];
    const b = biasColumn > 0 ? kernel.data[m + j] * biasColumn : 0;
    const a = output.data.subarray(j * C, (j + 1) * C);
    if (a.every((value) => value === 0)) continue;
    for (let c = 0; c < C; c++) {
      // Far to the left a neuron is open when it falls, and always when it has no slope.
      const factor = w < 0 || (w === 0 && b > 0) ? 1 : closed;
      slope[c] += factor * w * a[c];
      offset[c] += factor * b * a[c];
    }
    if (w === 0) continue;
    const sign = Math.sign(w) * (1 - closed); // opens to the right, or closes
    turns.push({
      x: b === 0 ? 0 : -b / w,
      slope: Array.from(a, (value) => sign * w * value),
      offset: Array.from(a, (value) => sign * b * value),
    });
  }
  turns.sort((p, q) => p.x - q.x);
  const kinks: Kink[] = [];
  const segments: Segment[] = [];
  let from = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < turns.length; ) {
    const { x } = turns[k];
    segments.push({ from, to: x, slope: Array.from(slope), offset: Array.from(offset) });
    const change = new Array<number>(C).fill(0);
    for (; k < turns.length && turns[k].x - x <= SAME * range; k++) {
      for (let c = 0; c < C; c++) {
        change[c] += turns[k].slope[c];
        slope[c] += turns[k].slope[c];
        offset[c] += turns[k].offset[c];
      }
    }
    const nearest = samples.reduce((best, s) => (Math.abs(s - x) < Math.abs(best - x) ? s : best), samples[0]);
    kinks.push({ x, change, nearest, distance: Math.abs(nearest - x) / range, inside: x >= low && x <= high });
    from = x;
  }
  segments.push({ from, to: Number.POSITIVE_INFINITY, slope: Array.from(slope), offset: Array.from(offset) });
  return { kinks, segments, atSamples: kinks.filter(({ distance }) => distance <= SAME).length };
}
