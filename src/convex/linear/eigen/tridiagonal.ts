/**
 * Large symmetric matrices as tridiagonal ones: Householder reflections, in pieces between which the host breathes, and all eigenvalues
 * of what they lead to.
 *
 * For thousands of rows, where eigenvectors are not asked for (eigenPieces.ts has them): A = Q T Q' takes 2/3 n^3 multiplications and one pass over half of A
 * a column, where all eigenvectors take some nine times that; products with Q and with T take their place.
 */

import type { Pieces } from "../pieces.js";
import { largestOf } from "../vectors.js";

/** A = scale Q T Q', T with this diagonal and the entries `beside` next to it, at most one in size times n. */
export interface Tridiagonal {
  readonly scale: number;
  readonly diagonal: Float64Array; // [n]
  readonly beside: Float64Array; // [n - 1]
  /** Row k has right of its diagonal v_k, of squared length 2 or 0: Q = H_0 H_1 .. H_n-3, H_k = I - v_k v_k'. */
  readonly reflections: Float64Array; // [n x n]
}

/** Steps of the QL method that one eigenvalue may take; two are usual. */
const TURNS = 60;
/** Eigenvalues between two pauses. */
const TOGETHER = 64;

/** Of a symmetric A [n x n] of finite numbers. */
export function* tridiagonalise(A: Float64Array, n: number): Pieces<Tridiagonal> {
  const scale = largestOf(A) || 1;
  const M = A.map((value) => value / scale);
  const diagonal = new Float64Array(n);
  const beside = new Float64Array(Math.max(0, n - 1));
  // The last reflection, M - v w' - w v' of which is still to come; its entries before k + 1 play no part.
  let [v, w] = [new Float64Array(n), new Float64Array(n)];
  for (let k = 0; k < n; k++) {
    for (let i = k; i < n; i++) M[i * n + k] -= v[i] * w[k] + w[i] * v[k];
    diagonal[k] = M[k * n + k];
    if (k === n - 1) break;
    const next = new Float64Array(n);
    beside[k] = reflection(M, n, k, next);
    const product = reduced(M, n, k + 1, v, w, next);
    let along = 0;
    for (let i = k + 1; i < n; i++) along += product[i] * next[i];
    for (let i = k + 1; i < n; i++) product[i] -= (along / 2) * next[i];
    [v, w] = [next, product];
    M.set(next.subarray(k + 1), k * n + k + 1);
    yield;
  }
  return { scale, diagonal, beside, reflections: M };
}

/** Writes v, of which I - v v' turns column k below the diagonal into a multiple of e_k+1, and answers with that multiple. */
function reflection(M: Float64Array, n: number, k: number, v: Float64Array): number {
  let rest = 0;
  for (let i = k + 2; i < n; i++) rest += M[i * n + k] ** 2;
  const first = M[(k + 1) * n + k];
  if (rest === 0) return first;
  const length = Math.sqrt(first * first + rest);
  const to = first > 0 ? -length : length;
  const stretch = Math.sqrt(2 / ((first - to) ** 2 + rest));
  v[k + 1] = stretch * (first - to);
  for (let i = k + 2; i < n; i++) v[i] = stretch * M[i * n + k];
  return to;
}

/**
 * Takes v w' + w v' from the lower half of M's rows and columns from `from` on, and answers with the product of what is left and u: one
 * pass over it, two rows at a time (4.6 ns an entry where one at a time takes 7.4, on a busy Xeon).
 */
