/**
 * The interior method's program in the entries of the matrices that outputs see, where these are fewer than the rows.
 *
 * Outputs are linear in F entries theta of sum_s s W_s, Z = Phi theta, and a step takes an F x F system, of (Phi'L''Phi)^-1 and what forms make, the output bias
 * being left at its best. A squared loss is 1/2 theta'G theta - h'theta + const: rows are summed up once, whatever their number. And where outputs are far larger
 * than the charge the system in rows, n - F of whose directions no form sees, is lost to rounding; this one is not.
 */

import type { Kernels } from "../../kernels/types.js";
import { dot, dotAt } from "../../linear/vectors.js";
import { minimiseOverBias } from "../../operators/outputBias.js";
import type { Loss } from "../../types.js";
import type { SignForms } from "../signForms.js";
import {
  type Cone,
  coneAt,
  type InteriorLoss,
  type InteriorProblem,
  inverseOf,
  isWellInside,
  type Pause,
} from "./cones.js";
import { type EntryForms, EntryGrams, entriesOf, FewerGrams, featuresOf } from "./entryForms.js";
import { leastLoss } from "./leastLoss.js";
import { matricesOf } from "./matrices.js";
import type { InteriorStart } from "./start.js";

/** Entries up to which a step's F x F system is cheap, and of the rows: from where on these are as good. */
const MOST_ENTRIES = 600;
const SHARE = 0.8;
/** Rows of other losses than the squared one, which are summed up in every step. */
const MOST_ROWS = 600;
/** Multiplications that summing up may take: a few seconds. */
const MOST_WORK = 2 ** 34;
/** Rows that are summed up together. */
const PIECE = 1024;
/** What is left of a diagonal entry of G where its feature is as good as made by others. */
const DEPENDENT = 1e-10;
/** What is left of one that others make, of its own size. */
const ROUNDING = 1e-12;

/** The program in entries, and the way back to rows. */
export interface EntryProgram {
  readonly loss: InteriorLoss;
  readonly grams: EntryForms;
  /** Least loss: where G theta = h. */
  readonly best: Float64Array; // [rows of the loss]
  /** Outputs [n] and the output bias at entries [F]. */
  outputsAt(entries: Float64Array): { readonly Z: Float64Array; readonly bias: number };
}

/** Whether a program has few enough entries for its rows. */
export function entriesTake(loss: Loss, forms: SignForms): boolean {
  const { rows, separable, beside, hessianTimes, curvature } = loss;
  if (!separable || beside !== undefined || hessianTimes !== undefined || !Number.isFinite(curvature)) return false;
  if (!isSquared(loss) && rows > MOST_ROWS) return false;
  const F = entriesOf(forms).count;
  return F <= MOST_ENTRIES && F <= SHARE * rows && rows * F * F <= MOST_WORK;
}

function isSquared({ name }: Loss): boolean {
  return name === "meanSquaredError";
}

/** Null where the loss has no least value, where features of other losses than the squared one depend on each other, and when time is up. */
export function entryProgram(problem: InteriorProblem, kernels: Kernels, pause: Pause): Promise<EntryProgram | null> {
  return isSquared(problem.loss) ? squaredProgram(problem, kernels, pause) : curvedProgram(problem, kernels, pause);
}

async function squaredProgram(
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
  };
}

