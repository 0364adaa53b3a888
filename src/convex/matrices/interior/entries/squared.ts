/** Squared losses in entries: rows are summed up once. */

import type { Kernels } from "../../../kernels/types.js";
import { dot, dotAt } from "../../../linear/vectors.js";
import type { InteriorProblem, Pause } from "../cones.js";
import { atBestBias, independentInverse, times } from "./algebra.js";
import { EntryGrams, entriesOf, featuresOf, PIECE, TurnedGrams } from "./forms.js";
import type { EntryProgram } from "./program.js";

/** What is left of one that others make, of its own size. */
const ROUNDING = 1e-12;

export async function squaredProgram(
  { forms, loss, outputBias }: InteriorProblem,
  kernels: Kernels,
  pause: Pause,
): Promise<EntryProgram | null> {
  const n = loss.rows;
  const entries = entriesOf(forms);
  const F = entries.count;
  const [zero, slope, weights] = [new Float64Array(n), new Float64Array(n), new Float64Array(n)];
  loss.gradient(zero, slope);
  loss.hessianDiagonal(zero, weights);
  const G = new Float64Array(F * F);
  const [h, sums] = [new Float64Array(F), new Float64Array(F)]; // -Phi'L'(0), Phi'L'' 1
  for (let from = 0; from < n; from += PIECE) {
    const count = Math.min(PIECE, n - from);
    const Phi = featuresOf(forms, entries, from, count);
    for (let k = 0; k < count; k++) {
      const weight = weights[from + k];
      const root = Math.sqrt(weight);
      for (let f = k * F, p = 0; p < F; f++, p++) {
        h[p] -= slope[from + k] * Phi[f];
        sums[p] += weight * Phi[f];
        Phi[f] *= root;
      }
    }
    kernels.addOuter(G, Phi, F, count, 1);
    if (await pause()) return null;
  }
  let total = 0;
  let slopes = 0; // 1'L'(0)
  for (let k = 0; k < n; k++) {
    total += weights[k];
    slopes += slope[k];
  }
  const steep = outputBias === null ? Number.POSITIVE_INFINITY : total + 2 * outputBias.ridge;
  const sizes = Float64Array.from({ length: F }, (_, p) => G[p * F + p]);
  for (let p = 0; p < F; p++) h[p] += (sums[p] * slopes) / steep;
  atBestBias(G, sums, steep);
  const all = new EntryGrams(forms.size, entries);
  const own = independentInverse(G, F, kernels);
  const less = own === null ? reduced(G, h, sizes, all, kernels) : { G, h, inverse: own, grams: all };
  if (less === null) return null;
  const { inverse, grams } = less;
  const best = times(inverse, less.h);
  const outputsAt = (theta: Float64Array) => {
    const Z = new Float64Array(n);
    for (let from = 0; from < n; from += PIECE) {
      const count = Math.min(PIECE, n - from);
      const Phi = featuresOf(forms, entries, from, count);
      for (let k = 0; k < count; k++) Z[from + k] = dotAt(Phi, k * F, theta, 0, F);
    }
    const bias = -(slopes + dot(sums, theta)) / steep;
    for (let k = 0; k < n; k++) Z[k] += bias;
    return { Z, bias };
  };
  // From where the gradient is zero: nothing is left of what G theta and h have in common.
  const { Z, bias } = outputsAt(grams.entriesOf(grams.form(best)));
  const least = loss.value(Z) + (outputBias?.ridge ?? 0) * bias * bias;
  const beyond = (theta: Float64Array) => theta.map((entry, p) => entry - best[p]);
  let curvature = 0;
  for (let p = 0; p < best.length; p++) curvature = Math.max(curvature, less.G[p * best.length + p]);
  return {
    loss: {
      rows: best.length,
      curvature,
      inverseHessian: () => inverse,
      value: (theta) => least + dot(beyond(theta), times(less.G, beyond(theta))) / 2,
      gradient: (theta, out) => out.set(times(less.G, beyond(theta))),
      hessianDiagonal: (_, out) => out.fill(1),
    },
    grams,
    ...{ best, outputsAt },
    rowsAt: (t) => outputsAt(grams.entriesOf(grams.form(t))).Z,
  };
}

/** The same without features that others make, as a column of ones makes those of b and the output bias. */
function reduced(G: Float64Array, h: Float64Array, sizes: Float64Array, all: EntryGrams, kernels: Kernels) {
  const F = h.length;
  const kept = independentFeatures(G, sizes, F);
  const size = kept.length;
  if (size === 0) return null;
  const own = new Float64Array(size * size);
  const across = new Float64Array(size * F);
  for (const [f, p] of kept.entries()) {
    for (const [g, q] of kept.entries()) own[f * size + g] = G[p * F + q];
    across.set(G.subarray(p * F, (p + 1) * F), f * F);
  }
  const inverse = independentInverse(own, size, kernels);
  if (inverse === null) return null;
  const turn = new Float64Array(size * F); // what entries are in those that are kept
  kernels.multiply(inverse, across, turn, size, size, F);
  for (const [f, p] of kept.entries()) for (let g = 0; g < size; g++) turn[g * F + p] = Number(g === f);
  const back = (t: Float64Array) => {
    const theta = new Float64Array(F);
    for (const [f, p] of kept.entries()) theta[p] = t[f];
    return theta;
  };
  const grams = new TurnedGrams(all, turn, size, kernels, back);
  return { G: own, h: Float64Array.from(kept, (p) => h[p]), inverse, grams };
}

/** Those of which more than rounding is left beside the ones before them. */
function independentFeatures(G: Float64Array, sizes: Float64Array, F: number): number[] {
  const kept: number[] = [];
  const L = new Float64Array(F * F);
  for (let p = 0; p < F; p++) {
    const row = kept.length * F;
    let left = G[p * F + p];
    for (const [f, q] of kept.entries()) {
      const entry = (G[p * F + q] - dotAt(L, row, L, f * F, f)) / L[f * F + f];
      L[row + f] = entry;
      left -= entry * entry;
    }
    if (!(left > ROUNDING * sizes[p])) continue;
    L[row + kept.length] = Math.sqrt(left);
    kept.push(p);
  }
  return kept;
}
