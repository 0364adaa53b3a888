/**
 * The interior method's program in the entries of the matrices that outputs see, for squared losses on more rows than there are such entries.
 *
 * Outputs are linear in F entries theta of sum_s s W_s, and a squared loss is 1/2 theta'G theta - h'theta + const in them, G = Phi' L'' Phi, the output bias being
 * left at its best. So rows are summed up once, and steps take F x F systems whatever their number.
 */

import type { Kernels } from "../kernels/types.js";
import { dot, dotAt } from "../linear/vectors.js";
import type { Loss } from "../types.js";
import {
  type Cone,
  type Grams,
  type InteriorLoss,
  type InteriorProblem,
  inverseOf,
  type Pause,
  partner,
} from "./interiorCones.js";
import { matricesOf } from "./interiorMatrices.js";
import type { InteriorStart } from "./interiorStart.js";
import type { SignForms } from "./signForms.js";

/** Entries up to which a step's F x F system is cheap, and of the rows: from where on rows are as good. */
const MOST_ENTRIES = 600;
const SHARE = 0.8;
/** Multiplications that summing up may take: a few seconds. */
const MOST_WORK = 2 ** 34;
/** Rows that are summed up together. */
const PIECE = 1024;
/** What is left of a diagonal entry of G where its feature is as good as made by others. */
const DEPENDENT = 1e-10;

/** The program in entries, and the way back to rows. */
export interface EntryProgram {
  readonly loss: InteriorLoss;
  readonly grams: EntryGrams;
  /** Least loss: where G theta = h. */
  readonly best: Float64Array; // [F]
  /** Outputs [n] and the output bias at theta. */
  outputsAt(theta: Float64Array): { readonly Z: Float64Array; readonly bias: number };
}

/** Whether a program has few enough entries for its rows. */
export function entriesTake({ name, rows, separable, beside, hessianTimes }: Loss, forms: SignForms): boolean {
  if (name !== "meanSquaredError" || !separable || beside !== undefined || hessianTimes !== undefined) return false;
  const F = entriesOf(forms).count;
  return F <= MOST_ENTRIES && F <= SHARE * rows && rows * F * F <= MOST_WORK;
}

/** Null where features depend on each other, and when time is up. */
export async function entryProgram(
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
  let all = 0; // 1'L'(0)
  for (let k = 0; k < n; k++) {
    total += weights[k];
    all += slope[k];
  }
  const steep = outputBias === null ? Number.POSITIVE_INFINITY : total + 2 * outputBias.ridge;
  for (let p = 0; p < F; p++) {
    h[p] += (sums[p] * all) / steep;
    for (let q = 0; q <= p; q++) {
      G[p * F + q] -= (sums[p] * sums[q]) / steep;
      G[q * F + p] = G[p * F + q];
    }
  }
  const L = G.slice();
  if (!kernels.factor(L, F)) return null;
  for (let p = 0; p < F; p++) if (!(L[p * F + p] ** 2 > DEPENDENT * G[p * F + p])) return null;
  const inverseHessian = inverseOf(G, F, kernels);
  if (inverseHessian === null) return null;
  const times = (M: Float64Array, v: Float64Array) => {
    const out = new Float64Array(F);
    for (let p = 0; p < F; p++) out[p] = dotAt(M, p * F, v, 0, F);
    return out;
  };
  const least = loss.value(zero) - (outputBias === null ? 0 : all ** 2 / (2 * steep));
  let curvature = 0;
  for (let p = 0; p < F; p++) curvature = Math.max(curvature, G[p * F + p]);
  return {
    loss: {
      rows: F,
      curvature,
      inverseHessian,
      value: (theta) => least + dot(theta, times(G, theta)) / 2 - dot(h, theta),
      gradient: (theta, out) => {
        out.set(times(G, theta));
        for (let p = 0; p < F; p++) out[p] -= h[p];
      },
      hessianDiagonal: (_, out) => out.fill(1),
    },
    grams: new EntryGrams(forms.size, entries, kernels),
    best: times(inverseHessian, h),
    outputsAt: (theta) => {
      const Z = new Float64Array(n);
      for (let from = 0; from < n; from += PIECE) {
        const count = Math.min(PIECE, n - from);
        const Phi = featuresOf(forms, entries, from, count);
        for (let k = 0; k < count; k++) Z[from + k] = dotAt(Phi, k * F, theta, 0, F);
      }
      const bias = -(all + dot(sums, theta)) / steep;
      for (let k = 0; k < n; k++) Z[k] += bias;
      return { Z, bias };
    },
  };
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

/** Part of the way to the least loss at which the gradient is well inside, and matrices with these outputs; null where there is none in time. */
export async function startInEntries(
  problem: InteriorProblem,
  { loss, grams, best }: EntryProgram,
  kernels: Kernels,
  pause: Pause,
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
    const matrices = matricesOf(grams.form(Z), signs, D);
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
export class EntryGrams implements Grams {
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
