/**
 * A quadratic model with cones, solved where its matrix is: alternating directions (Boyd et al. 2011, section 3.4.3, with their
 * relaxation) between the quadratic, which has a factor, and shrinkage in cones.
 *
 *   min g'(s - s0) + (s - s0)'H (s - s0) / 2 + beta sum_j (|v_j| + |w_j|),   s = (v - w, e),   v_j, w_j in K_j,
 *
 * with the entries e of s beyond those of v free (the output bias).
 */

import type { CholeskyFactor, Kernels } from "../../kernels/types.js";
import { LEAST } from "../../linear/vectors.js";

const RELAXATION = 1.6;
const MOST_ITERATIONS = 4000;
/** The weight is balanced where one residual is so many times the other, early often and then seldom. */
const UNEVEN = 4;
const MOST_CHANGE = 5;
const OFTEN = 25;
const SELDOM = 200;
const EARLY = 200;
/** Of the mean of the diagonal: what an entry without curvature is lifted by. */
const LIFT = 1e-12;

export interface ConeQuadratic {
  readonly H: Float64Array; // [q x q], its lower triangle
  readonly gradient: Float64Array; // [q], at `centre`
  readonly centre: Float64Array; // [q]
  readonly beta: number;
  /** u [d of the j-th vector] := argmin threshold |u| + |u - z|^2 / 2 in its cone; the positive vectors, then the negative ones. */
  readonly prox: (j: number, z: Float64Array, threshold: number) => void;
  readonly width: number; // d
}

export interface ConeQuadraticPoint {
  readonly vectors: Float64Array; // [2 V x d]: v, then w, in their cones
  readonly free: Float64Array; // e
}

/** From `start` [2 V x d] and the weight of the step before (0: none yet); answers with its own. */
export async function solveConeQuadratic(
  problem: ConeQuadratic,
  start: Float64Array,
  weightBefore: number,
  tolerance: number,
  kernels: Kernels,
  pause: () => Promise<boolean>,
): Promise<ConeQuadraticPoint & { readonly weight: number }> {
  const { H, gradient, centre, beta, prox, width } = problem;
  const q = centre.length;
  const half = start.length / 2;
  const right = symmetricTimes(H, centre, q).map((value, k) => value - gradient[k]);
  const mean = Math.max(meanDiagonal(H, q), LEAST);
  let weight = weightBefore > 0 ? weightBefore : mean;
  let factor = factorOf(H, q, half, weight, mean, kernels);
  const p = start.slice();
  const t = Float64Array.from(start, (_, k) => (k < half ? -gradient[k] : gradient[k - half]) / weight);
  const x = new Float64Array(start.length);
  const s = new Float64Array(q);
  try {
    for (let k = 1; k <= MOST_ITERATIONS; k++) {
      for (let i = 0; i < q; i++)
        s[i] = right[i] + (i < half ? 0.5 * weight * (p[i] - t[i] - p[half + i] + t[half + i]) : 0);
      factor.solve(s, 1);
      for (let i = 0; i < half; i++) {
        const both = p[i] - t[i] + p[half + i] - t[half + i];
        x[i] = 0.5 * (both + s[i]);
        x[half + i] = 0.5 * (both - s[i]);
      }
      const { missed, moved, size, multiplier } = shrink(x, p, t, width, beta / weight, prox);
      const [primal, dual] = [missed / Math.max(size, LEAST), moved / Math.max(multiplier, LEAST)];
      if (primal <= tolerance && dual <= tolerance) break;
      if (k % OFTEN !== 0) continue;
      if (await pause()) break;
      if (k > EARLY && k % SELDOM !== 0) continue;
      const change = Math.min(MOST_CHANGE, Math.max(1 / MOST_CHANGE, Math.sqrt(primal / Math.max(dual, LEAST))));
      if (change < Math.sqrt(UNEVEN) && change > 1 / Math.sqrt(UNEVEN)) continue;
      weight *= change;
      for (let i = 0; i < t.length; i++) t[i] /= change;
      factor.dispose();
      factor = factorOf(H, q, half, weight, mean, kernels);
    }
  } finally {
    factor.dispose();
  }
  return { vectors: p, free: s.slice(half), weight };
}

/** p := the shrunk x + t in the cones, t := what is left; how far x was, how far p moved, and the sizes of p and t. */
function shrink(
  x: Float64Array,
  p: Float64Array,
  t: Float64Array,
  width: number,
  threshold: number,
  prox: ConeQuadratic["prox"],
) {
  let [missed, moved, size, multiplier] = [0, 0, 0, 0];
  const z = new Float64Array(width);
  for (let j = 0, at = 0; at < p.length; j++, at += width) {
    for (let k = 0; k < width; k++) z[k] = RELAXATION * x[at + k] + (1 - RELAXATION) * p[at + k] + t[at + k];
    for (let k = 0; k < width; k++) t[at + k] = z[k];
    prox(j, z, threshold);
    for (let k = 0; k < width; k++) {
      const i = at + k;
      t[i] -= z[k];
      missed += (x[i] - z[k]) ** 2;
      moved += (p[i] - z[k]) ** 2;
      size += Math.max(x[i] * x[i], z[k] * z[k]);
      multiplier += t[i] * t[i];
      p[i] = z[k];
    }
  }
  return {
    missed: Math.sqrt(missed),
    moved: Math.sqrt(moved),
    size: Math.sqrt(size),
    multiplier: Math.sqrt(multiplier),
  };
}

function factorOf(
  H: Float64Array,
  q: number,
  half: number,
  weight: number,
  mean: number,
  kernels: Kernels,
): CholeskyFactor {
  for (let lift = LIFT * mean; ; lift = Math.max(10 * lift, LEAST)) {
    const K = H.slice();
    for (let i = 0; i < q; i++) K[i * q + i] += i < half ? 0.5 * weight : lift;
    const factor = kernels.cholesky(K, q);
    if (factor !== null) return factor;
    if (!Number.isFinite(lift)) throw new Error("The curvature of a model is not finite.");
  }
}

function symmetricTimes(H: Float64Array, x: Float64Array, q: number): Float64Array {
  const out = new Float64Array(q);
  for (let i = 0; i < q; i++) {
    for (let j = 0; j <= i; j++) {
      out[i] += H[i * q + j] * x[j];
      if (j < i) out[j] += H[i * q + j] * x[i];
    }
  }
  return out;
}

/** x'H x. */
export function bendOf(H: Float64Array, x: Float64Array): number {
  return symmetricTimes(H, x, x.length).reduce((sum, value, k) => sum + value * x[k], 0);
}

function meanDiagonal(H: Float64Array, q: number): number {
  let sum = 0;
  for (let i = 0; i < q; i++) sum += H[i * q + i];
  return sum / q;
}
