/** Bases of null spaces: the directions in which coefficients may move without a change of what they add up to. */

import { orthogonaliseRows } from "../linear/eigen/index.js";
import { dot, norm } from "../linear/vectors.js";
import type { Matrix } from "../types.js";

/** Singular values of the unit columns below this share of the largest count as zero: the columns are known no better. */
const RANK = 1e-7;
/** A coordinate whose row in a basis is this short cannot move. */
export const FIXED = 1e-8;

/** W [rows x k]: orthonormal columns that span {w : sum_j w_j column_j = 0}; columns are scaled to length one before. */
export function nullBasis({ rows, cols, data }: Matrix): Matrix {
  const B = data.slice();
  const lengths = new Float64Array(rows);
  for (let j = 0; j < rows; j++) {
    const row = B.subarray(j * cols, (j + 1) * cols);
    lengths[j] = norm(row) || 1;
    for (let p = 0; p < cols; p++) row[p] /= lengths[j];
  }
  const U = new Float64Array(rows * rows);
  const values = orthogonaliseRows(B, rows, cols, U);
  const largest = values.reduce((a, b) => Math.max(a, b), 0);
  const vectors: Float64Array[] = [];
  for (let k = 0; k < rows; k++) {
    if (values[k] > RANK * largest) continue;
    const vector = Float64Array.from({ length: rows }, (_, j) => U[j * rows + k] / lengths[j]);
    for (let turn = 0; turn < 2; turn++) {
      for (const other of vectors) {
        const along = dot(vector, other);
        for (let p = 0; p < rows; p++) vector[p] -= along * other[p];
      }
    }
    const length = norm(vector);
    vectors.push(vector.map((value) => value / length));
  }
  const W = new Float64Array(rows * vectors.length);
  vectors.forEach((vector, k) => {
    for (let j = 0; j < rows; j++) W[j * vectors.length + k] = vector[j];
  });
  return { rows, cols: vectors.length, data: W };
}

/** The basis of those directions of W that do not move row j: a reflection puts that row onto one axis, which is dropped. */
export function withoutRow(W: Matrix, j: number): Matrix {
  const k = W.cols;
  const v = W.data.slice(j * k, (j + 1) * k);
  const length = norm(v);
  if (k === 0 || length <= FIXED) return W;
  v[0] += v[0] >= 0 ? length : -length;
  const square = dot(v, v);
  const data = new Float64Array(W.rows * (k - 1));
  for (let i = 0; i < W.rows; i++) {
    const row = W.data.subarray(i * k, (i + 1) * k);
    const factor = (2 * dot(row, v)) / square;
    for (let p = 1; p < k; p++) data[i * (k - 1) + p - 1] = row[p] - factor * v[p];
  }
  for (let p = 0; p < k - 1; p++) data[j * (k - 1) + p] = 0;
  return { rows: W.rows, cols: k - 1, data };
}

/** A' v. */
export function transposed({ rows, cols, data }: Matrix, vector: Float64Array): Float64Array {
  const out = new Float64Array(cols);
  for (let j = 0; j < rows; j++) for (let p = 0; p < cols; p++) out[p] += data[j * cols + p] * vector[j];
  return out;
}

/** A B. */
export function product(A: Matrix, B: Matrix): Matrix {
  const data = new Float64Array(A.rows * B.cols);
  for (let i = 0; i < A.rows; i++) {
    for (let j = 0; j < A.cols; j++) {
      const value = A.data[i * A.cols + j];
      if (value !== 0) for (let p = 0; p < B.cols; p++) data[i * B.cols + p] += value * B.data[j * B.cols + p];
    }
  }
  return { rows: A.rows, cols: B.cols, data };
}
