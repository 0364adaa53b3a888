/**
 * Eigenvalues and eigenvectors of symmetric matrices of some hundreds of rows, in pieces between which a caller breathes or stops: a
 * library's decomposition (eigen.ts) is one piece, of seconds there, and no faster.
 */

import { type Pieces, unlessOver } from "../pieces.js";
import { reflect } from "../vectors.js";
import { eigenSymmetric, type SymmetricEigen } from "./eigen.js";
import { diagonalise, type Tridiagonal, tridiagonalise } from "./tridiagonal.js";

/** Below this one piece takes some 10 ms. */
const ONE_PIECE = 64;

/** Of a symmetric A [d x d], of which the lower half is read; NaN in, NaN out; null where it is told to end before it has all. */
export function* eigenInPieces(A: Float64Array, d: number): Pieces<SymmetricEigen | null> {
  if (d < ONE_PIECE || !A.every(Number.isFinite)) return eigenSymmetric(A, d);
  const form = yield* unlessOver(tridiagonalise(A, d));
  const V = form === null ? null : yield* unlessOver(axesOf(form, d));
  if (form === null || V === null) return null;
  const { scale, diagonal, beside } = form;
  const row = (k: number) => V.subarray(k * d, (k + 1) * d);
  const rotated = yield* unlessOver(diagonalise(diagonal, beside, (i, c, s) => rotate(row(i), row(i + 1), c, s)));
  if (rotated === null) return null;
  const order = Array.from(diagonal.keys()).sort((a, b) => diagonal[a] - diagonal[b]);
  const data = new Float64Array(d * d);
  order.forEach((k, to) => {
    data.set(row(k), to * d);
  });
  return { values: Float64Array.from(order, (k) => scale * diagonal[k]), vectors: { rows: d, cols: d, data } };
}

/** Q' [d x d]: row k is axis k of the tridiagonal form. */
function* axesOf({ reflections }: Tridiagonal, d: number): Pieces<Float64Array> {
  const V = new Float64Array(d * d);
  for (let k = 0; k < d; k++) V[k * d + k] = 1;
  for (let k = d - 2; k >= 0; k--) {
    const v = reflections.subarray(k * d + k + 1, (k + 1) * d);
    for (let j = k + 1; j < d; j++) reflect(V.subarray(j * d + k + 1, (j + 1) * d), v);
    yield;
  }
  return V;
}

function rotate(a: Float64Array, b: Float64Array, c: number, s: number): void {
  for (let p = 0; p < a.length; p++) {
    const x = a[p];
    const y = b[p];
    a[p] = c * x - s * y;
    b[p] = s * x + c * y;
  }
}
