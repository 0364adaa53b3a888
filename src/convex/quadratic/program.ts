/** What a quadratic program is, what its solution and its gradients are, and least squares for equations that may be singular. */

import { singularVectors } from "../linear/eigen/index.js";
import { smallSolve } from "../linear/smallSolve.js";
import { dot } from "../linear/vectors.js";
import type { Matrix } from "../types.js";

/** All matrices by rows. */
export interface QuadraticProgram {
  /** Sizes of second-order cones {(t, u): |u| <= t}, in which the last rows of h - G z are, in this order; none: all are numbers >= 0. */
  readonly cones?: readonly number[];
  readonly P: Float64Array; // [n x n], symmetric, positive semidefinite
  readonly q: Float64Array; // [n]
  readonly A: Float64Array; // [p x n]
  readonly b: Float64Array; // [p]
  readonly G: Float64Array; // [m x n]
  readonly h: Float64Array; // [m]
}

/** The cones of the rows of h - G z: numbers first. */
export function conesOf({ h, cones = [] }: QuadraticProgram) {
  return { numbers: cones.reduce((left, size) => left - size, h.length), cones };
}

/** A point z with multipliers: P z + q + A'nu + G'lambda = 0, lambda >= 0 and zero where G z < h. */
export interface QuadraticSolution {
  readonly z: Float64Array; // [n]
  readonly nu: Float64Array; // [p]
  readonly lambda: Float64Array; // [m]
  /** h - G z [m], of programs with cones. */
  readonly slack?: Float64Array;
}

/** Why there is none. */
export type NoSolution = "infeasible" | "unbounded" | "stalled";

/** The gradients of a loss by all that a program is given. */
export type QuadraticGradient = Omit<QuadraticProgram, "cones">;

/**
 * By the adjoint (u [n], v [p], t [m]) of the KKT equations at a solution: what their transposed derivative takes to the gradient by z,
 * t zero for rows that do not push (Amos and Kolter 2017).
 */
export function gradientBy(
  { z, nu, lambda }: QuadraticSolution,
  { u, v, t }: { readonly u: Float64Array; readonly v: Float64Array; readonly t: Float64Array },
): QuadraticGradient {
  const n = z.length;
  const rows = (count: number, entry: (k: number, j: number) => number) =>
    Float64Array.from({ length: count * n }, (_, e) => entry(Math.floor(e / n), e % n));
  return {
    P: rows(n, (i, j) => -(u[i] * z[j] + u[j] * z[i]) / 2),
    q: u.map((value) => -value),
    A: rows(nu.length, (k, j) => -(nu[k] * u[j] + v[k] * z[j])),
    b: v.slice(),
    G: rows(lambda.length, (k, j) => -(lambda[k] * u[j] + t[k] * z[j])),
    h: t.slice(),
  };
}

/** A singular value below this share of the largest is zero. */
const SINGULAR = 1e-12;

/** A pivot below this share of the largest: the equations may be singular. */
const DOUBTFUL = 1e-10;

/** K x = right of a square K by elimination; least squares where K is singular, or nearly so. */
export function solvedOrNearest(K: Matrix, right: Float64Array): Float64Array {
  const n = K.rows;
  const [U, x] = [K.data.slice(), right.slice()];
  smallSolve(U, x, n);
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (let k = 0; k < n; k++) {
    const pivot = Math.abs(U[k * n + k]);
    [least, most] = [Math.min(least, pivot), Math.max(most, pivot)];
  }
  return least > DOUBTFUL * most && x.every(Number.isFinite) ? x : leastSquares(K, right); // NaN is nearly singular
}

/** The shortest x for which |M x - right| is least. */
export function leastSquares(M: Matrix, right: Float64Array): Float64Array {
  const x = new Float64Array(M.cols);
  if (M.data.length === 0) return x;
  const { values, left, right: across } = singularVectors(M);
  values.forEach((value, k) => {
    if (value <= SINGULAR * values[0]) return;
    const share = dot(left.data.subarray(k * M.rows, (k + 1) * M.rows), right) / value;
    for (let j = 0; j < M.cols; j++) x[j] += share * across.data[k * M.cols + j];
  });
  return x;
}
