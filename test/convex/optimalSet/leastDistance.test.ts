import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { smallSolve } from "../../../src/convex/linear/smallSolve.js";
import { leastDistance } from "../../../src/convex/optimalSet/leastDistance.js";
import type { Matrix } from "../../../src/convex/types.js";
import { gaussianMatrix } from "../../helpers/problems.js";

/** The nearest point by trying every set of rows as the active one: equality on it, feasible, multipliers that push inward. */
function byAllActiveSets(x0: Float64Array, B: Matrix, b: Float64Array): Float64Array | null {
  const k = x0.length;
  const row = (j: number) => B.data.subarray(j * k, (j + 1) * k);
  let best: Float64Array | null = null;
  for (let set = 0; set < 2 ** B.rows; set++) {
    const active = Array.from({ length: B.rows }, (_, j) => j).filter((j) => (set >> j) & 1);
    if (active.length > k) continue;
    const gram = new Float64Array(active.length ** 2);
    active.forEach((i, p) => {
      active.forEach((j, q) => {
        gram[p * active.length + q] = dot(row(i), row(j));
      });
    });
    const multipliers = Float64Array.from(active, (j) => b[j] - dot(row(j), x0));
    smallSolve(gram, multipliers, active.length);
    const x = x0.slice();
    active.forEach((j, p) => {
      for (let q = 0; q < k; q++) x[q] += multipliers[p] * row(j)[q];
    });
    const feasible = b.every((bound, j) => dot(row(j), x) >= bound - 1e-9);
    if (!feasible || !x.every(Number.isFinite)) continue;
    if (best === null || distance(x, x0) < distance(best, x0)) best = x;
  }
  return best;
}

describe("leastDistance", () => {
  test("finds the nearest point of a random polyhedron, as trying all active sets does", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 1e6 }),
        (k, rows, seed) => {
          const B = gaussianMatrix(rows, k, seed);
          const inside = gaussianMatrix(1, k, seed + 1).data;
          const room = gaussianMatrix(1, rows, seed + 2).data;
          const b = room.map((value, j) => dot(B.data.subarray(j * k, (j + 1) * k), inside) - Math.abs(value));
          const x0 = gaussianMatrix(1, k, seed + 3).data.map((value) => 3 * value);
          const x = leastDistance(x0, B, b);
          const reference = byAllActiveSets(x0, B, b);
          expect(x).not.toBeNull();
          expect(distance(x ?? x0, reference ?? x0)).toBeLessThan(1e-7 * (1 + distance(x0, inside)));
        },
      ),
      { numRuns: 60, seed: 5 },
    );
  });

  test("a point inside stays, also beside rows that are repeated", () => {
    const B = { rows: 3, cols: 2, data: Float64Array.of(1, 0, 1, 0, 0, 1) };
    const x0 = Float64Array.of(2, 3);
    expect(leastDistance(x0, B, Float64Array.of(1, 1, 1))).toEqual(x0);
    const x = leastDistance(Float64Array.of(-2, -3), B, Float64Array.of(1, 1, 1));
    expect(distance(x ?? x0, Float64Array.of(1, 1))).toBeLessThan(1e-12);
  });

  test("says null where no point satisfies the constraints", () => {
    const B = { rows: 2, cols: 1, data: Float64Array.of(1, -1) };
    expect(leastDistance(Float64Array.of(0), B, Float64Array.of(1, 1))).toBeNull();
  });
});

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, p) => sum + value * b[p], 0);
}

function distance(a: Float64Array, b: Float64Array): number {
  return Math.hypot(...a.map((value, p) => value - b[p]));
}
