/**
 * Eigenvalues and eigenvectors of symmetric matrices of some hundreds of rows, in pieces between which a caller breathes or stops: a
 * library's decomposition (eigen.ts) is one piece, of seconds there. Householder's reduction to three diagonals and the QL method with
 * implicit shifts (Bowdler, Martin, Reinsch and Wilkinson 1968; Golub and Van Loan 2013, sections 8.3.1 and 8.3.3), along rows.
 */

import { eigenSymmetric, type SymmetricEigen } from "./eigen.js";
import type { Pieces } from "./pieces.js";
import { dot, norm } from "./vectors.js";

/** Below this one piece takes some 10 ms. */
const ONE_PIECE = 64;
/** Steps of QL for one eigenvalue; two are usual. */
const STEPS = 60;

/** Of a symmetric A [d x d], of which the lower half is read; NaN in, NaN out; null where it is told to end before it has all. */
export function* eigenInPieces(A: Float64Array, d: number): Pieces<SymmetricEigen | null> {
  if (d < ONE_PIECE || !A.every(Number.isFinite)) return eigenSymmetric(A, d);
  const size = A.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const S = new Float64Array(d * d);
  for (let i = 0; i < d; i++) for (let j = 0; j <= i; j++) S[i * d + j] = S[j * d + i] = A[i * d + j] / size;
  const diagonal = new Float64Array(d);
  const beside = new Float64Array(d); // beside[k] joins k and k + 1
  for (let k = 0; k < d; k++) {
    if (k < d - 2) reflect(S, d, k, beside);
    else if (k < d - 1) beside[k] = S[k * d + k + 1];
    diagonal[k] = S[k * d + k];
    if (yield) return null;
  }
  const V = identity(d); // row k: the k-th column of the product of all reflections
  for (let k = d - 3; k >= 0; k--) {
    const v = S.subarray(k * d + k + 1, (k + 1) * d);
    for (let j = k + 1; j < d; j++) mirror(V.subarray(j * d + k + 1, (j + 1) * d), v);
    if (yield) return null;
  }
  for (let k = 0; k < d; k++) {
    let steps = 0;
    for (let end = splitFrom(diagonal, beside, k); end > k && steps < STEPS; end = splitFrom(diagonal, beside, k)) {
      shiftedStep(diagonal, beside, V, d, k, end);
      steps++;
      if (yield) return null;
    }
    if (steps === STEPS) return eigenSymmetric(A, d);
  }
  const order = Array.from(diagonal.keys()).sort((a, b) => diagonal[a] - diagonal[b]);
  const data = new Float64Array(d * d);
  order.forEach((k, to) => {
    data.set(V.subarray(k * d, (k + 1) * d), to * d);
  });
  return { values: Float64Array.from(order, (k) => size * diagonal[k]), vectors: { rows: d, cols: d, data } };
}

/** S := H S H beyond row k, with H = I - v v' such that row k has one entry beside the diagonal; v [|v|^2 = 2, or 0] takes its place. */
function reflect(S: Float64Array, d: number, k: number, beside: Float64Array): void {
  const v = S.subarray(k * d + k + 1, (k + 1) * d);
  const m = v.length;
  const length = norm(v);
  beside[k] = v[0] > 0 ? -length : length;
  const scale = Math.sqrt(length * (length + Math.abs(v[0])));
  v[0] -= beside[k];
  if (scale === 0) {
    v.fill(0);
    return;
  }
  for (let p = 0; p < m; p++) v[p] /= scale;
  const w = new Float64Array(m);
  for (let i = 0; i < m; i++) w[i] = dot(S.subarray((k + 1 + i) * d + k + 1, (k + 2 + i) * d), v);
  const half = dot(w, v) / 2;
  for (let i = 0; i < m; i++) w[i] -= half * v[i];
  for (let i = 0; i < m; i++) {
    const row = S.subarray((k + 1 + i) * d + k + 1, (k + 2 + i) * d);
    const a = v[i];
    const b = w[i];
    for (let p = 0; p < m; p++) row[p] -= a * w[p] + b * v[p];
  }
}

function mirror(row: Float64Array, v: Float64Array): void {
  const sum = dot(row, v);
  for (let p = 0; p < v.length; p++) row[p] -= sum * v[p];
}

/** The last place of the block that begins at k: behind it the entry beside the diagonal is rounding. */
function splitFrom(diagonal: Float64Array, beside: Float64Array, k: number): number {
  let end = k;
  while (end < diagonal.length - 1) {
    const size = Math.abs(diagonal[end]) + Math.abs(diagonal[end + 1]);
    if (Math.abs(beside[end]) <= Number.EPSILON * size) break;
    end++;
  }
  return end;
}

/** A step of QL with Wilkinson's shift on the block from k to `end`; what it rotates, rows of V rotate with. */
function shiftedStep(
  diagonal: Float64Array,
  beside: Float64Array,
  V: Float64Array,
  d: number,
  k: number,
  end: number,
): void {
  const slope = (diagonal[k + 1] - diagonal[k]) / (2 * beside[k]);
  const root = Math.hypot(slope, 1);
  let g = diagonal[end] - diagonal[k] + beside[k] / (slope + (slope >= 0 ? root : -root));
  let [sine, cosine, lost] = [1, 1, 0];
  for (let i = end - 1; i >= k; i--) {
    const f = sine * beside[i];
    const b = cosine * beside[i];
    const length = Math.hypot(f, g);
    if (i + 1 < end) beside[i + 1] = length;
    if (length === 0) {
      // The block falls apart here by itself.
      diagonal[i + 1] -= lost;
      beside[end] = 0;
      return;
    }
    sine = f / length;
    cosine = g / length;
    g = diagonal[i + 1] - lost;
    const r = (diagonal[i] - g) * sine + 2 * cosine * b;
    lost = sine * r;
    diagonal[i + 1] = g + lost;
    g = cosine * r - b;
    rotate(V.subarray(i * d, (i + 1) * d), V.subarray((i + 1) * d, (i + 2) * d), cosine, sine);
  }
  diagonal[k] -= lost;
  beside[k] = g;
  beside[end] = 0;
}

function rotate(a: Float64Array, b: Float64Array, cosine: number, sine: number): void {
  for (let p = 0; p < a.length; p++) {
    const x = a[p];
    const y = b[p];
    a[p] = cosine * x - sine * y;
    b[p] = sine * x + cosine * y;
  }
}

function identity(d: number): Float64Array {
  const I = new Float64Array(d * d);
  for (let k = 0; k < d; k++) I[k * d + k] = 1;
  return I;
}
