import { expect, test } from "vitest";
import { Effort } from "../../../src/convex/growth/effort.js";
import { solveGrowing } from "../../../src/convex/growth/grow.js";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { bindLoss } from "../../../src/convex/losses/index.js";
import type { Round } from "../../../src/convex/solvers/solution.js";
import { solve } from "../../../src/convex/solvers/solve.js";
import { randomProgram, targetsFor } from "../../helpers/problems.js";

const program = randomProgram({ cones: true, rows: 1000, outputs: 1 });

test("it is slow when the second half of the work brought less than 2 %, and never where someone said how far to go", () => {
  for (const patient of [true, false]) {
    const effort = new Effort(program, patient);
    for (const objective of [1, 0.9, 0.897, 0.895]) {
      for (let k = 0; k < 200; k++) effort.solveRound(400);
      effort.mark(objective);
      expect(effort.slowed).toBe(patient && objective === 0.895);
    }
  }
});

test("a solve may take what nobody minds, or three times what was spent before it", () => {
  const effort = new Effort(program, true);
  effort.begin();
  expect(effort.exceeded).toBe(false);
  for (let k = 0; k < 1000; k++) effort.solveRound(400);
  expect(effort.exceeded).toBe(true);
  effort.begin();
  expect(effort.exceeded).toBe(false);
});

test("long descents get shorter on large data, and none is foretold to be dear to those who wait", () => {
  expect(new Effort(program, true).affordable(400, 1)).toBe(400);
  const huge = { ...program, X: { rows: 1_000_000, cols: 50, data: new Float64Array(0) } };
  expect(new Effort(huge, true).affordable(400, 100)).toBeLessThan(400);
  expect(new Effort(huge, false).affordable(400, 100)).toBe(400);
  expect([true, false].map((patient) => new Effort(huge, patient).dear(400))).toEqual([true, false]);
});

test("a width that costs more than what is left to gain ends a growth", async () => {
  const small = randomProgram({ cones: true, rows: 30, outputs: 1, beta: 1e-3 });
  const budget = { tolerance: 1e-6, maxIterations: 500, seconds: 60 };
  const rounds: number[] = [];
  const options = { starts: 30, seed: 1 };
  const limited = await solveGrowing(small, referenceKernels, budget, {
    ...options,
    limited: async (_, __, { relative }) => {
      rounds.push(relative);
      return relative < 0.5;
    },
  });
  expect(rounds.at(-1)).toBeLessThan(0.5);
  expect(rounds.slice(0, -1).every((gap) => gap >= 0.5)).toBe(true);
  expect(limited.status).toBe("solved");
  const { gap } = await solveGrowing(small, referenceKernels, budget, options);
  expect(gap.relative).toBeLessThan(limited.gap.relative);
});

test("a round whose inner iteration takes many steps, as across kinks, counts as several, and a solve says how many it took", async () => {
  const kinked = randomProgram({ rows: 100, features: 5, gates: 40, loss: "hinge", cones: true, ridge: 0 });
  const [plain, long] = [new Effort(kinked, true), new Effort(kinked, true)];
  plain.solveRound(40, 10);
  long.solveRound(40, 400);
  expect(long.total).toBeGreaterThan(5 * plain.total);
  const steps: (number | undefined)[] = [];
  const onRound = (round: Round) => {
    steps.push(round.steps);
    return steps.length === 3;
  };
  const budget = { tolerance: 1e-9, maxIterations: 9, seconds: 30, onRound };
  await solve({ ...kinked, beta: 1e-4 }, referenceKernels, { ...budget, solver: "proximal-newton" });
  expect(steps.length).toBe(3);
  expect(steps.every((count) => count !== undefined && Number.isInteger(count) && count > 0)).toBe(true);
});

test("outputs that are solved apart count as their mean: an effort multiplies by their number itself", async () => {
  const one = randomProgram({ rows: 40, features: 3, gates: 8, loss: "hinge", ridge: 0 });
  const y = targetsFor("hinge", one.X, 1, 2).data;
  const both = { rows: 40, cols: 2, data: Float64Array.from({ length: 80 }, (_, k) => y[k >> 1]) };
  const two = { ...one, loss: bindLoss("hinge", both), beta: one.beta / 2 }; // a mean over both outputs
  const stepsOf = async (program: typeof one) => {
    let first = Number.NaN;
    const onRound = (round: Round) => {
      first = round.steps ?? Number.NaN;
      return true;
    };
    const budget = { tolerance: 1e-9, maxIterations: 1, seconds: 30, onRound, solver: "proximal-newton" };
    await solve(program, referenceKernels, budget);
    return first;
  };
  expect(await stepsOf(two)).toBe(await stepsOf(one));
});
