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
/** Residuals, relative, above which it is far from the end, iterations between two looks at what is left then, and where there is only rounding. */
const FAR = 1e-5;
const LOOK = 10;
const ROUNDING = 1e-13;
/** The weight is balanced where one residual is so many times the other, early often and then seldom. */
const UNEVEN = 4;
const MOST_CHANGE = 5;
const OFTEN = 25;
const SELDOM = 200;
const EARLY = 200;
/** Of the mean of the diagonal: how far above and below the weight may go. */
const FARTHEST = 1e12;
/** Of its own diagonal: what an entry is lifted by at first where rounding left no factor, and at most. */
const LIFT = 1e-15;
const MOST_LIFT = 1;

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

/**
 * From `start` [2 V x d] and the weight of the step before (0: none yet) to where the objective is at most about `enough` above its
 * minimum; answers with its own weight. Null where H has no finite factor.
 */
export async function solveConeQuadratic(
  problem: ConeQuadratic,
  start: Float64Array,
  weightBefore: number,
  enough: number,
  kernels: Kernels,
  pause: () => Promise<boolean>,
): Promise<(ConeQuadraticPoint & { readonly weight: number }) | null> {
  const { H, gradient, centre, beta, prox, width } = problem;
  const q = centre.length;
  const half = start.length / 2;
  const right = symmetricTimes(H, centre, q).map((value, k) => value - gradient[k]);
  const mean = Math.max(meanDiagonal(H, q), LEAST);
  if (![mean, ...right].every(Number.isFinite)) return null;
  const [lightest, heaviest] = [mean / FARTHEST, mean * FARTHEST];
  let weight = weightBefore > 0 ? clamped(weightBefore, lightest, heaviest) : mean;
  let factor = factorOf(H, q, half, weight, kernels);
  if (factor === null) return null;
  const p = start.slice();
  const t = Float64Array.from(start, (_, k) => (k < half ? -gradient[k] : gradient[k - half]) / weight);
  const x = new Float64Array(start.length);
  const s = new Float64Array(q);
  try {
    for (let k = 1; k <= MOST_ITERATIONS; k++) {
      for (let i = 0; i < q; i++)
        s[i] =
          right[i] +
          factor.lifts[i] * centre[i] +
          (i < half ? 0.5 * weight * (p[i] - t[i] - p[half + i] + t[half + i]) : 0);
      factor.solve(s, 1);
      for (let i = 0; i < half; i++) {
        const both = p[i] - t[i] + p[half + i] - t[half + i];
        x[i] = 0.5 * (both + s[i]);
        x[half + i] = 0.5 * (both - s[i]);
      }
      const { missed, moved, size, multiplier, zero } = shrink(x, p, t, width, beta / weight, prox);
      // Where no vector is left, what is missed is little or not beside what holds them at zero.
      const scale = zero ? Math.max(size, multiplier) : size;
      const [primal, dual] = [missed / Math.max(scale, LEAST), moved / Math.max(multiplier, LEAST)];
      const residual = Math.max(primal, dual);
      if (residual <= ROUNDING) break;
      if (residual <= FAR && k % LOOK === 0 && leftAt(problem, right, { p, x, s, t, weight }) <= enough) break;
      if (await pause()) break;
      if (k % (k > EARLY ? SELDOM : OFTEN) !== 0) continue;
      const change = clamped(Math.sqrt(primal / Math.max(dual, LEAST)), 1 / MOST_CHANGE, MOST_CHANGE);
      if (change < Math.sqrt(UNEVEN) && change > 1 / Math.sqrt(UNEVEN)) continue;
      const next = clamped(weight * change, lightest, heaviest);
      if (next === weight) continue;
      for (let i = 0; i < t.length; i++) t[i] *= weight / next;
      weight = next;
      factor.dispose();
      factor = factorOf(H, q, half, weight, kernels);
      if (factor === null) return null;
    }
  } finally {
    factor?.dispose();
  }
  return { vectors: p, free: s.slice(half), weight };
}

/** Where alternating directions are: weight * t is a subgradient at p of what the vectors are charged. */
interface Directions {
  readonly p: Float64Array; // [2 V x d]
  readonly x: Float64Array;
  readonly s: Float64Array; // [q]
  readonly t: Float64Array;
  readonly weight: number;
}

/**
 * What p leaves, by convexity at most <r, p - u> for the minimum u and r, the gradient at p and weight * t: the longest vector of r times
 * the lengths of those of p. A residual alone says little where H is nearly singular.
 */
function leftAt({ H, width }: ConeQuadratic, right: Float64Array, { p, x, s, t, weight }: Directions): number {
  const half = p.length / 2;
  const here = s.map((value, i) => (i < half ? p[i] - p[half + i] : value));
  const gradient = symmetricTimes(H, here, s.length);
  let [longest, size] = [0, 0];
  for (let at = 0; at < p.length; at += width) {
    const sign = at < half ? 1 : -1;
    let [rest, there, near] = [0, 0, 0];
    for (let i = at; i < at + width; i++) {
      const k = i % half;
      rest += (sign * (gradient[k] - right[k]) + weight * t[i]) ** 2;
      there += p[i] * p[i];
      near += x[i] * x[i];
    }
    longest = Math.max(longest, rest);
    size += Math.sqrt(Math.max(there, near));
  }
  return Math.sqrt(longest) * size;
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
  let zero = true;
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
      zero &&= z[k] === 0;
    }
  }
  return {
    missed: Math.sqrt(missed),
    moved: Math.sqrt(moved),
    size: Math.sqrt(size),
    multiplier: Math.sqrt(multiplier),
    zero,
  };
}

interface LiftedFactor extends CholeskyFactor {
  readonly lifts: Float64Array; // [q]: weights of |s_i - centre_i|^2 / 2 that were added
}

/** Of H and what the vectors are held by; a proximal term joins where that has no factor. Null where it never has one. */
function factorOf(H: Float64Array, q: number, half: number, weight: number, kernels: Kernels): LiftedFactor | null {
  for (let lift = 0; lift <= MOST_LIFT; lift = Math.max(10 * lift, LIFT)) {
    const K = H.slice();
    for (let i = 0; i < half; i++) K[i * q + i] += 0.5 * weight;
    const lifts = Float64Array.from({ length: q }, (_, i) => lift * (K[i * q + i] > 0 ? K[i * q + i] : weight));
    for (let i = 0; i < q; i++) K[i * q + i] += lifts[i];
    const factor = kernels.cholesky(K, q);
    if (factor === null) continue;
    const { solve, multiply, dispose } = factor;
    return { lifts, solve: solve.bind(factor), multiply: multiply.bind(factor), dispose: dispose.bind(factor) };
  }
  return null;
}

function clamped(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
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
