/**
 * Data in fewer dimensions: the leading right singular vectors of X, and the way of weights back to all of them.
 *
 * A network on X V with weights u is the network on X with weights V u, of the same norm and the same outputs on every row: so
 * what is solved in r dimensions is exact for the network that is written. What is lost are directions outside the span.
 */

import type { Kernels } from "../../kernels/types.js";
import { eigenInPieces, orthogonaliseRows, orthogonalisingRows } from "../../linear/eigen/index.js";
import { atOnce, type Pieces, unlessOver } from "../../linear/pieces.js";
import { dotAt, largestOf, lengthsOfRows } from "../../linear/vectors.js";
import { type NetworkWeights, roundedAsWritten } from "../../network.js";
import { factoringRows } from "../../penalties/rowFactor.js";
import type { Matrix } from "../../types.js";

/** Singular values below this share of the largest are the rounding of data in float32. */
export const ROUNDING = 2 ** -22;

export interface RowSpace {
  readonly basis: Matrix; // V [d x r], orthonormal columns
  readonly mean: Float64Array | null; // [d], taken off the rows before; null: nothing
  readonly largest: number; // the first singular value, or a norm that is at least that
  /** At most that of X - X V V', or its spectral norm: the first singular value that is left out; 0 when none is. */
  readonly tail: number;
  /** Null for the leading axes, or all; where time was up before these were known, the share of the squares of X that they hold. */
  readonly share: number | null;
}

/** What float64 may change of rows that are taken to a span and back, in spectral norm, as a share of the largest singular value. */
const SPAN_ROUNDING = 2 ** -45;

/** At most the spectral norm of X less its part in a span as it was computed: what is left out, and rounding. */
export function distanceTo({ tail, largest }: RowSpace): number {
  return tail + SPAN_ROUNDING * largest;
}

/** The span of the first `rank` singular vectors, or of all above rounding. */
export function rowSpaceOf(
  X: Matrix,
  rank: number | "numerical",
  rounding = ROUNDING, // singular values below this share of the largest are left out
): RowSpace {
  return atOnce(findingRowSpace(X, rank, rounding)) as RowSpace;
}

/** The same in pieces; null where it is told to end before it has them. */
export function* findingRowSpace(X: Matrix, rank: number | "numerical", rounding = ROUNDING): Pieces<RowSpace | null> {
  const { rows: n, cols: d } = X;
  const wide = n < d;
  const [r, w] = wide ? [n, d] : [d, n];
  const B = new Float64Array(r * w);
  for (let k = 0; k < n; k++) {
    for (let p = 0; p < d; p++) B[wide ? k * d + p : p * n + k] = X.data[k * d + p];
  }
  const factor = yield* unlessOver(factoringRows(B, r, w));
  if (factor === null) return null;
  const { lower, timesQ } = factor;
  const found = yield* factoring(lower, r, rank === "numerical" ? r : rank + 1);
  if (found === null) return null;
  const { U, values } = found;
  const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a]);
  const largest = values[order[0]];
  const above = order.filter((k) => values[k] > rounding * largest).length;
  const kept = rank === "numerical" ? above : Math.min(rank, above);
  const data = new Float64Array(d * kept);
  for (let i = 0; i < kept; i++) {
    const k = order[i];
    const v = wide ? timesQ(lower.subarray(k * r, (k + 1) * r)) : null;
    for (let p = 0; p < d; p++) data[p * kept + i] = v === null ? U[p * d + k] : v[p] / values[k];
    if (yield) return null;
  }
  const tail = yield* remainderOf(lower, r, order.slice(kept));
  return { basis: { rows: d, cols: kept, data }, mean: null, largest, tail, share: null };
}

/** At most the spectral norm of these rows of [r x r], orthogonal up to rounding: Gershgorin's theorem on their Gram matrix. */
function* remainderOf(rows: Float64Array, r: number, places: readonly number[]): Pieces<number> {
  const sums = new Float64Array(places.length);
  for (let i = 0; i < places.length; i++) {
    for (let j = 0; j <= i; j++) {
      let product = 0;
      for (let p = 0, a = places[i] * r, b = places[j] * r; p < r; p++, a++, b++) product += rows[a] * rows[b];
      sums[i] += Math.abs(product);
      if (j < i) sums[j] += Math.abs(product);
    }
    yield;
  }
  return Math.sqrt(largestOf(sums));
}

/** Rows from which on rotations alone would take many sweeps. */
const MANY = 32;

/**
 * L = U S W' for L [r x r], whose place S W' takes, by rotations; many rows are first turned to the eigenvectors of L L', where rounding
 * alone is left to be rotated (Drmac and Veselic 2008 turn them by a factorisation), and only of the `most` largest.
 */
