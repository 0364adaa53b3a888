import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { enumerateGates } from "../../../src/convex/arrangements/index.js";
import { solveGrowing } from "../../../src/convex/growth/grow.js";
import { type Start, searchGates } from "../../../src/convex/growth/search.js";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import type { Round } from "../../../src/convex/solvers/solution.js";
import { solve } from "../../../src/convex/solvers/solve.js";
import type { ConvexProgram } from "../../../src/convex/types.js";
import { onCountingClock } from "../../helpers/clock.js";
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

  test.each(["meanSquaredError", "hinge"] as const)(
    "with cones to spend it proves the optimum over all gates (%s)",
    async (loss) => {
      const program = randomProgram({ loss, cones: true, rows: 12, features: 3, gates: 3, ridge: 0 });
      const proving = { ...budget, tolerance: 1e-5, cones: 100_000 };
      const { gap, allGates, status } = await solveGrowing(program, referenceKernels, proving, { starts: 1, seed: 1 });
      const optimum = await globalOptimum(program);
      expect(status).toBe("solved");
      expect(allGates?.finished).toBe(true);
      expect(allGates?.relativeGap).toBeLessThanOrEqual(1e-5);
      expect(allGates?.dual).toBeLessThanOrEqual(optimum * (1 + 1e-9));
      expect(gap.primal / optimum).toBeCloseTo(1, 5);
    },
  );

  test("the zero network is proven where it is optimal, by gates that hold the dual point and have no neuron", async () => {
    const program = randomProgram({ loss: "hinge", cones: true, rows: 60, features: 3, gates: 3, ridge: 0, beta: 0.1 });
    const proving = { ...budget, tolerance: 1e-4, cones: 100_000 };
    const { blocks, allGates } = await solveGrowing(program, referenceKernels, proving, { starts: 20, seed: 1 });
    expect(blocks.index).toHaveLength(0);
    expect(allGates?.finished).toBe(true);
    expect(allGates?.relativeGap).toBeLessThanOrEqual(1e-4);
  });

  test("where no time is left it descends for a moment all the same: the network is better than one without neurons", async () => {
    const program = randomProgram({ cones: true, rows: 40, features: 5, gates: 20, ridge: 0, beta: 0.01 });
    const none = await solve({ ...program, beta: 1e6 }, referenceKernels, budget);
    const late = { ...budget, seconds: 0 };
    const { gap, blocks, status } = await solveGrowing(program, referenceKernels, late, { starts: 20, seed: 1 });
    expect(none.blocks.index).toHaveLength(0);
    expect(blocks.index.length).toBeGreaterThan(0);
    expect(gap.primal).toBeLessThan(0.9 * none.gap.primal);
    expect(status).toBe("timeLimit");
    const stopped = { ...budget, stopped: () => true };
    const { status: ended } = await solveGrowing(program, referenceKernels, stopped, { starts: 20, seed: 1 });
    expect(ended).toBe("cancelled");
  });

  test.each([undefined, 6])(
    "Frank-Wolfe comes to the optimum over all arrangements, one gate a round (batch %s)",
    async (batch) => {
      const program = randomProgram({ cones: true, rows: 12, features: 3, gates: 1, ridge: 0 });
      const counts: number[] = [];
      const objectives: number[] = [];
      const { gap, status, evidence } = await solveGrowing(
        program,
        referenceKernels,
        {
          ...budget,
          tolerance: 1e-6,
          onRound: (round) => {
            counts.push(round.program.gates.count);
            objectives.push(round.gap.primal);
            return false;
          },
        },
        { starts: 60, seed: 1, method: "frank-wolfe", batch },
      );
      expect(status).toBe("solved");
      expect(gap.primal / (await globalOptimum(program))).toBeCloseTo(1, 5);
      expect(evidence.bestRatio).toBeLessThanOrEqual(1 + 1e-5);
      for (let k = 1; k < counts.length; k++) {
        expect(counts[k]).toBeLessThanOrEqual(counts[k - 1] + 1);
        expect(objectives[k]).toBeLessThanOrEqual(objectives[k - 1] * (1 + 1e-12));
      }
    },
  );

  test.each([
    ["meanAbsoluteError", 2],
    ["meanAbsoluteError", 7],
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

  test("where the time is too short for solves, moves alone lower the objective, and the bound of the last point holds", async () => {
    const program = randomProgram({ cones: true, rows: 300, features: 12, gates: 60, beta: 1e-4 });
    const objectives: number[] = [];
    const onRound = ({ gap, index }: { gap: { primal: number }; index: number }) => {
      expect(index).toBe(objectives.length);
      objectives.push(gap.primal);
      return false;
    };
    const { made } = await onCountingClock(() =>
      solveGrowing(program, referenceKernels, { ...budget, seconds: 4, onRound }, { starts: 40, seed: 1 }),
    );
    const { gap, blocks, status, program: last, evidence, iterations } = made;
    expect(status).toBe("timeLimit");
    expect(iterations).toBe(objectives.length);
    expect(objectives[objectives.length - 1]).toBeLessThan(objectives[0]);
    for (let k = 1; k < objectives.length; k++)
      expect(objectives[k]).toBeLessThanOrEqual(objectives[k - 1] * (1 + 1e-12));
    expect(blocks.index.length).toBeGreaterThan(0);
    expect(evidence.starts).toBeGreaterThan(0);
    const { gap: solved } = await solve(last, referenceKernels, { ...budget, tolerance: 1e-3, seconds: 1 }, blocks);
    expect(gap.dual).toBeLessThanOrEqual(solved.primal);
    expect(gap.dual).toBeGreaterThan(0);
    expect(gap.primal).toBeGreaterThanOrEqual(solved.primal * (1 - 1e-12));
  });

  test("whenever time is up, the bound is the best that any round had for the same gates", async () => {
    const program = randomProgram({ cones: true, rows: 16, features: 3, gates: 8, seed: 3 });
    let compared = 0;
    for (let seconds = 0.2; seconds < 1.3; seconds += 0.2) {
      const rounds: Round[] = [];
      const onRound = (round: Round) => rounds.push(round) === 0;
      const { made } = await onCountingClock(() =>
        solveGrowing(program, referenceKernels, { ...budget, seconds, onRound }, { starts: 20, seed: 1 }),
      );
      const duals = rounds.filter((round) => round.program === made.program).map(({ gap }) => gap.dual);
      expect(made.gap.dual).toBeGreaterThanOrEqual(Math.max(...duals));
      compared += duals.length;
    }
    expect(compared).toBeGreaterThan(5);
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

test("searchGates ends at unit directions with the value that it says, never below its start", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 9999 }), async (seed) => {
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
      (await searchGates(referenceKernels, X, N, 2, starts, 30)).forEach((found, k) => {
        expect(Math.hypot(...found.direction)).toBeCloseTo(1, 10);
        expect(found.value).toBeCloseTo(value(found.direction, starts[k]), 10);
        expect(found.value).toBeGreaterThanOrEqual(value(starts[k].direction, starts[k]) - 1e-12);
      });
      // When it is late the starts are priced, and that is all.
      (await searchGates(referenceKernels, X, N, 2, starts, 30, 4, null, async () => true)).forEach((found, k) => {
        expect(found.value).toBeCloseTo(value(starts[k].direction, starts[k]), 10);
      });
    }),
    { numRuns: 30 },
  );
});
