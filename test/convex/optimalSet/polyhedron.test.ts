import { describe, expect, test } from "vitest";
import { nullBasis, product, withoutRow } from "../../../src/convex/optimalSet/basis.js";
import { Polyhedron } from "../../../src/convex/optimalSet/polyhedron.js";
import type { Matrix } from "../../../src/convex/types.js";
import { gaussianMatrix, matrixOf } from "../../helpers/problems.js";

const transpose = ({ rows, cols, data }: Matrix): Matrix =>
  matrixOf(
    cols,
    rows,
    Array.from(data, (_, k) => data[(k % rows) * cols + Math.floor(k / rows)]),
  );

/** Sizes on the simplex: the columns are all equal, so that only their sum is kept. */
const simplex = (start: readonly number[]) =>
  new Polyhedron(
    matrixOf(
      start.length,
      2,
      start.flatMap(() => [1, 2]),
    ),
    start.length,
    Float64Array.from(start),
  );

describe("bases", () => {
  test.each([
    { rows: 7, cols: 4, dimension: 3 },
    { rows: 4, cols: 9, dimension: 0 },
  ])("the null basis of $rows columns in $cols dimensions has dimension $dimension", ({ rows, cols, dimension }) => {
    const columns = gaussianMatrix(rows, cols, 3);
    const W = nullBasis(columns);
    expect(W.cols).toBe(dimension);
    expect(largest(product(transpose(columns), W).data)).toBeLessThan(1e-12);
    expect(largest(product(transpose(W), W).data.map((v, k) => v - (k % (dimension + 1) === 0 ? 1 : 0)))).toBeLessThan(
      1e-12,
    );
    if (dimension === 0) return;
    const less = withoutRow(W, 2);
    expect(less.cols).toBe(dimension - 1);
    expect(Array.from(less.data.slice(2 * less.cols, 3 * less.cols))).toEqual(new Array(less.cols).fill(0));
    expect(largest(product(transpose(columns), less).data)).toBeLessThan(1e-12);
  });
});

describe("Polyhedron", () => {
  test("on a simplex the nearest point and the vertices are the known ones", () => {
    const set = simplex([0.2, 0.3, 0.5, 0]);
    expect(set.dimension).toBe(3);
    set.nearest(new Float64Array(4)).forEach((value) => void expect(value).toBeCloseTo(0.25, 9));
    // The projection of (1, 0.5, 0, 0) onto the simplex, by hand: shift by -1/4, clip at 0.
    const nearest = set.nearest(Float64Array.of(1, 0.5, 0, 0));
    [0.75, 0.25, 0, 0].forEach((value, j) => void expect(nearest[j]).toBeCloseTo(value, 9));
    const vertex = set.vertex(set.start, Float64Array.of(0, 1, 2, 3));
    expect(set.support(vertex)).toHaveLength(1);
    expect(vertex.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
    expect(set.faceDimension(vertex)).toBe(0);
  });

  test("free coefficients may have any sign and are no part of the distance", () => {
    // a_1 - a_2 + c = 1: the sizes nearest to zero are zero, and c takes the fit.
    const set = new Polyhedron(matrixOf(3, 1, [1, -1, 1]), 2, Float64Array.of(3, 1, -1));
    const point = set.nearest(new Float64Array(2));
    [0, 0, 1].forEach((value, j) => void expect(point[j]).toBeCloseTo(value, 9));
  });

  test.each([1, 2, 3, 4, 5, 6])(
    "a quadratic that sees nothing of the set but rounding moves nothing (seed %i)",
    (seed) => {
      const columns = gaussianMatrix(8, 5, seed);
      const start = gaussianMatrix(1, 8, seed + 9).data.map((value) => Math.abs(value));
      const set = new Polyhedron(columns, 8, start);
      const slope = gaussianMatrix(1, 5, seed + 30); // of what the columns add up to
      const gradient = product(columns, transpose(slope)).data;
      expect(Array.from(set.minimise(start, gradient, transpose(columns)))).toEqual(Array.from(start));
    },
  );

  test.each([1, 2, 3, 4])("random sets: points keep the fit, vertices have independent columns (seed %i)", (seed) => {
    const columns = gaussianMatrix(12, 5, seed);
    const start = gaussianMatrix(1, 12, seed + 9).data.map((value) => Math.max(0, value));
    const set = new Polyhedron(columns, 12, start);
    const fitOf = (point: Float64Array) => product({ rows: 1, cols: 12, data: point }, columns).data;
    const target = gaussianMatrix(1, 12, seed + 20).data;
    const vertex = set.vertex(start, target);
    expect(set.support(vertex).length).toBeLessThanOrEqual(5);
    for (const point of [vertex, set.nearest(target)]) {
      expect(Math.min(...point)).toBeGreaterThanOrEqual(0);
      expect(largest(fitOf(point).map((v, k) => v - fitOf(start)[k]))).toBeLessThan(1e-9);
    }
    // No step within the set leads nearer to the target: the vertex and the start are both further.
    const away = (point: Float64Array) => Math.hypot(...point.map((value, j) => value - target[j]));
    const nearest = set.nearest(target);
    for (const other of [
      vertex,
      start,
      set.vertex(
        start,
        target.map((v) => -v),
      ),
    ]) {
      const turn = nearest.reduce((sum, value, j) => sum + (target[j] - value) * (other[j] - value), 0);
      expect(turn).toBeLessThanOrEqual(1e-8 * away(other));
    }
  });
});

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
