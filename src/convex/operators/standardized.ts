/**
 * Standardised columns: each column of x less its mean, brought to the spread of the widest, and the way of weights there and back.
 *
 * One spread for all, so that no column's unit matters; that of the widest, so that beta has the unit that x has: no kernel is charged
 * more than it would be for x as it is.
 *
 * A network on z = (x - mean) / spread with weights v and bias b is the network on x with weights v / spread and bias
 * b - mean' (v / spread): the same outputs on every row. Constant columns, whose part the bias plays, are left out.
 *
 * Of many more columns than rows the span V of these rows is enough: a network on z V with weights u is that on z with weights V u,
 * of the same norm.
 */

import { type NetworkWeights, overColumn } from "../network.js";
import type { Matrix } from "../types.js";
import { type RowSpace, reducedRows } from "./axes/index.js";

/** A spread below this share of the largest entry is the rounding of a constant to float32. */
const ROUNDING = 2 ** -24;

export interface Standardized {
  readonly columns: Int32Array; // [r], the columns of x that vary, increasing
  readonly mean: Float64Array; // [d]; the value of a constant column; zeros without a hidden bias, which takes the mean up
  /** [d], over that of the widest column: standard deviations, root mean squares without a hidden bias; 1 for constant columns. */
  readonly spread: Float64Array;
  readonly span: RowSpace | null; // of the standardised rows, where the program is posed in that
}

/** Means and spreads of the rows, each counted as often as its weight says; `centred` where a hidden bias takes up the mean. */
export function standardizedOf(X: Matrix, weights: Float64Array | null, centred: boolean): Standardized {
  const { rows: n, cols: d } = X;
  const total = weights === null ? n : weights.reduce((sum, weight) => sum + weight, 0);
  const share = (k: number) => (weights === null ? 1 : weights[k]) / total;
  const mean = new Float64Array(d);
  const spread = new Float64Array(d).fill(1);
  const columns: number[] = [];
  for (let p = 0; p < d; p++) {
    const { center, deviation, largest } = momentsOf(X, p, centred, share);
    mean[p] = center;
    if (deviation > ROUNDING * largest) {
      spread[p] = deviation;
      columns.push(p);
    }
  }
  const widest = columns.reduce((most, p) => Math.max(most, spread[p]), 0);
  for (const p of columns) spread[p] /= widest;
  return { columns: Int32Array.from(columns), mean, spread, span: null };
}

/** Mean (0 where not centred), deviation from it, and the largest entry of a column; in two passes, from its first entry. */
function momentsOf(
  { rows: n, cols: d, data }: Matrix,
  p: number,
  centred: boolean,
  share: (k: number) => number,
): { center: number; deviation: number; largest: number } {
  const first = centred ? data[p] : 0;
  let shift = 0;
  let largest = 0;
  for (let k = 0; k < n; k++) {
    const weight = share(k);
    if (weight === 0) continue;
    shift += weight * (data[k * d + p] - first);
    largest = Math.max(largest, Math.abs(data[k * d + p]));
  }
  const center = centred ? first + shift : 0;
  // Over the largest entry, so that squares of small columns do not vanish.
  let square = 0;
  for (let k = 0; k < n && largest > 0; k++) square += share(k) * ((data[k * d + p] - center) / largest) ** 2;
  return { center, deviation: Math.sqrt(square) * largest, largest };
}

/** (x - mean) / spread of the columns that vary [n x r], or its coordinates in the span. */
export function standardizedRows({ rows, cols: d, data: x }: Matrix, space: Standardized): Matrix {
  const { columns, mean, spread, span } = space;
  const r = columns.length;
  const data = new Float64Array(rows * r);
  for (let k = 0; k < rows; k++) {
    for (let i = 0; i < r; i++) {
      const p = columns[i];
      data[k * r + i] = (x[k * d + p] - mean[p]) / spread[p];
    }
  }
  const z = { rows, cols: r, data };
  return span === null ? z : reducedRows(z, span);
}

/**
 * The rows of x from those in standardised columns, which are x = mean + spread z, as the affine map [(r + 1) x d] that makes them of
 * [z, 1]; not of a span.
 */
