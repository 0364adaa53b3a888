/**
 * Data in fewer dimensions: the leading right singular vectors of X, and the way of weights back to all of them.
 *
 * A network on X V with weights u is the network on X with weights V u, of the same norm and the same outputs on every row: so
 * what is solved in r dimensions is exact for the network that is written. What is lost are directions outside the span.
 */

import { orthogonaliseRows } from "../linear/jacobi.js";
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
  const U = new Float64Array(r * r);
  const values = orthogonaliseRows(lower, r, r, U); // lower becomes S W' with B = U S W' Q
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
  const tail = kept < order.length ? values[order[kept]] : 0;
  return { basis: { rows: d, cols: kept, data }, mean, largest, tail };
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
