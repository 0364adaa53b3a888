/**
 * An upper bound of f(u) = sum_i w_i (x_i' u)_+ over the unit vectors of a simplicial cone.
 *
 * With vertices v_1 .. v_r, every u of the cone is sum_k lambda_k v_k, lambda = B u >= 0. Rows whose sign is the same at all
 * vertices are linear on the cone. Of the mixed rows, those with w_i > 0 are convex and lie below the linear function that
 * takes their values at the vertices; those with w_i < 0 are concave, and lie below -|w_i| t x_i' u for every t in [0, 1]. So
 *
 *   f(u) <= q' u,   q = (linear rows) + sum_{w_i > 0} w_i sum_k (x_i' v_k)_+ b_k - sum_{w_i < 0} |w_i| t_i x_i,
 *
 * b_k the rows of B, and max of q' u over the cone and the ball is the least |q + sum_k mu_k b_k| over mu >= 0. Every t and
 * mu give a bound that holds; the least over both is found by coordinate descent, and is the maximum of the concave envelope
 * of these pieces. The error of the bound falls with the square of the cone's width.
 */

import { dot, largestOf, norm } from "../linear/vectors.js";

/** Rows X [n x r] with their weights w [n]: one function f. */
export interface WeightedRows {
  readonly rows: Float64Array; // [n x r]
  readonly weights: Float64Array; // [n]
  readonly width: number; // r
}

/** A simplicial cone, with what is known of a function on it. */
export interface Cone {
  readonly vertices: Float64Array; // [r x r], row k is the unit vector v_k
  readonly normals: Float64Array; // [r x r], row k is b_k: b_k' v_j = 1 for j = k, else 0
  readonly linear: Float64Array; // [r]: sum of w_i x_i over rows that are on at all vertices
  readonly mixed: Int32Array; // the rows that are neither on nor off at all vertices
}

/** The bound over a cone, and the value of f at a unit vector of the cone that the bound led to. */
export interface ConeBound {
  readonly upper: number;
  readonly lower: number;
  readonly direction: Float64Array; // [r], unit: where f is `lower`
}

/** Rounds of coordinate descent, and the share of the bound's square that a round must take off to be followed by another. */
const SWEEPS = 200;
const GAIN = 1e-9;
/** Rounds after which it is asked whether the least bound can be low enough at all. */
const ASK = 4;

/** The cone whose vertices are the rows of `vertices`, narrowed to the rows that are mixed in it. */
export function coneOf(
  { rows, weights, width: r }: WeightedRows,
  vertices: Float64Array,
  normals: Float64Array,
  among: Int32Array,
  linear: Float64Array,
): Cone {
  const sum = linear.slice();
  const mixed = new Int32Array(among.length);
  let count = 0;
  for (const i of among) {
    let least = Number.POSITIVE_INFINITY;
    let most = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < r; k++) {
      let value = 0;
      for (let p = 0; p < r; p++) value += rows[i * r + p] * vertices[k * r + p];
      least = Math.min(least, value);
      most = Math.max(most, value);
    }
    if (most <= 0) continue;
    if (least >= 0) for (let p = 0; p < r; p++) sum[p] += weights[i] * rows[i * r + p];
    else mixed[count++] = i;
  }
  return { vertices, normals, linear: sum, mixed: mixed.slice(0, count) };
}

