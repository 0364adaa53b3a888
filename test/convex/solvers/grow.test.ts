import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { enumerateGates } from "../../../src/convex/arrangements/index.js";
import { gaussianSource } from "../../../src/convex/arrangements/random.js";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { type Start, searchGates } from "../../../src/convex/solvers/gateSearch.js";
import { solveGrowing } from "../../../src/convex/solvers/grow.js";
import { solve } from "../../../src/convex/solvers/solve.js";
import type { ConvexProgram } from "../../../src/convex/types.js";
import { gaussianMatrix, randomProgram } from "../../helpers/problems.js";

const budget = { tolerance: 1e-7, maxIterations: 5000, seconds: 60 };

/** The optimum over every arrangement of the rows. */
async function globalOptimum(program: ConvexProgram): Promise<number> {
  const { gap } = await solve({ ...program, gates: enumerateGates(program.X) }, referenceKernels, budget);
  return gap.primal;
}

describe("solveGrowing", () => {
  test.each([
    "meanSquaredError",
    "binaryCrossentropy",
    "categoricalCrossentropy",
    "hinge",
    "squaredHinge",
    "huberLoss",
  ] as const)("from three gates it attains the optimum over all arrangements (%s)", async (loss) => {
    for (const ridge of [null, 0]) {
      const program = randomProgram({ loss, cones: true, rows: 12, features: 3, gates: 3, ridge });
      const { gap, evidence, status } = await solveGrowing(program, referenceKernels, budget, { starts: 60, seed: 1 });
      expect(status).toBe("solved");
      expect(gap.primal / (await globalOptimum(program))).toBeCloseTo(1, 5);
      expect(evidence.bestRatio).toBeLessThanOrEqual(1 + 1e-5);
    }
  });

  test.each([
    ["meanAbsoluteError", 2],
    ["meanAbsoluteError", 3],
    ["meanAbsoluteError", 9],
    ["hinge", 2],
  ] as const)("gates that only rule out a dual point do not end it (%s, seed %i)", async (loss, seed) => {
    const program = randomProgram({ loss, cones: true, rows: 12, features: 3, gates: 3, seed });
    const options = { starts: 60, seed: 1 };
    const { gap, evidence, status } = await solveGrowing(
      program,
      referenceKernels,
      { ...budget, tolerance: 1e-6 },
      options,
    );
    expect(status).toBe("solved");
    expect(gap.primal / (await globalOptimum(program))).toBeCloseTo(1, 5);
    expect(evidence.bestRatio).toBeLessThanOrEqual(1 + 1e-5);
  });

  test("the objective never rises from round to round, and the first gates are not the last", async () => {
    const objectives: number[] = [];
    const program = randomProgram({ cones: true, rows: 40, features: 5, gates: 10 });
    const grown = await solveGrowing(
      program,
      referenceKernels,
      {
        ...budget,
        tolerance: 1e-5,
        onRound: ({ gap }) => {
          objectives.push(gap.primal);
          return false;
        },
      },
      { starts: 40, seed: 2 },
    );
    for (let k = 1; k < objectives.length; k++)
      expect(objectives[k]).toBeLessThanOrEqual(objectives[k - 1] * (1 + 1e-12));
    const fixed = await solve(program, referenceKernels, { ...budget, tolerance: 1e-5 });
    expect(grown.gap.primal).toBeLessThan(fixed.gap.dual);
    expect(grown.iterations).toBe(objectives.length);
  });

  test("a callback and the budget end it with the best point so far", async () => {
    const program = randomProgram({ cones: true, rows: 30, gates: 5 });
    const stopped = await solveGrowing(
      program,
      referenceKernels,
      { ...budget, onRound: ({ index }) => index === 7 },
      { starts: 20, seed: 1 },
    );
    expect(stopped.status).toBe("cancelled");
    expect(stopped.iterations).toBe(8);
    const short = await solveGrowing(
      program,
      referenceKernels,
      { ...budget, maxIterations: 3 },
      { starts: 20, seed: 1 },
    );
    expect(short.status).toBe("iterationLimit");
    expect(short.gap.dual).toBeLessThanOrEqual(short.gap.primal);
  });
});

test("searchGates ends at unit directions with the value that it says, never below its start", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9999 }), (seed) => {
      const X = gaussianMatrix(15, 4, seed);
      const N = gaussianMatrix(15, 2, seed + 1).data;
      const draw = gaussianSource(seed);
      const starts: Start[] = Array.from({ length: 8 }, (_, k) => ({
        direction: Float64Array.from({ length: 4 }, draw),
        output: k % 2,
        sign: k % 4 < 2 ? 1 : -1,
      }));
      const value = (u: Float64Array, { output, sign }: Start) => {
        let sum = 0;
        for (let j = 0; j < 15; j++) {
          let product = 0;
          for (let p = 0; p < 4; p++) product += X.data[j * 4 + p] * u[p];
          sum -= sign * N[j * 2 + output] * Math.max(0, product);
        }
        return sum / Math.hypot(...u);
      };
      searchGates(referenceKernels, X, N, 2, starts, 30).forEach((found, k) => {
        expect(Math.hypot(...found.direction)).toBeCloseTo(1, 10);
        expect(found.value).toBeCloseTo(value(found.direction, starts[k]), 10);
        expect(found.value).toBeGreaterThanOrEqual(value(starts[k].direction, starts[k]) - 1e-12);
      });
    }),
    { numRuns: 30 },
  );
});