function* factoring(
  L: Float64Array,
  r: number,
  most: number,
): Pieces<{ readonly U: Float64Array; readonly values: Float64Array } | null> {
  const U = new Float64Array(r * r);
  if (r < MANY) return { U, values: orthogonaliseRows(L, r, r, U) };
  const gram = new Float64Array(r * r);
  for (let i = 0; i < r; i++) {
    for (let j = 0; j <= i; j++) gram[i * r + j] = dotAt(L, i * r, L, j * r, j + 1);
    if (yield) return null;
  }
  const eigen = yield* eigenInPieces(gram, r);
  if (eigen === null) return null;
  const turned = new Float64Array(r * r);
  for (let i = 0; i < r; i++) {
    const vector = eigen.vectors.data.subarray((r - 1 - i) * r, (r - i) * r); // the largest first
    addProduct(vector, L, r, turned.subarray(i * r, (i + 1) * r));
    for (let p = 0; p < r; p++) U[p * r + i] = vector[p];
    if (yield) return null;
  }
  const m = Math.min(r, most);
  const more = new Float64Array(m * m);
  if ((yield* unlessOver(orthogonalisingRows(turned.subarray(0, m * r), m, r, more))) === null) return null;
  L.set(turned);
  for (let at = 0; at < r * r; at += r) {
    const along = U.slice(at, at + m);
    addProduct(along, more, m, U.subarray(at, at + m).fill(0));
    if (yield) return null;
  }
  return { U, values: lengthsOfRows(turned, r) };
}

/** out += a' M for a of as many entries as M [a x width] has rows. */
function addProduct(a: Float64Array, M: Float64Array, width: number, out: Float64Array): void {
  for (let k = 0; k < a.length; k++) {
    const factor = a[k];
    for (let p = 0, at = k * width; p < width; p++, at++) out[p] += factor * M[at];
  }
}

/** Multiplications of a piece, which keep it to some 10 ms. */
export const PIECE = 2 ** 25;

/** `reducedRows` in pieces, by an engine's products. */
export function* rowsInAxes(
  X: Matrix,
  { basis, mean }: Pick<RowSpace, "basis" | "mean">,
  kernels: Kernels,
): Pieces<Matrix> {
  const { rows: n, cols: d } = X;
  const r = basis.cols;
  const data = new Float64Array(n * r);
  const height = Math.max(1, Math.ceil(PIECE / (d * Math.max(1, r))));
  for (let from = 0; from < n; from += height) {
    const to = Math.min(n, from + height);
    let rows = X.data.subarray(from * d, to * d);
    if (mean !== null) {
      rows = rows.slice();
      for (let k = 0; k < to - from; k++) for (let p = 0; p < d; p++) rows[k * d + p] -= mean[p];
    }
    kernels.multiply(rows, basis.data, data.subarray(from * r, to * r), to - from, d, r);
    yield;
  }
  return { rows: n, cols: r, data };
}

/** (X - mean) V [n x r]. */
export function reducedRows(X: Matrix, { basis, mean }: RowSpace): Matrix {
  const { rows: n, cols: d } = X;
  const r = basis.cols;
  const data = new Float64Array(n * r);
  for (let k = 0; k < n; k++) {
    for (let p = 0; p < d; p++) {
      const value = X.data[k * d + p] - (mean?.[p] ?? 0);
      if (value !== 0) for (let i = 0; i < r; i++) data[k * r + i] += value * basis.data[p * r + i];
    }
  }
  return { rows: n, cols: r, data };
}

/**
 * Weights for the data as they are, in numbers that a float32 layer can hold: V u, and with a mean the bias less mean' V u.
 * With a `biasColumn` t the last row of the kernels is the bias over t.
 */
export function unfoldedWeights(weights: NetworkWeights, space: RowSpace, biasColumn: number): NetworkWeights {
  const { kernel, gates } = weights;
  return {
    ...weights,
    kernel: unfolded(kernel, space, biasColumn),
    gates: gates === null ? null : unfolded(gates, space, biasColumn),
    biasColumn,
  };
}

function unfolded(kernel: Matrix, { basis, mean }: RowSpace, biasColumn: number): Matrix {
  const { rows: d, cols: r } = basis;
  const m = kernel.cols;
  const rows = d + (biasColumn > 0 ? 1 : 0);
  const data = new Float64Array(rows * m);
  for (let j = 0; j < m; j++) {
    const column = new Float64Array(rows);
    for (let p = 0; p < d; p++) {
      for (let i = 0; i < r; i++) column[p] += basis.data[p * r + i] * kernel.data[i * m + j];
    }
    if (biasColumn > 0) {
      column[d] = kernel.data[r * m + j];
      for (let p = 0; p < d && mean !== null; p++) column[d] -= (mean[p] * column[p]) / biasColumn;
    }
    roundedAsWritten(column, biasColumn).forEach((value, p) => {
      data[p * m + j] = value;
    });
  }
  return { rows, cols: m, data };
}

export function meanOf({ rows: n, cols: d, data }: Matrix): Float64Array {
  const mean = new Float64Array(d);
  for (let k = 0; k < n; k++) for (let p = 0, at = k * d; p < d; p++, at++) mean[p] += data[at] / n;
  return mean;
}

/** X - 1 mean'. */
export function lessMean({ rows: n, cols: d, data }: Matrix, mean: Float64Array): Matrix {
  const out = data.slice();
  for (let k = 0; k < n; k++) for (let p = 0, at = k * d; p < d; p++, at++) out[at] -= mean[p];
  return { rows: n, cols: d, data: out };
}