export function rowsOfX({ columns, mean, spread }: Standardized): Matrix {
  const d = mean.length;
  const r = columns.length;
  const data = new Float64Array((r + 1) * d);
  columns.forEach((p, i) => {
    data[i * d + p] = spread[p];
  });
  data.set(mean, r * d);
  return { rows: r + 1, cols: d, data };
}

/** One vector over standardised columns, and a bias over `biasColumn` where that is above 0, as float32 layers hold it for x. */
export function unstandardized(vector: Float64Array, space: Standardized, biasColumn: number): Float64Array {
  const { columns, mean, spread } = space;
  const d = mean.length;
  const r = columns.length;
  const out = new Float64Array(d + (biasColumn > 0 ? 1 : 0));
  const whole = space.span === null ? vector : outOf(space.span, vector);
  columns.forEach((p, i) => {
    out[p] = Math.fround(whole[i] / spread[p]);
  });
  if (biasColumn === 0) return out;
  // From the weights as rounded, so that their rounding acts on x - mean only.
  let bias = whole[r] * biasColumn;
  for (const p of columns) bias -= mean[p] * out[p];
  out[d] = overColumn(Math.fround(bias), biasColumn);
  return out;
}

/** The way back: a vector for x, and its bias over `biasColumn`, as one for standardised columns. */
export function standardizedVector(vector: Float64Array, space: Standardized, biasColumn: number): Float64Array {
  const { columns, mean, spread } = space;
  const d = mean.length;
  const r = columns.length;
  const out = new Float64Array(r + (biasColumn > 0 ? 1 : 0));
  columns.forEach((p, i) => {
    out[i] = vector[p] * spread[p];
  });
  if (biasColumn > 0) {
    out[r] = vector[d];
    for (let p = 0; p < d; p++) out[r] += (mean[p] * vector[p]) / biasColumn;
  }
  return space.span === null ? out : into(space.span, out);
}

/** V u, and what stands after it as it is. */
function outOf({ basis }: RowSpace, vector: Float64Array): Float64Array {
  const { rows: r, cols: k } = basis;
  const out = new Float64Array(r + vector.length - k);
  for (let i = 0; i < r; i++) for (let j = 0; j < k; j++) out[i] += basis.data[i * k + j] * vector[j];
  out.set(vector.subarray(k), r);
  return out;
}

/** V' v, and what stands after it as it is. */
function into({ basis }: RowSpace, vector: Float64Array): Float64Array {
  const { rows: r, cols: k } = basis;
  const out = new Float64Array(k + vector.length - r);
  for (let i = 0; i < r; i++) for (let j = 0; j < k; j++) out[j] += basis.data[i * k + j] * vector[i];
  out.set(vector.subarray(r), k);
  return out;
}

/** The weights of a network on standardised columns as layers hold them for x. */
export function unstandardizedWeights(
  weights: NetworkWeights,
  space: Standardized,
  biasColumn: number,
): NetworkWeights {
  const turn = (matrix: Matrix) => eachColumn(matrix, (vector) => unstandardized(vector, space, biasColumn));
  const { kernel, gates } = weights;
  return { ...weights, kernel: turn(kernel), gates: gates === null ? null : turn(gates), biasColumn };
}

/** The weights of layers for x as those of the same network on standardised columns. */
export function standardizedWeights(weights: NetworkWeights, space: Standardized, biasColumn: number): NetworkWeights {
  const turn = (matrix: Matrix) => eachColumn(matrix, (vector) => standardizedVector(vector, space, biasColumn));
  const { kernel, gates } = weights;
  return { ...weights, kernel: turn(kernel), gates: gates === null ? null : turn(gates), biasColumn: 0 };
}

function eachColumn({ rows, cols: m, data }: Matrix, turn: (vector: Float64Array) => Float64Array): Matrix {
  const turned = Array.from({ length: m }, (_, j) =>
    turn(Float64Array.from({ length: rows }, (_, p) => data[p * m + j])),
  );
  const height = turned[0]?.length ?? rows;
  const out = new Float64Array(height * m);
  turned.forEach((vector, j) => {
    for (let p = 0; p < height; p++) out[p * m + j] = vector[p];
  });
  return { rows: height, cols: m, data: out };
}
