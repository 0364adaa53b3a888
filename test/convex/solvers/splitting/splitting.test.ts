import { describe, expect, test } from "vitest";
import { referenceKernels, wasmKernels } from "../../../../src/convex/kernels/index.js";
import { lossNames } from "../../../../src/convex/losses/index.js";
import { chooseSolver, solve } from "../../../../src/convex/solvers/solve.js";
import { splitting } from "../../../../src/convex/solvers/splitting/index.js";
import { SplittingSystem } from "../../../../src/convex/solvers/splitting/system.js";
import { Workbench } from "../../../../src/convex/solvers/workbench.js";
import type { ConvexProgram } from "../../../../src/convex/types.js";
import { gaussianMatrix, randomProgram, referenceProblems } from "../../../helpers/problems.js";

const budget = { tolerance: 1e-3, maxIterations: 200, seconds: 60 };
const bySplitting = { ...budget, solver: "splitting" };

test.each(lossNames)("%s: the optimum is that of Newton steps, with and without a bias", async (loss) => {
  for (const ridge of [null, 0, 0.1]) {
    const program = randomProgram({ loss, cones: true, ridge });
    const truth = await solve(program, referenceKernels, { ...budget, tolerance: 1e-7, solver: "proximal-newton" });
    const gaps: number[] = [];
    const onRound = ({ gap }: { gap: { primal: number; dual: number; relative: number } }) => {
      expect(gap.dual).toBeLessThanOrEqual(truth.gap.primal * (1 + 1e-9));
      expect(gap.primal).toBeGreaterThanOrEqual(truth.gap.dual * (1 - 1e-9));
      gaps.push(gap.relative);
      return false;
    };
    const { gap, status, solver } = await solve(program, referenceKernels, { ...bySplitting, onRound });
    expect([solver, status]).toEqual(["splitting", "solved"]);
    expect(gap.primal / truth.gap.primal).toBeLessThanOrEqual(1 + 1.001e-3);
    for (let k = 1; k < gaps.length; k++) expect(gaps[k]).toBeLessThanOrEqual(gaps[k - 1]);
  }
});

const withCones = referenceProblems.filter(({ program }) => splitting.refuses(program) === null);

test.each(withCones)("$name: its bounds hold those of an independent solver", async ({ program, lower, upper }) => {
  const { gap, status } = await solve(program, referenceKernels, bySplitting);
  expect(status).toBe("solved");
  expect(gap.dual).toBeLessThanOrEqual(upper);
  expect(gap.primal).toBeGreaterThanOrEqual(lower);
});

test("several outputs that separate, or do not, are charged one by one", async () => {
  for (const loss of ["meanSquaredError", "categoricalCrossentropy"] as const) {
    const program = randomProgram({ loss, outputs: 3, cones: true, ridge: 0, rows: 40, gates: 20 });
    const kernels = await wasmKernels(1);
    const truth = await solve(program, kernels, { ...budget, tolerance: 1e-7, solver: "proximal-newton" });
    const { gap } = await solve(program, kernels, bySplitting);
    expect(gap.primal / truth.gap.primal).toBeLessThanOrEqual(1 + 1.001e-3);
    expect(gap.dual).toBeLessThanOrEqual(truth.gap.primal * (1 + 1e-9));
  }
});

test("the last digits come by Newton steps on the host, from the point that was reached", async () => {
  const program = randomProgram({ cones: true, rows: 30, ridge: 0 });
  const sharp = { ...budget, tolerance: 1e-9 };
  const truth = await solve(program, referenceKernels, { ...sharp, solver: "proximal-newton" });
  const solution = await solve(program, referenceKernels, { ...sharp, solver: "splitting" });
  expect([solution.status, solution.endedOnHost]).toEqual(["solved", true]);
  expect(solution.gap.primal / truth.gap.primal).toBeCloseTo(1, 8);
});

