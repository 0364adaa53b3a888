import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { branchAndBound } from "../../../src/convex/pricing/branchAndBound.js";
import { spectralBound } from "../../../src/convex/pricing/spectralBound.js";
import { gaussianMatrix } from "../../helpers/problems.js";

const seeds = fc.integer({ min: 1, max: 9999 });

describe("spectralBound", () => {
  test("no direction is worth more", async () => {
    await fc.assert(
      fc.asyncProperty(seeds, fc.integer({ min: 2, max: 4 }), fc.integer({ min: 1, max: 30 }), async (seed, r, n) => {
        const weights = gaussianMatrix(n, 1, seed + 1).data;
        const weighted = { rows: gaussianMatrix(n, r, seed).data, weights, width: r };
        const budget = { cones: 20_000, tolerance: 1e-4, floor: 1e-9, pause: async () => false };
        const { best } = await branchAndBound([weighted], budget);
        expect(best.value).toBeLessThanOrEqual(spectralBound(weighted) * (1 + 1e-12) + 1e-12);
      }),
      { numRuns: 60 },
    );
  });

  test("it is exact on orthogonal rows, of whatever lengths", () => {
    const rows = Float64Array.of(2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0.5, 0);
    // Rows 2 e_1, 3 e_2, e_3 / 2: the best direction weighs them as w_i |x_i|, where that is positive.
    expect(spectralBound({ rows, weights: Float64Array.of(1, 2, -5), width: 4 })).toBeCloseTo(Math.hypot(2, 6), 12);
    expect(spectralBound({ rows, weights: Float64Array.of(-1, -2, -5), width: 4 })).toBe(0);
  });
});
