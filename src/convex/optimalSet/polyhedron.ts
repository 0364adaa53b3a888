/**
 * The polyhedron {a >= 0, c : sum_j a_j column_j + sum_k c_k free_k = fit} around a point of it, by the directions t that keep
 * the fit: a point is start + W t, W an orthonormal basis of the null space of all columns.
 */

import { dot, norm } from "../linear/vectors.js";
import type { Matrix } from "../types.js";
import { FIXED, nullBasis, product, transposed, withoutRow } from "./basis.js";
import { leastDistance } from "./leastDistance.js";

/** Sizes below this share of the largest are zero. */
const NOTHING = 1e-9;
/** Added to a quadratic, relative to its mean curvature: where it is flat, the shortest step is taken. */
const FLAT = 1e-10;

/** A point of the polyhedron: sizes a >= 0 first, then the free coefficients c. */
export type Point = Float64Array; // [m + f]

export class Polyhedron {
  /** Dimension of the set of directions that keep the fit. */
  readonly dimension: number;
  private readonly W: Matrix; // [(m + f) x dimension]
  private readonly scale: number; // the largest size

  /**
   * @param columns [(m + f) x N] what one unit of each coefficient adds to the fit, the f free ones last
   * @param bounded m
   */
  constructor(
    columns: Matrix,
    private readonly bounded: number,
    readonly start: Point,
  ) {
    this.W = nullBasis(columns);
    this.dimension = this.W.cols;
    this.scale = start.subarray(0, bounded).reduce((largest, size) => Math.max(largest, size), 0);
  }

  /** Indices of the sizes that are not zero. */
  support(point: Point): number[] {
    return Array.from({ length: this.bounded }, (_, j) => j).filter((j) => point[j] > NOTHING * this.scale);
  }

  /** The directions that move only what is not zero: none at a vertex. */
  faceDimension(point: Point): number {
    return this.face(point).cols;
  }

  /**
   * A vertex, reached from a point by moving down a linear objective as long as one bends (Wang, Lacotte and Pilanci 2021,
   * section 4; Mishkin and Pilanci 2023, algorithm 1). Its columns are linearly independent.
   */
  vertex(from: Point, objective: Float64Array): Point {
    const point = from.slice();
    let face = this.face(point);
    while (face.cols > 0) {
      const direction = steepest(face, objective);
      const { reach, leaving } = this.reach(point, direction);
      if (leaving < 0) break; // only rounding is left of the face
      for (let j = 0; j < point.length; j++) point[j] += reach * direction[j];
      point[leaving] = 0;
      for (let j = 0; j < this.bounded; j++) point[j] = Math.max(0, point[j]);
      face = withoutRow(face, leaving);
    }
    return this.cleaned(point);
  }

  /** The point whose sizes are nearest to given ones in the Euclidean norm; free coefficients follow. */
  nearest(sizes: Float64Array): Point {
    const { start, bounded } = this;
    const gradient = start.map((value, j) => (j < bounded ? value - sizes[j] : 0));
    const R = new Float64Array(bounded * start.length);
    for (let j = 0; j < bounded; j++) R[j * start.length + j] = 1;
    return this.minimise(start, gradient, { rows: bounded, cols: start.length, data: R });
  }

  /**
   * The minimiser of the quadratic <gradient, y - from> + 1/2 |R (y - from)|^2 over points y, R given by its rows as functions of
   * the coefficients [rows x (m + f)]; where it is flat, the nearest to `from`.
   */
  minimise(from: Point, gradient: Float64Array, R: Matrix): Point {
    const k = this.dimension;
    const RW = product(R, this.W);
    const H = new Float64Array(k * k);
    for (let r = 0; r < RW.rows; r++) {
      for (let i = 0; i < k; i++) {
        for (let j = 0; j <= i; j++) H[i * k + j] += RW.data[r * k + i] * RW.data[r * k + j];
      }
    }
    let trace = 0;
    for (let i = 0; i < k; i++) trace += H[i * k + i];
    for (let i = 0; i < k; i++) H[i * k + i] += FLAT * (trace / k) + Number.MIN_VALUE;
    if (trace <= FIXED ** 2 * dot(R.data, R.data) || !cholesky(H, k)) return from.slice(); // flat up to rounding
    // s = L' t makes the quadratic |s - s0|^2 / 2.
    const s0 = solveLower(
      H,
      transposed(this.W, gradient).map((value) => -value),
      k,
    );
    const bounds = this.bounds();
    for (let j = 0; j < bounds.rows; j++) {
      bounds.data.set(solveLower(H, bounds.data.slice(j * k, (j + 1) * k), k), j * k);
    }
    const s = leastDistance(s0, bounds, this.lowest(from));
    return s === null ? from.slice() : this.cleaned(this.moved(from, solveUpper(H, s, k)));
  }

