/**
 * Directions that cut the rows of X evenly.
 *
 * Where columns go together, as those of windows of one series do, nearly all random directions see the first principal component and
 * nothing else, so that few of the arrangements are ever met. With X'X = L L', the directions L^-T g of a Gaussian g see all of them
 * alike: X L^-T has orthonormal columns.
 */

import type { Kernels } from "../kernels/types.js";
import { dot } from "../linear/vectors.js";
import type { Matrix } from "../types.js";

/** Columns, and multiplications, up to which L is made. */
const MOST_COLUMNS = 256;
const MOST_WORK = 2 ** 28;
/** Of the mean of its diagonal, added to X'X: what lies below is rounding, or noise that no start should be about. */
const RIDGE = 1e-6;
/** From the largest to the smallest entry of the diagonal of L: below it random directions do as well. */
const TOGETHER = 10;

const factors = new WeakMap<Matrix, Float64Array | null>();

/** L^-T g, of the length of g; g itself on large data, and where columns do not go together. */
export function evenly(X: Matrix, g: Float64Array, kernels: Kernels): Float64Array {
  let L = factors.get(X);
  if (L === undefined) {
    L = factorOf(X, kernels);
    factors.set(X, L);
  }
  if (L === null) return g;
  const d = g.length;
  const u = g.slice();
  for (let p = d - 1; p >= 0; p--) {
    u[p] /= L[p * d + p];
    for (let q = 0; q < p; q++) u[q] -= L[p * d + q] * u[p];
  }
  const scale = Math.sqrt(dot(g, g) / dot(u, u));
  return Number.isFinite(scale) ? u.map((value) => value * scale) : g;
}

/** The lower factor of X'X with its ridge, [d x d]; null where it costs too much, is not positive, or would change little. */
function factorOf({ rows: n, cols: d, data }: Matrix, kernels: Kernels): Float64Array | null {
  if (d > MOST_COLUMNS || n * d * d > MOST_WORK) return null;
  const L = new Float64Array(d * d);
  kernels.addOuter(L, data, d, n, 1);
  let trace = 0;
  for (let p = 0; p < d; p++) trace += L[p * d + p];
  for (let p = 0; p < d; p++) L[p * d + p] += (RIDGE * trace) / d;
  if (!kernels.factor(L, d)) return null;
  const diagonal = Array.from({ length: d }, (_, p) => L[p * d + p]);
  return Math.max(...diagonal) > TOGETHER * Math.min(...diagonal) ? L : null;
}
