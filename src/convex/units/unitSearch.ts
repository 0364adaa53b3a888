/**
 * The search for the dearest hidden unit: max over |w| <= radius of |sum_k N_k h(x_k w)|, by ascent from many starts.
 *
 * For sign units it ascends with ever steeper tangents, and asks in the end what the signs are worth. As with ReLU units the
 * problem is NP-hard: what is found is a lower bound.
 */

import type { Kernels } from "../kernels/types.js";
import { tanh } from "../linear/elementary.js";
import { norm } from "../linear/vectors.js";
import type { Matrix } from "../types.js";
import { outputsOfUnit, type UnitActivation } from "./hiddenUnits.js";

const STEPS = 60;
const STRETCH = 1.5;
const CUT = 0.3;
/** Radii of the ascents for sign units, in units of the radius for tanh. */
const STEEPER = [1, 4, 16];

export interface FoundUnit {
  readonly weights: Float64Array; // [d]
  readonly value: number; // |N' h|
}

/** Searches from unit directions or weights `starts` [S][d]; answers with the end of each. */
export function searchUnits(
  kernels: Kernels,
  X: Matrix,
  N: Float64Array, // [n]
  starts: readonly Float64Array[],
  activation: UnitActivation,
  radius: number,
): FoundUnit[] {
  const radii = activation === "sign" ? STEEPER.map((factor) => factor * radius) : [radius];
  let ends = starts;
  for (const limit of radii) ends = ascend(kernels, X, N, ends, limit);
  return ends.map((weights) => {
    const h = outputsOfUnit(activation, X, weights);
    return { weights, value: Math.abs(h.reduce((sum, value, k) => sum + N[k] * value, 0)) };
  });
}

/** Projected gradient ascent of |N' tanh(X w)| in the ball, from all starts together: two products a step. */
function ascend(
  kernels: Kernels,
  { rows: n, cols: d, data }: Matrix,
  N: Float64Array,
  starts: readonly Float64Array[],
  radius: number,
): Float64Array[] {
  const S = starts.length;
  const best = new Float64Array(S * d);
  starts.forEach((start, i) => {
    best.set(start, i * d);
    confine(best.subarray(i * d, (i + 1) * d), radius);
  });
  const value = new Float64Array(S).fill(Number.NEGATIVE_INFINITY);
  const stride = new Float64Array(S).fill(radius / 4);
  const gradient = new Float64Array(S * d);
  const trial = new Float64Array(S * d);
  const slopes = new Float64Array(S * d);
  const Z = new Float64Array(S * n);
  for (let step = 0; step < STEPS; step++) {
    trial.set(best);
    for (let i = 0; i < S; i++) {
      const g = gradient.subarray(i * d, (i + 1) * d);
      const length = norm(g);
      if (length === 0) continue;
      const w = trial.subarray(i * d, (i + 1) * d);
      for (let p = 0; p < d; p++) w[p] += (stride[i] / length) * g[p];
      confine(w, radius);
    }
    kernels.multiplyTransposed(trial, data, Z, S, d, n);
    const sums = new Float64Array(S);
    for (let i = 0; i < S; i++) {
      for (let k = 0; k < n; k++) {
        const h = tanh(Z[i * n + k]);
        sums[i] += N[k] * h;
        Z[i * n + k] = N[k] * (1 - h * h);
      }
    }
    kernels.multiply(Z, data, slopes, S, n, d);
    for (let i = 0; i < S; i++) {
      const improved = Math.abs(sums[i]) > value[i];
      stride[i] *= improved ? STRETCH : CUT;
      if (!improved) continue;
      value[i] = Math.abs(sums[i]);
      for (let p = i * d; p < (i + 1) * d; p++) {
        best[p] = trial[p];
        gradient[p] = Math.sign(sums[i]) * slopes[p];
      }
    }
  }
  return starts.map((_, i) => best.slice(i * d, (i + 1) * d));
}

function confine(w: Float64Array, radius: number): void {
  const length = norm(w);
  if (length > radius) for (let p = 0; p < w.length; p++) w[p] *= radius / length;
}