/** Of another loss: rows are kept as features, and summed up in every step. */
async function curvedProgram(
  { forms, loss, outputBias }: InteriorProblem,
  kernels: Kernels,
  pause: Pause,
): Promise<EntryProgram | null> {
  const n = loss.rows;
  const entries = entriesOf(forms);
  const F = entries.count;
  const Phi = featuresOf(forms, entries, 0, n);
  const ridge = outputBias?.ridge ?? 0;
  const [N, weights] = [new Float64Array(n), new Float64Array(n)];
  const outputsAt = (theta: Float64Array) => {
    const Z = new Float64Array(n);
    for (let k = 0; k < n; k++) Z[k] = dotAt(Phi, k * F, theta, 0, F);
    const bias = outputBias === null ? 0 : minimiseOverBias(loss, Z, outputBias)[0];
    for (let k = 0; k < n; k++) Z[k] += bias;
    return { Z, bias };
  };
  const value = (theta: Float64Array) => {
    const { Z, bias } = outputsAt(theta);
    return loss.value(Z) + ridge * bias * bias;
  };
  const gradient = (theta: Float64Array, out: Float64Array) => {
    loss.gradient(outputsAt(theta).Z, N);
    out.fill(0);
    for (let k = 0; k < n; k++) for (let f = k * F, p = 0; p < F; f++, p++) out[p] += N[k] * Phi[f];
  };
  const inverseHessian = (theta: Float64Array): Float64Array | null => {
    loss.hessianDiagonal(outputsAt(theta).Z, weights);
    const rows = new Float64Array(n * F);
    const sums = new Float64Array(F);
    let total = 2 * ridge;
    for (let k = 0; k < n; k++) {
      const root = Math.sqrt(Math.max(0, weights[k]));
      total += weights[k];
      for (let f = k * F, p = 0; p < F; f++, p++) {
        rows[f] = root * Phi[f];
        sums[p] += weights[k] * Phi[f];
      }
    }
    const G = new Float64Array(F * F);
    kernels.addOuter(G, rows, F, n, 1);
    atBestBias(G, sums, outputBias === null ? Number.POSITIVE_INFINITY : total);
    return independentInverse(G, F, kernels);
  };
  const curved = { rows: F, curvature: 1, inverseHessian, value, gradient };
  const slope = new Float64Array(F);
  const direction = async (theta: Float64Array) => {
    gradient(theta, slope);
    const inverse = inverseHessian(theta);
    return inverse && times(inverse, slope);
  };
  const best = await leastLoss(F, value, direction, pause);
  if (best === null) return null;
  const filled = (_: Float64Array, out: Float64Array) => out.fill(1);
  return {
    loss: { ...curved, hessianDiagonal: filled },
    grams: new EntryGrams(forms.size, entries),
    ...{ best, outputsAt },
  };
}

/** The lower half of G [F x F] less what the output bias takes off it, and the upper half with it. */
function atBestBias(G: Float64Array, sums: Float64Array, steep: number): void {
  const F = sums.length;
  for (let p = 0; p < F; p++) {
    for (let q = 0; q <= p; q++) {
      G[p * F + q] -= (sums[p] * sums[q]) / steep;
      G[q * F + p] = G[p * F + q];
    }
  }
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
  const grams = new FewerGrams(all, kept, turn, F, kernels);
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

/** Of G [F x F]; null where a column is as good as made by others. */
function independentInverse(G: Float64Array, F: number, kernels: Kernels): Float64Array | null {
  const L = G.slice();
  if (!kernels.factor(L, F)) return null;
  for (let p = 0; p < F; p++) if (!(L[p * F + p] ** 2 > DEPENDENT * G[p * F + p])) return null;
  return inverseOf(G, F, kernels);
}

function times(M: Float64Array, v: Float64Array): Float64Array {
  const F = v.length;
  const out = new Float64Array(F);
  for (let p = 0; p < F; p++) out[p] = dotAt(M, p * F, v, 0, F);
  return out;
}

/**
 * Part of the way to the least loss at which the gradient is well inside, and matrices with these outputs, `more` of the mean eigenvalue
 * in all of them; null where there is none in time.
 */
export async function startInEntries(
  problem: InteriorProblem,
  { loss, grams, best }: EntryProgram,
  kernels: Kernels,
  pause: Pause,
  more: number,
): Promise<InteriorStart | null> {
  const { forms, signs, diagonals } = problem;
  const D = forms.size;
  const N = new Float64Array(loss.rows);
  for (let share = 0.5; share > Number.EPSILON && !(await pause()); share /= 2) {
    const Z = best.map((entry) => (1 - share) * entry);
    loss.gradient(Z, N);
    const Q = grams.matrix(N);
    if (!isWellInside(problem, Q, kernels)) continue;
    const matrices = matricesOf(grams.form(Z), signs, D, kernels, more);
    if (matrices === null) return null;
    const cones: Cone[] = [];
    for (const [s, sign] of signs.entries()) {
      const cone = coneAt(problem, Q, sign, new Float64Array(diagonals.count), kernels);
      if (cone === null) return null;
      cones.push({ ...cone, W: matrices[s] });
    }
    return { Z, bias: 0, cones };
  }
  return null;
}