  private moved(from: Point, t: Float64Array): Point {
    const { data, cols } = this.W;
    return from.map((value, j) => {
      for (let p = 0; p < cols; p++) value += data[j * cols + p] * t[p];
      return value;
    });
  }

  /** The rows of the sizes; those that cannot move are zero, which no point violates. */
  private bounds(): Matrix {
    const { cols, data } = this.W;
    const rows = data.slice(0, this.bounded * cols);
    for (let j = 0; j < this.bounded; j++) {
      const row = rows.subarray(j * cols, (j + 1) * cols);
      if (norm(row) <= FIXED) row.fill(0);
    }
    return { rows: this.bounded, cols, data: rows };
  }

  private lowest(from: Point): Float64Array {
    return from.slice(0, this.bounded).map((value) => -value);
  }

  /** Sizes that are zero up to rounding become zero. */
  private cleaned(point: Point): Point {
    return point.map((value, j) => (j < this.bounded && value <= NOTHING * this.scale ? 0 : value));
  }

  private face(point: Point): Matrix {
    const inside = new Set(this.support(point));
    let face = this.W;
    for (let j = 0; j < this.bounded; j++) if (!inside.has(j)) face = withoutRow(face, j);
    return face;
  }

  /** How far a direction leads until a size is zero. */
  private reach(point: Point, direction: Float64Array): { reach: number; leaving: number } {
    let reach = Number.POSITIVE_INFINITY;
    let leaving = -1;
    for (let j = 0; j < this.bounded; j++) {
      if (direction[j] >= -FIXED || point[j] === 0) continue;
      const length = point[j] / -direction[j];
      if (length < reach) {
        reach = length;
        leaving = j;
      }
    }
    return { reach, leaving };
  }
}

/** The unit direction of a face down a linear objective; any direction where the objective does not bend. */
function steepest(face: Matrix, objective: Float64Array): Float64Array {
  const slope = transposed(face, objective);
  const length = norm(slope);
  const flat = length <= FIXED * norm(objective);
  const { rows, cols, data } = face;
  const direction = new Float64Array(rows);
  for (let j = 0; j < rows; j++) {
    for (let p = 0; p < cols; p++)
      direction[j] -= flat ? (p === 0 ? data[j * cols] : 0) : (data[j * cols + p] * slope[p]) / length;
  }
  return direction;
}

/** Lower Cholesky factor in place; false when a pivot is not positive. */
function cholesky(H: Float64Array, k: number): boolean {
  for (let i = 0; i < k; i++) {
    for (let j = 0; j <= i; j++) {
      let value = H[i * k + j];
      for (let p = 0; p < j; p++) value -= H[i * k + p] * H[j * k + p];
      if (i === j && !(value > 0)) return false;
      H[i * k + j] = i === j ? Math.sqrt(value) : value / H[j * k + j];
    }
  }
  return true;
}

function solveLower(L: Float64Array, b: Float64Array, k: number): Float64Array {
  const x = b.slice();
  for (let i = 0; i < k; i++) {
    for (let j = 0; j < i; j++) x[i] -= L[i * k + j] * x[j];
    x[i] /= L[i * k + i];
  }
  return x;
}

function solveUpper(L: Float64Array, b: Float64Array, k: number): Float64Array {
  const x = b.slice();
  for (let i = k - 1; i >= 0; i--) {
    for (let j = i + 1; j < k; j++) x[i] -= L[j * k + i] * x[j];
    x[i] /= L[i * k + i];
  }
  return x;
}