/** Bounds f over a cone; a bound below `enough` is not sharpened further. */
export function boundCone({ rows, weights, width: r }: WeightedRows, cone: Cone, enough: number): ConeBound {
  const { vertices, normals, linear, mixed } = cone;
  const q = linear.slice();
  const heights = new Float64Array(r); // of the convex rows at the vertices
  const convex: number[] = [];
  const concave: number[] = [];
  for (const i of mixed) (weights[i] > 0 ? convex : concave).push(i);
  for (let k = 0; k < r; k++) {
    let height = 0;
    for (const i of convex) {
      let value = 0;
      for (let p = 0; p < r; p++) value += rows[i * r + p] * vertices[k * r + p];
      if (value > 0) height += weights[i] * value;
    }
    heights[k] = height;
    if (height > 0) for (let p = 0; p < r; p++) q[p] += height * normals[k * r + p];
  }
  const base = q.slice();
  const centre = new Float64Array(r);
  for (let k = 0; k < vertices.length; k++) centre[k % r] += vertices[k];
  const t = new Float64Array(concave.length);
  const lengths = new Float64Array(concave.length); // w_i^2 |x_i|^2
  concave.forEach((i, j) => {
    let square = 0;
    let value = 0;
    for (let p = 0; p < r; p++) {
      const x = rows[i * r + p];
      square += x * x;
      value += x * centre[p];
    }
    lengths[j] = weights[i] ** 2 * square;
    if (value <= 0) return;
    t[j] = 1;
    for (let p = 0; p < r; p++) q[p] += weights[i] * rows[i * r + p];
  });
  /** The envelope at the vector of the cone along q: at most the least bound. */
  const envelope = () => {
    const u = alongCone(cone, q, r);
    if (u === null) return 0;
    let value = dot(base, u);
    for (const i of concave) {
      let product = 0;
      for (let p = 0; p < r; p++) product += rows[i * r + p] * u[p];
      if (product > 0) value += weights[i] * product;
    }
    return value;
  };
  const mu = new Float64Array(r);
  const squares = new Float64Array(r);
  for (let k = 0; k < r; k++) {
    for (let p = 0; p < r; p++) squares[k] += normals[k * r + p] ** 2;
  }
  let before = dot(q, q);
  for (let sweep = 0; sweep < SWEEPS && before > enough * enough; sweep++) {
    for (let k = 0; k < r; k++) {
      let slope = 0;
      for (let p = 0; p < r; p++) slope += q[p] * normals[k * r + p];
      const next = Math.max(0, mu[k] - slope / squares[k]);
      const step = next - mu[k];
      if (step === 0) continue;
      mu[k] = next;
      for (let p = 0; p < r; p++) q[p] += step * normals[k * r + p];
    }
    for (let j = 0; j < concave.length; j++) {
      const i = concave[j];
      let slope = 0;
      for (let p = 0; p < r; p++) slope += q[p] * rows[i * r + p];
      const next = Math.min(1, Math.max(0, t[j] - (slope * weights[i]) / lengths[j]));
      const step = (next - t[j]) * weights[i];
      if (step === 0) continue;
      t[j] = next;
      for (let p = 0; p < r; p++) q[p] += step * rows[i * r + p];
    }
    const after = dot(q, q);
    if (after >= before * (1 - GAIN)) break;
    before = after;
    if (sweep % ASK === ASK - 1 && envelope() > enough) break;
  }
  const tangent = linear.slice();
  concave.forEach((i, j) => {
    for (let p = 0; p < r; p++) tangent[p] += t[j] * weights[i] * rows[i * r + p];
  });
  const shortest = largestOf(normals) <= STEEP ? norm(q) : Number.POSITIVE_INFINITY;
  const least = Math.min(shortest, highest(vertices, tangent, heights, r));
  return { upper: least, ...pointAlong({ rows, weights, width: r }, cone, q) };
}

/** Entries of facet normals beyond which rounding would be felt in a bound that is made with them. */
const STEEP = 1e5;

/**
 * The same for any t without facets, which slivers have no good ones of: a function that is linear on the cone is at u at most
 * sum_k lambda_k h_k, h_k its values at the vertices, and |u|^2 = (sum lambda)^2 - sum_{j < k} lambda_j lambda_k |v_j - v_k|^2.
 */
function highest(vertices: Float64Array, linear: Float64Array, heights: Float64Array, r: number): number {
  let most = 0;
  let longest = 0;
  for (let k = 0; k < r; k++) {
    let height = heights[k];
    for (let p = 0; p < r; p++) height += linear[p] * vertices[k * r + p];
    most = Math.max(most, height);
    for (let j = 0; j < k; j++) {
      let square = 0;
      for (let p = 0; p < r; p++) square += (vertices[j * r + p] - vertices[k * r + p]) ** 2;
      longest = Math.max(longest, square);
    }
  }
  const shortest = 1 - 0.5 * (1 - 1 / r) * longest; // of sum lambda = 1
  return shortest > 0 ? most / Math.sqrt(shortest) : Number.POSITIVE_INFINITY;
}

/** f at the vector of the cone along q. */
function pointAlong({ rows, weights, width: r }: WeightedRows, cone: Cone, q: Float64Array): Omit<ConeBound, "upper"> {
  const { vertices, linear, mixed } = cone;
  const direction = alongCone(cone, q, r) ?? vertices.slice(0, r);
  let lower = dot(linear, direction);
  for (const i of mixed) {
    let value = 0;
    for (let p = 0; p < r; p++) value += rows[i * r + p] * direction[p];
    if (value > 0) lower += weights[i] * value;
  }
  return { lower, direction };
}

/** The unit vector of the cone along q, whose coordinates in the vertices are cut off at zero; null when none is left. */
function alongCone({ vertices, normals }: Cone, q: Float64Array, r: number): Float64Array | null {
  const direction = new Float64Array(r);
  for (let k = 0; k < r; k++) {
    let lambda = 0;
    for (let p = 0; p < r; p++) lambda += normals[k * r + p] * q[p];
    if (lambda > 0) for (let p = 0; p < r; p++) direction[p] += lambda * vertices[k * r + p];
  }
  const length = norm(direction);
  if (!(length > 0)) return null;
  for (let p = 0; p < r; p++) direction[p] /= length;
  return direction;
}
