/** One-sided Jacobi: the singular value decomposition of a small matrix by rotations of its rows (Hestenes 1958). */

import type { Pieces } from "../pieces.js";

const SWEEPS = 60;
/** |<row_i, row_j>| / (|row_i| |row_j|) that counts as orthogonal, times sqrt(w): the rounding of a sum of w products. */
const ORTHOGONAL = Number.EPSILON;
/** Rows this much shorter than the whole are the rounding errors of a null space: their directions mean nothing. */
const NEGLIGIBLE = 16 * Number.EPSILON;

/**
 * Rotates the rows of B [r x w] in place until they are orthogonal: B := U' B, so that the new rows are sigma_k v_k'.
 * Accumulates U [r x r] (columns are left singular vectors) and returns the singular values in the order of the rows.
 */
export function orthogonaliseRows(B: Float64Array, r: number, w: number, U: Float64Array): Float64Array {
  const floor = begun(B, r, w, U);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let rotated = false;
    for (let i = 0; i < r; i++) rotated = rotateWithOthers(B, i, r, w, U, floor) || rotated;
    if (!rotated) break;
  }
  return lengthsOf(B, r, w);
}

/** The same in pieces; one that is told to end goes on. */
export function* orthogonalisingRows(B: Float64Array, r: number, w: number, U: Float64Array): Pieces<Float64Array> {
  const floor = begun(B, r, w, U);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let rotated = false;
    for (let i = 0; i < r; i++) {
      rotated = rotateWithOthers(B, i, r, w, U, floor) || rotated;
      yield;
    }
    if (!rotated) break;
  }
  return lengthsOf(B, r, w);
}

/** U := I; what the squares of negligible rows are below. */
function begun(B: Float64Array, r: number, w: number, U: Float64Array): number {
  U.fill(0);
  let square = 0; // |B|^2, which rotations keep
  for (let k = 0; k < r; k++) {
    U[k * r + k] = 1;
    square += product(B, k, k, w);
  }
  return NEGLIGIBLE * NEGLIGIBLE * square;
}

function rotateWithOthers(B: Float64Array, i: number, r: number, w: number, U: Float64Array, floor: number): boolean {
  let rotated = false;
  for (let j = i + 1; j < r; j++) rotated = rotate(B, i, j, r, w, U, floor) || rotated;
  return rotated;
}

function lengthsOf(B: Float64Array, r: number, w: number): Float64Array {
  return Float64Array.from({ length: r }, (_, k) => Math.sqrt(product(B, k, k, w)));
}

/** Makes rows i and j orthogonal; false when they were, or when one of them is negligible (its square below `floor`). */
function rotate(B: Float64Array, i: number, j: number, r: number, w: number, U: Float64Array, floor: number): boolean {
  const ii = product(B, i, i, w);
  const jj = product(B, j, j, w);
  const ij = product(B, i, j, w);
  if (Math.min(ii, jj) <= floor || Math.abs(ij) <= ORTHOGONAL * Math.sqrt(w * ii * jj)) return false;
  const zeta = (jj - ii) / (2 * ij);
  const tangent = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
  const cosine = 1 / Math.sqrt(1 + tangent * tangent);
  const sine = cosine * tangent;
  for (let p = 0; p < w; p++) {
    const a = B[i * w + p];
    const b = B[j * w + p];
    B[i * w + p] = cosine * a - sine * b;
    B[j * w + p] = sine * a + cosine * b;
  }
  for (let p = 0; p < r; p++) {
    const a = U[p * r + i];
    const b = U[p * r + j];
    U[p * r + i] = cosine * a - sine * b;
    U[p * r + j] = sine * a + cosine * b;
  }
  return true;
}

function product(B: Float64Array, i: number, j: number, w: number): number {
  let sum = 0;
  for (let p = 0; p < w; p++) sum += B[i * w + p] * B[j * w + p];
  return sum;
}
