/** The Hessian of a program in entries: what the output bias takes off it, and its inverse. */

import type { Kernels } from "../../../kernels/types.js";
import { dotAt } from "../../../linear/vectors.js";
import { inverseOf } from "../cones.js";

/** What is left of a diagonal entry of G where its feature is as good as made by others. */
const DEPENDENT = 1e-10;

/** The lower half of G [F x F] less what the output bias takes off it, and the upper half with it. */
export function atBestBias(G: Float64Array, sums: Float64Array, steep: number): void {
  const F = sums.length;
  for (let p = 0; p < F; p++) {
    for (let q = 0; q <= p; q++) {
      G[p * F + q] -= (sums[p] * sums[q]) / steep;
      G[q * F + p] = G[p * F + q];
    }
  }
}

/** Of G [F x F]; null where a column is as good as made by others. */
export function independentInverse(G: Float64Array, F: number, kernels: Kernels): Float64Array | null {
  const L = G.slice();
  if (!kernels.factor(L, F)) return null;
  for (let p = 0; p < F; p++) if (!(L[p * F + p] ** 2 > DEPENDENT * G[p * F + p])) return null;
  return inverseOf(G, F, kernels);
}

export function times(M: Float64Array, v: Float64Array): Float64Array {
  const F = v.length;
  const out = new Float64Array(F);
  for (let p = 0; p < F; p++) out[p] = dotAt(M, p * F, v, 0, F);
  return out;
}
