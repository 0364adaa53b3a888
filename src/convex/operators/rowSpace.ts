/**
 * Data in fewer dimensions: the leading right singular vectors of X, and the way of weights back to all of them.
 *
 * A network on X V with weights u is the network on X with weights V u, of the same norm and the same outputs on every row: so
 * what is solved in r dimensions is exact for the network that is written. What is lost are directions outside the span.
 */

import { eigenSymmetric } from "../linear/eigen.js";
import { orthogonaliseRows } from "../linear/jacobi.js";
import { norm } from "../linear/vectors.js";
import { type NetworkWeights, roundedAsWritten } from "../network.js";
import { rowFactor } from "../penalties/rowFactor.js";
import type { Matrix } from "../types.js";

/** Singular values below this share of the largest are the rounding of data in float32. */
const ROUNDING = 2 ** -22;

export interface RowSpace {
  readonly basis: Matrix; // V [d x r], orthonormal columns
  readonly mean: Float64Array | null; // [d], taken off the rows before; null: nothing
  readonly largest: number; // the first singular value
  /** The first singular value that is left out, the spectral norm of X - X V V'; 0 when none is. */
  readonly tail: number;
}

/** What float64 may change of rows that are taken to a span and back, in spectral norm, as a share of the largest singular value. */
const SPAN_ROUNDING = 2 ** -45;

/** At most the spectral norm of X less its part in a span as it was computed: what is left out, and rounding. */
export function distanceTo({ tail, largest }: RowSpace): number {
  return tail + SPAN_ROUNDING * largest;
}

/** The span of the first `rank` singular vectors, or of all above rounding; of the rows less their mean where `centred`. */
export function rowSpaceOf(
  X: Matrix,
  rank: number | "numerical",
  centred = false,
  rounding = ROUNDING, // singular values below this share of the largest are left out
): RowSpace {
  const { rows: n, cols: d } = X;
  const mean = centred ? meanOf(X) : null;
  const wide = n < d;
  const [r, w] = wide ? [n, d] : [d, n];
  const B = new Float64Array(r * w);
  for (let k = 0; k < n; k++) {
    for (let p = 0; p < d; p++) B[wide ? k * d + p : p * n + k] = X.data[k * d + p] - (mean?.[p] ?? 0);
  }
  const { lower, timesQ } = rowFactor(B, r, w);
  const { U, values } = factored(lower, r, rank === "numerical" ? r : rank + 1);
  const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a]);
  const largest = values[order[0]];
  const above = order.filter((k) => values[k] > rounding * largest).length;
  const kept = rank === "numerical" ? above : Math.min(rank, above);
  const data = new Float64Array(d * kept);
  for (let i = 0; i < kept; i++) {
    const k = order[i];
    const v = wide ? timesQ(lower.subarray(k * r, (k + 1) * r)) : null;
    for (let p = 0; p < d; p++) data[p * kept + i] = v === null ? U[p * d + k] : v[p] / values[k];
  }
  const tail = remainderOf(lower, r, order.slice(kept));
  return { basis: { rows: d, cols: kept, data }, mean, largest, tail };
}

/** At most the spectral norm of these rows of [r x r], orthogonal up to rounding: Gershgorin's theorem on their Gram matrix. */
function remainderOf(rows: Float64Array, r: number, places: readonly number[]): number {
  const sums = new Float64Array(places.length);
  for (let i = 0; i < places.length; i++) {
    for (let j = 0; j <= i; j++) {
      let product = 0;
      for (let p = 0, a = places[i] * r, b = places[j] * r; p < r; p++, a++, b++) product += rows[a] * rows[b];
      sums[i] += Math.abs(product);
      if (j < i) sums[j] += Math.abs(product);
    }
  }
  return Math.sqrt(sums.reduce((most, sum) => Math.max(most, sum), 0));
}

/** Rows from which on rotations alone would take many sweeps. */
const MANY = 32;

/**
 * L = U S W' for L [r x r], whose place S W' takes, by rotations; many rows are first turned to the eigenvectors of L L', where rounding
 * alone is left to be rotated (Drmac and Veselic 2008 turn them by a factorisation), and only of the `most` largest.
 */
function factored(
  L: Float64Array,
  r: number,
  most: number,
): { readonly U: Float64Array; readonly values: Float64Array } {
  const U = new Float64Array(r * r);
  if (r < MANY) return { U, values: orthogonaliseRows(L, r, r, U) };
  const gram = new Float64Array(r * r);
  for (let i = 0; i < r; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let p = 0; p <= j; p++) sum += L[i * r + p] * L[j * r + p];
      gram[i * r + j] = sum;
    }
  }
  const { vectors } = eigenSymmetric(gram, r);
  const turned = new Float64Array(r * r);
  for (let i = 0; i < r; i++) {
    const vector = vectors.data.subarray((r - 1 - i) * r, (r - i) * r); // the largest first
    addProduct(vector, L, r, turned.subarray(i * r, (i + 1) * r));
    for (let p = 0; p < r; p++) U[p * r + i] = vector[p];
  }
  const m = Math.min(r, most);
  const more = new Float64Array(m * m);
  orthogonaliseRows(turned.subarray(0, m * r), m, r, more);
  L.set(turned);
  for (let at = 0; at < r * r; at += r) {
    const along = U.slice(at, at + m);
    addProduct(along, more, m, U.subarray(at, at + m).fill(0));
  }
  const values = Float64Array.from({ length: r }, (_, k) => norm(turned.subarray(k * r, (k + 1) * r)));
  return { U, values };
}

/** out += a' M for a of as many entries as M [a x width] has rows. */
function addProduct(a: Float64Array, M: Float64Array, width: number, out: Float64Array): void {
  for (let k = 0; k < a.length; k++) {
    const factor = a[k];
    for (let p = 0, at = k * width; p < width; p++, at++) out[p] += factor * M[at];
  }
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

function meanOf({ rows: n, cols: d, data }: Matrix): Float64Array {
  const mean = new Float64Array(d);
  for (let k = 0; k < n * d; k++) mean[k % d] += data[k] / n;
  return mean;
}
