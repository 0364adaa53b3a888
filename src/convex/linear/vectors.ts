/**
 * Algebra that belongs to no program, one method a file: of it here the plainest, sums over vectors and matrices that are turned.
 */

import type { Matrix } from "../types.js";

/** The least that anything is divided by: zero for all purposes, and far from where rounding becomes coarse. */
export const LEAST = Number.MIN_VALUE * 2 ** 60;

/** a'b over the length of a. */
export function dot(a: Float64Array, b: Float64Array): number {
  return dotAt(a, 0, b, 0, a.length);
}

/** The same for parts of vectors; four sums side by side, since one alone waits for itself at every step. */
export function dotAt(A: Float64Array, a: number, B: Float64Array, b: number, length: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let p = 0;
  for (; p + 3 < length; p += 4) {
    s0 += A[a + p] * B[b + p];
    s1 += A[a + p + 1] * B[b + p + 1];
    s2 += A[a + p + 2] * B[b + p + 2];
    s3 += A[a + p + 3] * B[b + p + 3];
  }
  for (; p < length; p++) s0 += A[a + p] * B[b + p];
  return s0 + s1 + (s2 + s3);
}

/** out := a + factor b. */
export function sumInto(a: Float64Array, factor: number, b: Float64Array, out: Float64Array | Float32Array): void {
  for (let p = 0; p < out.length; p++) out[p] = a[p] + factor * b[p];
}

/** out := factor a. */
export function multipleInto(factor: number, a: Float64Array, out: Float64Array): void {
  for (let p = 0; p < a.length; p++) out[p] = factor * a[p];
}

/** out := scales out, entry by entry. */
export function timesInto(scales: Float64Array, out: Float64Array): void {
  for (let p = 0; p < out.length; p++) out[p] *= scales[p];
}

/** Every row of out := a. */
export function repeatInto(a: Float64Array, out: Float64Array): void {
  for (let k = 0; k < out.length; k += a.length) for (let c = 0; c < a.length; c++) out[k + c] = a[c];
}

/** The Euclidean norm. */
export function norm(a: Float64Array): number {
  return Math.sqrt(dot(a, a));
}

/** The largest size of an entry; 0 of none. */
export function largestOf(a: Float64Array): number {
  let most = 0;
  for (let p = 0; p < a.length; p++) most = Math.max(most, Math.abs(a[p]));
  return most;
}

/** The Euclidean norms of rows [n x d]. */
export function lengthsOfRows(rows: Float64Array, d: number): Float64Array {
  return Float64Array.from({ length: rows.length / d }, (_, k) => Math.sqrt(dotAt(rows, k * d, rows, k * d, d)));
}

/** a := (I - v v') a. */
export function reflect(a: Float64Array, v: Float64Array): void {
  const along = dot(a, v);
  for (let p = 0; p < v.length; p++) a[p] -= along * v[p];
}

export function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The standard deviation of a sample; NaN of one. */
export function spread(values: readonly number[]): number {
  const mean = average(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}

/** The sums [C] of the columns of M [n x C]. */
export function columnSums(M: Float64Array, C: number): Float64Array {
  const sums = new Float64Array(C);
  for (let k = 0; k < M.length; k++) sums[k % C] += M[k];
  return sums;
}

/** out += weight 1 1' M, both [n x C]. */
export function addColumnSums(weight: number, M: Float64Array, out: Float64Array, C: number): void {
  const sums = columnSums(M, C);
  for (let k = 0; k < out.length; k++) out[k] += weight * sums[k % C];
}

/** out [n x m] = A', A [m x n]. */
export function transpose(A: Float64Array, m: number, n: number, out: Float64Array): void {
  if (m === 1 || n === 1) out.set(A.subarray(0, m * n));
  else for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) out[j * m + i] = A[i * n + j];
}

/** The vectors, one behind the other. */
export function concatenated(...parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The transpose of a matrix. */
export function turned({ rows, cols, data }: Matrix): Matrix {
  const out = { rows: cols, cols: rows, data: new Float64Array(data.length) };
  transpose(data, rows, cols, out.data);
  return out;
}

/** Gram-Schmidt against an orthonormal basis, in place, twice since what is taken off is rounded; returns the coefficients. */
export function orthogonalise(vector: Float64Array, basis: readonly Float64Array[]): Float64Array {
  const inside = new Float64Array(basis.length);
  for (let turn = 0; turn < 2; turn++) {
    basis.forEach((unit, j) => {
      const value = dot(unit, vector);
      inside[j] += value;
      for (let p = 0; p < vector.length; p++) vector[p] -= value * unit[p];
    });
  }
  return inside;
}
