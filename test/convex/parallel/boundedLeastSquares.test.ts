import fc from "fast-check";
import { expect, test } from "vitest";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { boundedLeastSquares } from "../../../src/convex/parallel/pricing/boundedLeastSquares.js";

/** Random columns, some of them zero, doubled or short, with bounds of all kinds. */
function problemOf(m: number, count: number, seed: number) {
  const draw = gaussianSource(seed);
  const at = new Int32Array(count);
  const length = new Int32Array(count).fill(m);
  const parts: number[][] = [];
  for (let i = 0; i < count; i++) {
    const kind = Math.abs(draw());
    if (kind < 0.2 && i > 0 && length[i - 1] === m) parts.push(parts[i - 1].map((value) => 2 * value));
    else if (kind < 0.3) parts.push(new Array(m).fill(0));
    else if (kind < 0.8 && m > 1) {
      at[i] = 1;
      length[i] = m - 1;
      parts.push(Array.from({ length: m - 1 }, draw));
    } else parts.push(Array.from({ length: m }, draw));
  }
  const upper = Float64Array.from({ length: count }, (_, i) => [Number.POSITIVE_INFINITY, 0.3, 0][i % 3]);
  const g = Float64Array.from({ length: m }, draw);
  return { columns: { rows: m, at, length, data: Float64Array.from(parts.flat()) }, g, upper, parts };
}

test("boundedLeastSquares ends where the optimality conditions hold, wherever it begins", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 24 }), fc.nat(1e6), (m, count, seed) => {
      const { columns, g, upper, parts } = problemOf(m, count, seed);
      const draw = gaussianSource(seed + 1);
      const start = Float64Array.from({ length: count }, () => Math.abs(draw()));
      const cold = boundedLeastSquares(columns, g, upper);
      const warm = boundedLeastSquares(columns, g, upper, start);
      for (const { x, rest } of [cold, warm]) {
        for (let i = 0; i < count; i++) {
          const slope = parts[i].reduce((sum, value, p) => sum + value * rest[columns.at[i] + p], 0);
          expect(x[i]).toBeGreaterThanOrEqual(0);
          expect(x[i]).toBeLessThanOrEqual(upper[i]);
          if (x[i] < upper[i]) expect(slope).toBeGreaterThan(-1e-9);
          if (x[i] > 0) expect(slope).toBeLessThan(1e-9);
        }
      }
      cold.rest.forEach((value, p) => {
        expect(warm.rest[p]).toBeCloseTo(value, 8);
      });
    }),
    { numRuns: 200 },
  );
});
