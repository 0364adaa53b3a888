/**
 * Rows far from the origin against their spread, as those of a column of years beside a hidden bias: coordinates in which they are not.
 *
 * With e along the mean row, of length h, and an orthogonal Q whose first column is e, u = Q diag(t / h, 1, ..) u' keeps all networks:
 * X u = X' u', where the first column of X' is about t instead of h. Its penalty |u'| is at least |u|, and more only for the share of
 * u along e, by the square of that share times h / t: little, since a neuron that changes its sign among the rows has a small one.
 */

import { norm } from "../linear/vectors.js";
import type { Matrix } from "../types.js";

export interface MeanDirection {
  readonly ratio: number; // h over the spread
  readonly mean: Float64Array; // [d]
  readonly length: number; // h
  readonly spread: number; // the rows' root mean square distance from the line through the origin and their mean
}

/** Where the rows are, against how far they are from one another. */
export function meanDirectionOf({ rows: n, cols: d, data }: Matrix): MeanDirection {
  const mean = new Float64Array(d);
  for (let p = 0; p < d; p++) {
    let shift = 0;
    for (let k = 0; k < n; k++) shift += data[k * d + p] - data[p];
    mean[p] = data[p] + shift / n;
  }
  const length = norm(mean);
  let square = 0;
  for (let k = 0; k < n && length > 0; k++) {
    let along = 0;
    for (let p = 0; p < d; p++) along += (data[k * d + p] - mean[p]) * (mean[p] / length);
    for (let p = 0; p < d; p++) square += (data[k * d + p] - mean[p] - along * (mean[p] / length)) ** 2;
  }
  const spread = Math.sqrt(square / n);
  return { ratio: spread > 0 ? length / spread : 0, mean, length, spread };
}

/** The rows X' and both ways of vectors, for a first column of `reach` spreads. */
export class Nearer {
  readonly X: Matrix;
  private readonly v: Float64Array; // of the reflection I - 2 v v' / |v|^2 that takes e to the first axis
  private readonly square: number;
  private readonly shrink: number; // t / h

  constructor({ rows, cols: d, data: x }: Matrix, { mean, length, spread }: MeanDirection, reach: number) {
    const sign = mean[0] < 0 ? -1 : 1;
    // To -sign times the first axis, so that nothing cancels.
    this.v = mean.map((value, p) => value / length + (p === 0 ? sign : 0));
    this.square = this.v.reduce((sum, value) => sum + value * value, 0);
    this.shrink = (reach * spread) / length;
    const data = new Float64Array(rows * d);
    for (let k = 0; k < rows; k++) {
      const row = this.reflected(mean.map((value, p) => x[k * d + p] - value));
      row[0] = (row[0] - sign * length) * this.shrink;
      data.set(row, k * d);
    }
    this.X = { rows, cols: d, data };
  }

  /** u of u'. */
  out(vector: Float64Array): Float64Array {
    const scaled = vector.slice();
    scaled[0] *= this.shrink;
    return this.reflected(scaled);
  }

  /** u' of u. */
  into(vector: Float64Array): Float64Array {
    const turned = this.reflected(vector);
    turned[0] /= this.shrink;
    return turned;
  }

  private reflected(vector: Float64Array): Float64Array {
    let product = 0;
    for (let p = 0; p < vector.length; p++) product += this.v[p] * vector[p];
    const factor = (2 * product) / this.square;
    return vector.map((value, p) => value - factor * this.v[p]);
  }
}
