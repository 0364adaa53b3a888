import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { boundedQuadratic } from "../../../src/convex/linear/boundedQuadratic.js";
import { gaussianMatrix } from "../../helpers/problems.js";

/** B B' / m + shift I, q and bounds, some of them absent. */
function problem(m: number, rank: number, seed: number) {
  const B = gaussianMatrix(m, rank, seed).data;
  const S = new Float64Array(m * m);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < m; j++) for (let p = 0; p < rank; p++) S[i * m + j] += (B[i * rank + p] * B[j * rank + p]) / m;
    S[i * m + i] += 1e-3;
  }
  const draws = gaussianMatrix(3, m, seed + 1).data;
  const q = draws.slice(0, m);
  const low = draws.slice(m, 2 * m).map((value, i) => (i % 5 === 4 ? Number.NEGATIVE_INFINITY : -Math.abs(value)));
  const free = Array.from({ length: m }, (_, i) => i % 5 === 4 || draws[2 * m + i] > 0);
  return { S, q, low, free };
}

describe("a quadratic program with lower bounds", () => {
  test("its answer is feasible, and its slopes are zero inside and not negative at bounds", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 60 }), fc.nat(1000), (m, rank, seed) => {
        const { S, q, low, free } = problem(m, rank, seed);
        const a = boundedQuadratic(S, q, low, free, referenceKernels);
        if (a === null) throw new Error("no answer");
        const size = Math.max(...a.map(Math.abs), 1);
        for (let i = 0; i < m; i++) {
          let slope = q[i];
          for (let j = 0; j < m; j++) slope += S[i * m + j] * a[j];
          expect(a[i]).toBeGreaterThanOrEqual(low[i] - 1e-9 * size);
          expect(slope).toBeGreaterThanOrEqual(-1e-7);
          expect(Math.min(Math.abs(slope), a[i] - low[i])).toBeLessThanOrEqual(1e-7 * size);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("the answer does not depend on where the exchanges begin", () => {
    const { S, q, low, free } = problem(30, 12, 5);
    const first = boundedQuadratic(S, q, low, free, referenceKernels) ?? new Float64Array(0);
    const unbounded = free.map((_, i) => low[i] === Number.NEGATIVE_INFINITY);
    const second = boundedQuadratic(S, q, low, unbounded, referenceKernels) ?? new Float64Array(0);
    expect(first).toHaveLength(30);
    first.forEach((value, i) => {
      expect(second[i]).toBeCloseTo(value, 8);
    });
  });

  test("there is no answer where the matrix is not definite", () => {
    const low = Float64Array.of(-1, -1);
    expect(boundedQuadratic(Float64Array.of(1, 2, 2, 1), low, low, [true, true], referenceKernels)).toBeNull();
  });
});
