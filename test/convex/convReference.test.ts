import { expect, test } from "vitest";
import { enumerateGates } from "../../src/convex/arrangements/index.js";
import { referenceKernels, wasmKernels } from "../../src/convex/kernels/index.js";
import { solvers } from "../../src/convex/solvers/index.js";
import { solve } from "../../src/convex/solvers/solve.js";
import { type ConvProblem, convProblems } from "../helpers/convProblems.js";
import { maskTexts } from "../helpers/problems.js";

const pairs = solvers.flatMap((solver) =>
  convProblems
    .filter(({ program }) => solver.refuses(program) === null)
    .map((problem) => ({ ...problem, solver: solver.name })),
);

test.each(pairs)("$solver reaches the conic solver's optimum: $name", async ({ program, lower, upper, solver }) => {
  for (const kernels of [referenceKernels, await wasmKernels()]) {
    const budget = { tolerance: 1e-7, maxIterations: 3000, seconds: 50, solver };
    const { status, gap } = await solve(program, kernels, budget);
    expect(status).toBe("solved");
    expect(gap.primal).toBeGreaterThanOrEqual(lower * (1 - 1e-9));
    expect(gap.primal).toBeLessThanOrEqual(upper * (1 + 1e-6));
    expect(gap.dual).toBeLessThanOrEqual(upper * (1 + 1e-9));
    expect(gap.dual).toBeGreaterThanOrEqual(lower * (1 - 1e-6));
  }
});

test.each(convProblems)("cuts the patches that the script cut: $name", ({ program, X }) => {
  expect([program.X.rows, program.X.cols]).toEqual([X.rows, X.cols]);
  expect(program.X.data).toEqual(X.data);
});

const complete = convProblems.filter((problem: ConvProblem) => problem.complete);

test.each(complete)("finds the arrangements of the patches that linear programs found: $name", ({ program }) => {
  const found = enumerateGates(program.X);
  expect(found.complete).toBe(true);
  expect(maskTexts(found)).toEqual(maskTexts(program.gates));
});

test("the stored problems cover every loss, sum, average and flatten, both formulations and penalties", () => {
  const seen = (read: (problem: ConvProblem) => unknown) => new Set(convProblems.map(read));
  expect(complete.length).toBeGreaterThanOrEqual(4);
  expect(seen(({ program }) => program.loss.name).size).toBe(6);
  expect(seen(({ program }) => `${program.cones} ${(program.pooling?.positions ?? 1) > 1}`).size).toBe(4);
  expect(seen(({ program }) => program.penalty.name).size).toBe(2);
});
