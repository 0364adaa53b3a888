import { describe, expect, test } from "vitest";
import { enumerateGates } from "../../src/convex/arrangements/index.js";
import { referenceKernels } from "../../src/convex/kernels/index.js";
import { solvers } from "../../src/convex/solvers/index.js";
import { chooseSolver, solve } from "../../src/convex/solvers/solve.js";
import type { Solver } from "../../src/convex/solvers/solver.js";
import { violationsOf } from "../helpers/kkt.js";
import { maskTexts, type ReferenceProblem, referenceProblems } from "../helpers/problems.js";

const SMOOTH = ["meanSquaredError", "binaryCrossentropy", "categoricalCrossentropy", "squaredHinge", "huberLoss"];

/** Near interpolation the curvature of the program is tiny: first-order methods crawl there, and say so. */
const crawls = (solver: Solver, { name, program }: ReferenceProblem) =>
  ["fista", "stochastic"].includes(solver.name) && solver.refuses(program) === null && name.endsWith("interpolating");

describe.each(solvers)("$name", (solver) => {
  const fitting = referenceProblems.filter(
    (problem) => solver.refuses(problem.program) === null && !crawls(solver, problem),
  );
  // What the conditions below are missed by goes with its root; `admm` ends as soon as it is met.
  const tolerance =
    solver.name === "stochastic" ? 1e-5 : solver.name === "admm" ? 1e-9 : solver.firstOrder ? 1e-7 : 1e-8;
  const [slack, missed] = [Math.max(1e-6, tolerance), solver.name === "stochastic" ? 2e-2 : 2e-3];
  const crawling = referenceProblems.filter((problem) => crawls(solver, problem));
  const refused = referenceProblems.filter(({ program }) => solver.refuses(program) !== null);

  test.each(fitting)("reaches the conic solver's optimum: $name", async ({ program, lower, upper }) => {
    const solution = await solve(program, referenceKernels, {
      tolerance,
      maxIterations: 3000,
      seconds: 50,
      solver: solver.name,
    });
    expect(solution.status).toBe("solved");
    expect(solution.gap.primal).toBeGreaterThanOrEqual(lower * (1 - 1e-9));
    expect(solution.gap.primal).toBeLessThanOrEqual(upper * (1 + slack));
    expect(solution.gap.dual).toBeLessThanOrEqual(upper * (1 + 1e-9));
    expect(solution.gap.dual).toBeGreaterThanOrEqual(lower * (1 - slack));
    if (!SMOOTH.includes(program.loss.name) || !program.penalty.separable) return;
    const { cones, dual, complementary, bias } = violationsOf(program, solution.blocks);
    expect(cones).toBeLessThan(1e-9);
    expect(dual).toBeLessThan(missed);
    expect(complementary).toBeLessThan(missed);
    expect(bias).toBeLessThan(missed / 2);
  });

  test.each(crawling)("says that it stalls, with bounds that hold: $name", async ({ program, lower, upper }) => {
    const budget = { tolerance: 1e-7, maxIterations: 3000, seconds: 50, solver: solver.name };
    const { status, gap } = await solve(program, referenceKernels, budget);
    expect(status).toBe("stalled");
    expect(gap.primal).toBeGreaterThanOrEqual(lower);
    expect(gap.dual).toBeLessThanOrEqual(upper);
  });

  test.each(refused)("says in a sentence why it does not fit: $name", ({ program }) => {
    expect(solver.refuses(program)).toMatch(/^(needs|holds|has) .+\.$/);
    expect(() => chooseSolver(program, solver.name)).toThrow(` ${solver.name}: ${solver.refuses(program)}`);
  });
});

test("the stored problems cover every loss, both formulations, both penalties and every kind of output bias", () => {
  const seen = (read: (problem: (typeof referenceProblems)[number]) => unknown) => new Set(referenceProblems.map(read));
  expect(referenceProblems.length).toBeGreaterThanOrEqual(12);
  expect(seen(({ program }) => `${program.loss.name} ${program.cones}`).size).toBe(12);
  expect(seen(({ program }) => program.penalty.name).size).toBe(2);
  expect(seen(({ program }) => program.outputBias?.ridge).size).toBeGreaterThanOrEqual(3);
});

test("sets that were found complete by linear programs are what enumeration finds", () => {
  const complete = referenceProblems.filter(({ complete }) => complete);
  expect(complete.length).toBeGreaterThanOrEqual(2);
  for (const { program } of complete) expect(maskTexts(enumerateGates(program.X))).toEqual(maskTexts(program.gates));
});
