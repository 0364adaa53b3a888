/**
 * Where a cone is cut: on the edge that the error of its bound comes from.
 *
 * A bound errs only at rows with w_i > 0 that are mixed in the cone: between the vertices their (x_i' u)_+ is taken for linear.
 * At u = sum_k lambda_k v_k, on the edge from a to b alone, that is too much by w_i min(lambda_a |x_i' v_a|, lambda_b |x_i' v_b|)
 * for each row whose sign differs at a and b. A cone without such an edge has an exact bound, however wide it is.
 */

import type { Cone, WeightedRows } from "./coneBound.js";

/** The edge from vertex a to b, and the point s v_a + t v_b of it. */
export interface Edge {
  readonly a: number;
  readonly b: number;
  readonly s: number;
  readonly t: number;
}

/** The edge with the largest error at `toward`, a vector of the cone. */
export function edgeOf({ rows, weights, width: r }: WeightedRows, cone: Cone, toward: Float64Array): Edge {
  const { vertices, normals, mixed } = cone;
  const shares = new Float64Array(r);
  for (let k = 0; k < r; k++) {
    for (let p = 0; p < r; p++) shares[k] += normals[k * r + p] * toward[p];
    shares[k] = Math.max(shares[k], LEAST_SHARE);
  }
  const errors = new Float64Array(r * r);
  const values = new Float64Array(r);
  for (const i of mixed) {
    if (!(weights[i] > 0)) continue;
    for (let k = 0; k < r; k++) {
      let value = 0;
      for (let p = 0; p < r; p++) value += rows[i * r + p] * vertices[k * r + p];
      values[k] = value * shares[k];
    }
    for (let a = 1; a < r; a++) {
      for (let b = 0; b < a; b++) {
        if (values[a] * values[b] < 0)
          errors[a * r + b] += weights[i] * Math.min(Math.abs(values[a]), Math.abs(values[b]));
      }
    }
  }
  const squares = squaredLengths(vertices, r);
  const longest = largest(squares);
  // Edges that are much shorter than the longest stay: cones that are cut to slivers have facets that float64 can't tell apart.
  const worst = largest(errors.map((error, k) => (squares[k] >= SHORTEST ** 2 * squares[longest] ? error : 0)));
  const chosen = errors[worst] > 0 ? worst : longest;
  return { a: Math.floor(chosen / r), b: chosen % r, s: 1, t: 1 };
}

/** Vertices that the vector does not need count a little. */
const LEAST_SHARE = 0.05;
/** Of the longest edge's length. */
const SHORTEST = 0.8;

/** [r x r]: of the edge from a to b < a at a r + b. */
function squaredLengths(vertices: Float64Array, r: number): Float64Array {
  const squares = new Float64Array(r * r);
  for (let a = 1; a < r; a++) {
    for (let b = 0; b < a; b++) {
      for (let p = 0; p < r; p++) squares[a * r + b] += (vertices[a * r + p] - vertices[b * r + p]) ** 2;
    }
  }
  return squares;
}

function largest(values: Float64Array): number {
  let at = 0;
  for (let k = 1; k < values.length; k++) if (values[k] > values[at]) at = k;
  return at;
}