function reduced(M: Float64Array, n: number, from: number, v: Float64Array, w: Float64Array, u: Float64Array) {
  const product = new Float64Array(n);
  const odd = (n - from) % 2;
  if (odd === 1) {
    M[from * n + from] -= 2 * v[from] * w[from];
    product[from] = M[from * n + from] * u[from];
  }
  for (let i = from + odd; i < n; i += 2) {
    const a = i * n;
    const b = a + n;
    const [va, wa, ua] = [v[i], w[i], u[i]];
    const [vb, wb, ub] = [v[i + 1], w[i + 1], u[i + 1]];
    let [sum, other] = [0, 0];
    for (let j = from; j < i; j++) {
      const x = M[a + j] - va * w[j] - wa * v[j];
      const y = M[b + j] - vb * w[j] - wb * v[j];
      M[a + j] = x;
      M[b + j] = y;
      sum += x * u[j];
      other += y * u[j];
      product[j] += x * ua + y * ub;
    }
    M[a + i] -= 2 * va * wa;
    M[b + i] -= vb * wa + wb * va;
    M[b + i + 1] -= 2 * vb * wb;
    product[i] += sum + M[a + i] * ua + M[b + i] * ub;
    product[i + 1] += other + M[b + i] * ua + M[b + i + 1] * ub;
  }
  return product;
}

/** Q'r. */
export function turnedBy({ reflections, diagonal }: Tridiagonal, r: Float64Array): Float64Array {
  const n = diagonal.length;
  const out = r.slice();
  for (let k = 0; k < n - 1; k++) {
    let along = 0;
    for (let i = k + 1; i < n; i++) along += reflections[k * n + i] * out[i];
    if (along !== 0) for (let i = k + 1; i < n; i++) out[i] -= along * reflections[k * n + i];
  }
  return out;
}

/** r - step scale T r. */
export function stepped({ scale, diagonal, beside }: Tridiagonal, step: number, r: Float64Array): Float64Array {
  const n = diagonal.length;
  const by = step * scale;
  const out = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    let sum = diagonal[k] * r[k];
    if (k > 0) sum += beside[k - 1] * r[k - 1];
    if (k < n - 1) sum += beside[k] * r[k + 1];
    out[k] = r[k] - by * sum;
  }
  return out;
}

/** The eigenvalues of A, increasing, each within a few roundings of the largest. */
export function* eigenvaluesOf(form: Tridiagonal): Pieces<Float64Array> {
  const values = form.diagonal.slice();
  yield* diagonalise(values, form.beside, null);
  return values.map((value) => form.scale * value).sort();
}

/** A rotation of axes i and i + 1: axis i becomes c i - s (i + 1), axis i + 1 becomes s i + c (i + 1). */
export type Rotate = (i: number, c: number, s: number) => void;

/** The implicit QL method (Bowdler, Martin, Reinsch and Wilkinson 1968): the diagonal becomes the eigenvalues, in no order. */
export function* diagonalise(d: Float64Array, beside: Float64Array, rotate: Rotate | null): Pieces<void> {
  const n = d.length;
  const e = new Float64Array(n);
  e.set(beside);
  const least = Number.EPSILON * d.reduce((most, value, k) => Math.max(most, Math.abs(value), Math.abs(e[k])), 0);
  for (let l = 0; l < n; l++) {
    for (let turn = 0; turn < TURNS; turn++) {
      let m = l;
      while (m < n - 1 && Math.abs(e[m]) > least) m++;
      if (m === l) break;
      chase(d, e, l, m, rotate);
    }
    if (rotate !== null || l % TOGETHER === TOGETHER - 1) yield;
  }
}

/** One implicit step with Wilkinson's shift on the block from l to m. */
function chase(d: Float64Array, e: Float64Array, l: number, m: number, rotate: Rotate | null): void {
  const half = (d[l + 1] - d[l]) / (2 * e[l]);
  const root = Math.sqrt(half * half + 1);
  let g = d[m] - d[l] + e[l] / (half + (half < 0 ? -root : root));
  let [s, c, p] = [1, 1, 0];
  for (let i = m - 1; i >= l; i--) {
    const [f, b] = [s * e[i], c * e[i]];
    const r = Math.sqrt(f * f + g * g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1] -= p; // the block falls apart here
      e[m] = 0;
      return;
    }
    [s, c] = [f / r, g / r];
    g = d[i + 1] - p;
    const t = (d[i] - g) * s + 2 * c * b;
    p = s * t;
    d[i + 1] = g + p;
    g = c * t - b;
    rotate?.(i, c, s);
  }
  d[l] -= p;
  e[l] = g;
  e[m] = 0;
}
