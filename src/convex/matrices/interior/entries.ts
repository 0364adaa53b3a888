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
  type Grams,
  type InteriorLoss,
  type InteriorProblem,
  inverseOf,
  type Pause,
  partner,
} from "./cones.js";
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
/** Newton steps to the least loss, and halves of one. */
const MOST_STEPS = 30;
const HALVES = 20;
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

/** What a step asks of entries, of which the grams' outputs may be fewer: of features that others make there is nothing to say. */
export interface EntryForms extends Grams {
  /** All entries [F] of a matrix. */
  entriesOf(W: Float64Array): Float64Array;
  /** A symmetric matrix with these outputs, zeros elsewhere but for a corner that is the trace of the rest. */
  form(theta: Float64Array): Float64Array;
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
  for (let p = 0; p < F; p++) {
    h[p] += (sums[p] * slopes) / steep;
    for (let q = 0; q <= p; q++) {
      G[p * F + q] -= (sums[p] * sums[q]) / steep;
      G[q * F + p] = G[p * F + q];
    }
  }
  const all = new EntryGrams(forms.size, entries, kernels);
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
    const steep = outputBias === null ? Number.POSITIVE_INFINITY : total;
    for (let p = 0; p < F; p++) {
      for (let q = 0; q <= p; q++) {
        G[p * F + q] -= (sums[p] * sums[q]) / steep;
        G[q * F + p] = G[p * F + q];
      }
    }
    return independentInverse(G, F, kernels);
  };
  const curved = { rows: F, curvature: 1, inverseHessian, value, gradient };
  const best = await leastLoss(curved, pause);
  if (best === null) return null;
  const filled = (_: Float64Array, out: Float64Array) => out.fill(1);
  return {
    loss: { ...curved, hessianDiagonal: filled },
    grams: new EntryGrams(forms.size, entries, kernels),
    ...{ best, outputsAt },
  };
}

/** Newton steps from zero to the least loss; null where there is none. */
async function leastLoss(
  {
    rows: F,
    value,
    gradient,
    inverseHessian,
  }: Pick<InteriorLoss, "rows" | "value" | "gradient"> & { inverseHessian(theta: Float64Array): Float64Array | null },
  pause: Pause,
): Promise<Float64Array | null> {
  let theta: Float64Array = new Float64Array(F);
  let before = value(theta);
  const slope = new Float64Array(F);
  for (let step = 0; step < MOST_STEPS; step++) {
    if (await pause()) return null;
    gradient(theta, slope);
    const inverse = inverseHessian(theta);
    if (inverse === null) return null;
    const along = times(inverse, slope);
    let [length, next, after] = [1, theta, before];
    for (let half = 0; half < HALVES; half++, length /= 2) {
      next = theta.map((entry, p) => entry - length * along[p]);
      after = value(next);
      if (after <= before) break;
    }
    if (!(after <= before)) return theta; // rounding is reached
    const ended = before - after <= Number.EPSILON * before;
    [theta, before] = [next, after];
    if (ended) return theta;
  }
  return null;
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

/** Entry f of theta is the mean of entries (rows[f m + a], columns[f m + a]), a < m, of a symmetric matrix. */
interface Entries {
  readonly count: number; // F
  readonly m: number;
  readonly rows: Int32Array;
  readonly columns: Int32Array;
}

/** Those that outputs see: (i, j), i >= j, or of bilinear units (i, d + j) and (j, d + i). A corner is the trace of the rest, |u|^2 of a unit. */
function entriesOf({ kind, X: { cols: d } }: SignForms): Entries {
  const [rows, columns]: number[][] = [[], []];
  const bilinear = kind === "bilinear";
  for (let i = 0; i < d; i++) {
    for (let j = 0; j <= i; j++) {
      if (!bilinear && kind.a === 0 && (kind.c === 0 || i !== j)) continue;
      rows.push(i);
      columns.push(bilinear ? d + j : j);
      if (bilinear) {
        rows.push(j);
        columns.push(d + i);
      }
    }
  }
  if (!bilinear && kind.b !== 0) {
    for (let i = 0; i < d; i++) {
      rows.push(d);
      columns.push(i);
    }
  }
  const m = bilinear ? 2 : 1;
  return { count: rows.length / m, m, rows: Int32Array.from(rows), columns: Int32Array.from(columns) };
}

/** What outputs are linear in [count x F], of rows of X from `from` on. */
function featuresOf({ kind, X, scale }: SignForms, { count: F }: Entries, from: number, count: number): Float64Array {
  const { cols: d, data } = X;
  const Phi = new Float64Array(count * F);
  let to = 0;
  const [a, b, c] = kind === "bilinear" ? [1, 0, 0] : [kind.a, kind.b, kind.c];
  for (let k = from; k < from + count; k++) {
    const x = k * d;
    for (let i = 0; (a !== 0 || c !== 0) && i < d; i++) {
      const value = 2 * scale * a * data[x + i];
      for (let j = 0; a !== 0 && j < i; j++) Phi[to++] = value * data[x + j];
      Phi[to++] = (value / 2) * data[x + i] + scale * c;
    }
    for (let i = 0; b !== 0 && i < d; i++) Phi[to++] = scale * b * data[x + i];
  }
  return Phi;
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
    const zeros = () => new Float64Array(diagonals.length / D);
    const twice = Q.map((value) => 2 * value);
    if (!signs.every((sign) => kernels.factor(partner(problem, twice, sign, zeros()), D))) continue;
    const matrices = matricesOf(grams.form(Z), signs, D, more);
    if (matrices === null) return null;
    const cones: Cone[] = [];
    for (const [s, sign] of signs.entries()) {
      const K = partner(problem, Q, sign, zeros());
      const inverse = inverseOf(K, D, kernels);
      if (inverse === null) return null;
      cones.push({ sign, K, inverse, W: matrices[s], multipliers: zeros() });
    }
    return { Z, bias: 0, cones };
  }
  return null;
}