test("what comes after a start is no higher", async () => {
  const program = randomProgram({ cones: true, rows: 30, outputs: 2, ridge: 0 });
  const first = await solve(program, referenceKernels, bySplitting);
  const again = await solve(program, referenceKernels, bySplitting, first.blocks);
  expect(again.iterations).toBeLessThanOrEqual(first.iterations);
  expect(again.gap.primal).toBeLessThanOrEqual(first.gap.primal * (1 + 1e-12));
  const short = await solve({ ...program, beta: 2 * program.beta }, referenceKernels, {
    ...bySplitting,
    maxIterations: 1,
  });
  const from = await solve(program, referenceKernels, { ...bySplitting, maxIterations: 1 }, short.blocks);
  const [before] = [await solve(program, referenceKernels, { ...bySplitting, seconds: 0 }, short.blocks)];
  expect(from.gap.primal).toBeLessThanOrEqual(before.gap.primal * (1 + 1e-12));
});

test("units of x, of y and of the loss change nothing but the units of the solution", async () => {
  const program = randomProgram({ cones: true, rows: 30 });
  const rounds = async (p: ConvexProgram) => {
    const { gap, iterations } = await solve(p, referenceKernels, bySplitting);
    return { iterations, relative: gap.relative, primal: gap.primal };
  };
  const plain = await rounds(program);
  for (const s of [1e-3, 1e4]) {
    const X = { ...program.X, data: program.X.data.map((value) => s * value) };
    const scaled = await rounds({ ...program, X, beta: s * program.beta });
    expect(scaled.iterations).toBe(plain.iterations);
    expect(scaled.primal / plain.primal).toBeCloseTo(1, 6);
  }
});

describe("the system", () => {
  test("is solved by a factor, or by products to a residual that the next one takes up", async () => {
    const program = randomProgram({ cones: true, rows: 40, gates: 25, outputs: 2, ridge: 0 });
    const bench = new Workbench(program, referenceKernels);
    const never = async () => false;
    const common = { program, kernels: referenceKernels, tolerance: 1e-3, pause: never, late: () => false };
    const setting = { ...common, products: bench.products, memory: bench.part(0, program) };
    const exact = await SplittingSystem.of(setting);
    const rough = await SplittingSystem.of(setting, 0);
    const U = gaussianMatrix(1, 80, 3).data;
    const pull = Float64Array.of(0.3, -2);
    const wanted = await exact?.solve(U, pull, never);
    const error = (W: Float64Array) => {
      const off = W.reduce((sum, value, k) => sum + (value - (wanted?.W[k] ?? 0)) ** 2, 0);
      return Math.sqrt(off / (wanted?.W ?? W).reduce((sum, value) => sum + value ** 2, 0));
    };
    const first = error((await rough?.solve(U, pull, never))?.W ?? U);
    expect(first).toBeLessThan(0.2);
    for (let again = 0; again < 4; again++) await rough?.solve(U, pull, never);
    expect(error((await rough?.solve(U, pull, never))?.W ?? U)).toBeLessThan(1e-3 * first);
    exact?.dispose();
    rough?.dispose();
    bench.dispose();
  });
});

test("is taken unasked where blocks with cones are kept on a device, and nowhere else", () => {
  const program = randomProgram({ cones: true });
  expect(chooseSolver(program, undefined, true).name).toBe("splitting");
  expect(chooseSolver(program).name).toBe("proximal-newton");
  expect(chooseSolver(program, "splitting").name).toBe("splitting");
});

test("says what it is not for", () => {
  const refusals = [{ cones: false }, { cones: true, penalty: "nuclear", outputs: 2 }] as const;
  expect(refusals.map((how) => splitting.refuses(randomProgram(how)))).toEqual([
    'is for programs with cones; without them use "fista", or "admm".',
    'needs the penalty "perOutput", got "nuclear".',
  ]);
  const pooling = { patches: 1, positions: 1, scale: 1, negativeSlope: 0.1 };
  expect(splitting.refuses({ ...randomProgram({ cones: true }), pooling })).toMatch(
    /^has no steps for patches or slopes/,
  );
});
