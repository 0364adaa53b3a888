/** The entries of matrices that outputs see: which there are, what outputs are linear in, and what a Newton step asks of them. */

import type { Kernels } from "../../../kernels/types.js";
import { dotAt } from "../../../linear/vectors.js";
import type { SignForms } from "../../signForms.js";
import type { Grams } from "../cones.js";
import type { Diagonals } from "../diagonals.js";

/** Rows whose features are made together. */
export const PIECE = 1024;

/** What a step asks of entries, of which the grams' outputs may be fewer: of features that others make there is nothing to say. */
export interface EntryForms extends Grams {
  /** All entries [F] of a matrix. */
  entriesOf(W: Float64Array): Float64Array;
  /** A symmetric matrix with these outputs, zeros elsewhere but for a corner that is the trace of the rest. */
  form(theta: Float64Array): Float64Array;
}

/** Entry f of theta is the mean of entries (rows[f m + a], columns[f m + a]), a < m, of a symmetric matrix. */
export interface Entries {
  readonly count: number; // F
  readonly m: number;
  readonly rows: Int32Array;
  readonly columns: Int32Array;
}

/** Those that outputs see: (i, j), i >= j, or of bilinear units (i, d + j) and (j, d + i). A corner is the trace of the rest, |u|^2 of a unit. */
export function entriesOf({ kind, X: { cols: d } }: SignForms): Entries {
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
export function featuresOf(
  { kind, X, scale }: SignForms,
  { count: F }: Entries,
  from: number,
  count: number,
): Float64Array {
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

/** sum_k N_k M_k [D x D] as `EntryGrams` has it, of N [n]. */
export function matrixOfRows(forms: SignForms, N: Float64Array): Float64Array {
  const entries = entriesOf(forms);
  const F = entries.count;
  const sums = new Float64Array(F);
  for (let from = 0; from < N.length; from += PIECE) {
    const count = Math.min(PIECE, N.length - from);
    const Phi = featuresOf(forms, entries, from, count);
    for (let f = 0, k = from; k < from + count; k++) for (let p = 0; p < F; p++, f++) sums[p] += N[k] * Phi[f];
  }
  return new EntryGrams(forms.size, entries).matrix(sums);
}

/** A symmetric matrix [D x D] with entries theta, zeros elsewhere but for a corner that is the trace of the rest. */
export function formOf(theta: Float64Array, { count, m, rows, columns }: Entries, D: number): Float64Array {
  const W = new Float64Array(D * D);
  for (let f = 0; f < count * m; f++) {
    W[rows[f] * D + columns[f]] = theta[(f / m) | 0];
    W[columns[f] * D + rows[f]] = theta[(f / m) | 0];
  }
  for (let i = 0; i < D - 1; i++) W[D * D - 1] += W[i * D + i];
  return W;
}

/** What a Newton step asks of entries. */
export class EntryGrams implements EntryForms {
  constructor(
    private readonly D: number,
    private readonly entries: Entries,
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

  form(theta: Float64Array): Float64Array {
    return formOf(theta, this.entries, this.D);
  }

  /** H += tr(M_f W M_g V), of which M_f is the mean of m matrices with halves at (p, q) and (q, p). */
  addCone(W: Float64Array, V: Float64Array, diagonals: Diagonals, H: Float64Array): Float64Array {
    const { D } = this;
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
    return diagonals.times(terms);
  }
}

/** The same of coordinates t = turn theta [p], from which `back` makes entries [F] that have them. */
export class TurnedGrams implements EntryForms {
  constructor(
    private readonly all: EntryGrams,
    private readonly turn: Float64Array, // [p x F]
    private readonly p: number,
    private readonly kernels: Kernels,
    private readonly back: (t: Float64Array) => Float64Array,
  ) {}

  entriesOf(W: Float64Array): Float64Array {
    return this.all.outputs(W);
  }

  outputs(W: Float64Array): Float64Array {
    return this.turned(this.all.outputs(W));
  }

  turned(theta: Float64Array): Float64Array {
    const F = theta.length;
    return Float64Array.from({ length: this.p }, (_, i) => dotAt(this.turn, i * F, theta, 0, F));
  }

  matrix(N: Float64Array): Float64Array {
    const { p, turn } = this;
    const entries = new Float64Array(turn.length / p);
    const F = entries.length;
    for (let i = 0; i < p; i++) for (let f = 0; f < F; f++) entries[f] += N[i] * turn[i * F + f];
    return this.all.matrix(entries);
  }

  form(t: Float64Array): Float64Array {
    return this.all.form(this.back(t));
  }

  addCone(W: Float64Array, V: Float64Array, diagonals: Diagonals, H: Float64Array): Float64Array {
    const { p, turn, kernels } = this;
    const F = turn.length / p;
    const whole = new Float64Array(F * F);
    const ends = this.all.addCone(W, V, diagonals, whole);
    for (let f = 0; f < F; f++) for (let g = 0; g < f; g++) whole[g * F + f] = whole[f * F + g];
    const [half, own] = [new Float64Array(p * F), new Float64Array(p * p)];
    kernels.multiply(turn, whole, half, p, F, F);
    kernels.multiplyTransposed(half, turn, own, p, F, p);
    for (let k = 0; k < own.length; k++) H[k] += own[k];
    const q = diagonals.count;
    const B = new Float64Array(p * q);
    kernels.multiply(turn, ends, B, p, F, q);
    return B;
  }
}