/** What a Newton step asks of entries. */
export class EntryGrams implements EntryForms {
  constructor(
    private readonly D: number,
    private readonly entries: Entries,
    private readonly kernels: Kernels,
  ) {}

  outputs(W: Float64Array): Float64Array {
    const { D } = this;
    const { count, m, rows, columns } = this.entries;
    const theta = new Float64Array(count);
    for (let f = 0; f < count * m; f++) theta[(f / m) | 0] += W[rows[f] * D + columns[f]] / m;
    return theta;
  }

  entriesOf(W: Float64Array): Float64Array {
    return this.outputs(W);
  }

  matrix(N: Float64Array): Float64Array {
    const { D } = this;
    const { count, m, rows, columns } = this.entries;
    const Q = new Float64Array(D * D);
    for (let f = 0; f < count * m; f++) {
      const half = N[(f / m) | 0] / (2 * m);
      Q[rows[f] * D + columns[f]] += half;
      Q[columns[f] * D + rows[f]] += half;
    }
    return Q;
  }

  /** A symmetric matrix with these entries, zeros elsewhere but for a corner that is the trace of the rest. */
  form(theta: Float64Array): Float64Array {
    const { D } = this;
    const { count, m, rows, columns } = this.entries;
    const W = new Float64Array(D * D);
    for (let f = 0; f < count * m; f++) {
      W[rows[f] * D + columns[f]] = theta[(f / m) | 0];
      W[columns[f] * D + rows[f]] = theta[(f / m) | 0];
    }
    for (let i = 0; i < D - 1; i++) W[D * D - 1] += W[i * D + i];
    return W;
  }

  /** H += tr(M_f W M_g V), of which M_f is the mean of m matrices with halves at (p, q) and (q, p). */
  addCone(W: Float64Array, V: Float64Array, diagonals: Float64Array, H: Float64Array): Float64Array {
    const { D, kernels } = this;
    const { count: F, m, rows, columns } = this.entries;
    const share = 1 / (4 * m * m);
    for (let f = 0; f < F * m; f++) {
      const p = rows[f] * D;
      const q = columns[f] * D;
      const to = ((f / m) | 0) * F;
      const last = (((f / m) | 0) + 1) * m;
      for (let g = 0; g < last; g++) {
        const r = rows[g];
        const s = columns[g];
        H[to + ((g / m) | 0)] +=
          share * (W[q + r] * V[p + s] + W[q + s] * V[p + r] + W[p + r] * V[q + s] + W[p + s] * V[q + r]);
      }
    }
    const terms = new Float64Array(F * D);
    for (let f = 0; f < F * m; f++) {
      const p = rows[f] * D;
      const q = columns[f] * D;
      const to = ((f / m) | 0) * D;
      for (let t = 0; t < D; t++) terms[to + t] += (W[q + t] * V[p + t] + W[p + t] * V[q + t]) / (2 * m);
    }
    const q = diagonals.length / D;
    const B = new Float64Array(F * q);
    kernels.multiplyTransposed(terms, diagonals, B, F, D, q);
    return B;
  }
}

/** The same of entries that are kept, in which `turn` [kept x F] has the outputs of all. */
class FewerGrams implements EntryForms {
  constructor(
    private readonly all: EntryGrams,
    private readonly kept: readonly number[],
    private readonly turn: Float64Array,
    private readonly F: number,
    private readonly kernels: Kernels,
  ) {}

  entriesOf(W: Float64Array): Float64Array {
    return this.all.outputs(W);
  }

  outputs(W: Float64Array): Float64Array {
    const entries = this.all.outputs(W);
    return Float64Array.from(this.kept, (_, f) => dotAt(this.turn, f * this.F, entries, 0, this.F));
  }

  matrix(N: Float64Array): Float64Array {
    const { F, turn } = this;
    const entries = new Float64Array(F);
    for (let f = 0; f < N.length; f++) for (let p = 0; p < F; p++) entries[p] += N[f] * turn[f * F + p];
    return this.all.matrix(entries);
  }

  form(theta: Float64Array): Float64Array {
    const entries = new Float64Array(this.F);
    for (const [f, p] of this.kept.entries()) entries[p] = theta[f];
    return this.all.form(entries);
  }

  addCone(W: Float64Array, V: Float64Array, diagonals: Float64Array, H: Float64Array): Float64Array {
    const { F, turn, kernels } = this;
    const size = this.kept.length;
    const whole = new Float64Array(F * F);
    const ends = this.all.addCone(W, V, diagonals, whole);
    for (let p = 0; p < F; p++) for (let q = 0; q < p; q++) whole[q * F + p] = whole[p * F + q];
    const [half, own] = [new Float64Array(size * F), new Float64Array(size * size)];
    kernels.multiply(turn, whole, half, size, F, F);
    kernels.multiplyTransposed(half, turn, own, size, F, size);
    for (let k = 0; k < own.length; k++) H[k] += own[k];
    const q = ends.length / F;
    const B = new Float64Array(size * q);
    kernels.multiply(turn, ends, B, size, F, q);
    return B;
  }
}
