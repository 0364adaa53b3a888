/**
 * The search for gates that are worth more than beta: max over |u| <= 1 of N_c' (X u)_+ (or its negative), for a dual point N.
 *
 * This is what prices a new neuron in the convex neural networks of Bengio et al. (2006) and the Frank-Wolfe step of Bach (2017);
 * it is NP-hard, so ascent from many starts finds lower bounds of it: evidence, not proof.
 */

import type { Kernels } from "../kernels/types.js";
import type { Matrix } from "../types.js";

/** A stretch of the step after it helped, and a cut after it did not. */
const STRETCH = 1.5;
const CUT = 0.3;

/** One start: a direction and the (signed) column of the dual point that it is to align with. */
export interface Start {
  readonly direction: Float64Array; // [d], any length above zero
  readonly output: number;
  readonly sign: 1 | -1; // of the neuron: a positive one wants -N
}

/** Where an ascent ended. */
export interface Found {
  readonly direction: Float64Array; // [d], unit
  readonly value: number; // -sign N_c' (X u)_+
}

/** Projected gradient ascent on the sphere from all starts together, so that each step is two matrix products. */
export function searchGates(
  kernels: Kernels,
  X: Matrix,
  N: Float64Array, // [n x C]
  outputs: number,
  starts: readonly Start[],
  steps: number,
): Found[] {
  const { rows: n, cols: d, data } = X;
  const S = starts.length;
  const best = new Float64Array(S * d);
  const trial = new Float64Array(S * d);
  const value = new Float64Array(S).fill(Number.NEGATIVE_INFINITY);
  const stride = new Float64Array(S).fill(1);
  const products = new Float64Array(S * n);
  const weights = new Float64Array(S * n);
  const gradient = new Float64Array(S * d);
  const gradientAtBest = new Float64Array(S * d);
  const improved = new Uint8Array(S);
  starts.forEach(({ direction }, i) => {
    trial.set(direction, i * d);
    normalise(trial, i * d, d);
  });
  for (let step = 0; step < steps; step++) {
    kernels.multiplyTransposed(trial, data, products, S, d, n);
    for (let i = 0; i < S; i++) {
      const { output, sign } = starts[i];
      let sum = 0;
      for (let j = 0; j < n; j++) {
        const at = i * n + j;
        const open = products[at] > 0;
        weights[at] = open ? -sign * N[j * outputs + output] : 0;
        if (open) sum += weights[at] * products[at];
      }
      improved[i] = sum > value[i] ? 1 : 0;
      stride[i] *= improved[i] === 1 ? STRETCH : CUT;
      if (improved[i] === 1) {
        value[i] = sum;
        best.set(trial.subarray(i * d, (i + 1) * d), i * d);
      }
    }
    kernels.multiply(weights, data, gradient, S, n, d);
    for (let i = 0; i < S; i++) {
      const from = i * d;
      if (improved[i] === 1) gradientAtBest.set(gradient.subarray(from, from + d), from);
      const length = lengthOf(gradientAtBest, from, d);
      const scale = length > 0 ? stride[i] / length : 0;
      for (let p = from; p < from + d; p++) trial[p] = best[p] + scale * gradientAtBest[p];
      normalise(trial, from, d);
    }
  }
  return starts.map((_, i) => ({ direction: best.slice(i * d, (i + 1) * d), value: value[i] }));
}

function lengthOf(values: Float64Array, from: number, d: number): number {
  let square = 0;
  for (let p = from; p < from + d; p++) square += values[p] * values[p];
  return Math.sqrt(square);
}

function normalise(values: Float64Array, from: number, d: number): void {
  const length = lengthOf(values, from, d);
  if (length > 0) for (let p = from; p < from + d; p++) values[p] /= length;
}
