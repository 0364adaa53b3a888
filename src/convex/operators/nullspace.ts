/** An orthonormal basis of {u : x_j u = 0 for the rows of a face}, by Householder reflections. */

import { dotAt } from "../linear/vectors.js";
import type { Matrix } from "../types.js";

/**
 * Writes k = d - |rows| orthonormal vectors [k x d] into `out` and returns k.
 *
 * The rows must be linearly independent (the projector keeps only such rows). X_F' = Q R with Q a product of reflections;
 * the last k columns of Q span the null space of X_F.
 */
export function nullspace(X: Matrix, rows: Int32Array, out: Float64Array): number {
  const d = X.cols;
  const F = rows.length;
  const reflectors = new Float64Array(F * d); // row k: the k-th Householder vector, of unit length
  for (let k = 0; k < F; k++) {
    const row = reflectors.subarray(k * d, (k + 1) * d);
    row.set(X.data.subarray(rows[k] * d, (rows[k] + 1) * d));
    for (let p = 0; p < k; p++) reflect(reflectors, p * d, p, row, d);
    toReflector(row, k, d);
  }
  const count = d - F;
  out.fill(0, 0, count * d);
  for (let i = 0; i < count; i++) {
    const vector = out.subarray(i * d, (i + 1) * d);
    vector[F + i] = 1;
    for (let p = F - 1; p >= 0; p--) reflect(reflectors, p * d, p, vector, d);
  }
  return count;
}

/** Replaces a vector by the unit w (zero before `first`) whose reflection I - 2 w w' maps its tail onto one axis. */
function toReflector(vector: Float64Array, first: number, d: number): void {
  let norm = 0;
  for (let p = first; p < d; p++) norm += vector[p] * vector[p];
  norm = Math.sqrt(norm);
  vector.fill(0, 0, first);
  vector[first] += vector[first] >= 0 ? norm : -norm;
  let length = 0;
  for (let p = first; p < d; p++) length += vector[p] * vector[p];
  length = Math.sqrt(length);
  if (length > 0) for (let p = first; p < d; p++) vector[p] /= length;
}

function reflect(reflectors: Float64Array, at: number, first: number, vector: Float64Array, d: number): void {
  const product = 2 * dotAt(reflectors, at + first, vector, first, d - first);
  for (let p = first; p < d; p++) vector[p] -= product * reflectors[at + p];
}
