import { describe, expect, test } from "vitest";
import { hostCones } from "../../../../src/convex/kernels/hostCones.js";
import { type Kernels, referenceKernels, wasmKernels } from "../../../../src/convex/kernels/index.js";
import { isActive } from "../../../../src/convex/linear/bits.js";
import { atOnce, inTurns } from "../../../../src/convex/linear/pieces.js";
import { lossNames } from "../../../../src/convex/losses/index.js";
import { chooseSolver, keepsBlocks, solve } from "../../../../src/convex/solvers/solve.js";
import type { Setting } from "../../../../src/convex/solvers/solver.js";
import { splitting } from "../../../../src/convex/solvers/splitting/index.js";
import { denseSystem, inverseOf, sharedMatrix } from "../../../../src/convex/solvers/splitting/matrices.js";
import { SplittingRun } from "../../../../src/convex/solvers/splitting/run.js";
import { SplittingSystem } from "../../../../src/convex/solvers/splitting/system.js";
import { Workbench } from "../../../../src/convex/solvers/workbench.js";
import type { ConvexProgram } from "../../../../src/convex/types.js";
import { gaussianMatrix, randomProgram, referenceProblems, wellConditioned } from "../../../helpers/problems.js";

const budget = { tolerance: 1e-3, maxIterations: 200, seconds: 60 };
const bySplitting = { ...budget, solver: "splitting" };

test.each(lossNames)("%s: the optimum is that of Newton steps, with and without a bias", async (loss) => {
  for (const [ridge, cones] of [
    [null, true],
    [0, true],
    [0.1, true],
    [0, false],
  ] as const) {
    const program = randomProgram({ loss, cones, ridge });
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

/** An engine that keeps cones as a device does, but in float64, with what it is asked for to be watched. */
function deviceLike(watched: { measured: boolean[] } = { measured: [] }): Kernels {
  return {
    ...referenceKernels,
    async iterateCones(X, gates, outputs, system) {
      const cones = hostCones(referenceKernels, referenceKernels.bind(X, gates), X, gates, outputs, system);
      return {
        ...cones,
        advance(W, relaxation, threshold, measured) {
          watched.measured.push(measured);
          return cones.advance(W, relaxation, threshold, measured);
        },
      };
    },
  };
}

const fitting = referenceProblems.filter(({ program }) => splitting.refuses(program) === null);

test.each(fitting)("$name: its bounds hold those of an independent solver", async ({ program, lower, upper }) => {
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
  for (const [kernels, endedOnHost] of [[referenceKernels], [deviceLike(), true]] as const) {
    const solution = await solve(program, kernels, { ...sharp, solver: "splitting" });
    expect([solution.status, solution.endedOnHost]).toEqual(["solved", endedOnHost]);
    expect(solution.gap.primal / truth.gap.primal).toBeCloseTo(1, 8);
  }
});

test("a stall in float64 on the host is not blamed on float32", async () => {
  const program = randomProgram({ cones: true, rows: 20, gates: 5, beta: 1e-3, ridge: 0 });
  const { status, endedOnHost, advice } = await solve(program, deviceLike(), { ...bySplitting, tolerance: 1e-17 });
  expect([status, endedOnHost]).toEqual(["stalled", true]);
  expect(advice).not.toMatch(/float32/);
});

describe("where no Newton steps can go on", () => {
  const alone = (program: ConvexProgram, kernels: Kernels, bench: Workbench, pause = async () => false) => {
    const memory = bench.part(0, program);
    const common = { program, kernels, products: bench.products, memory, tolerance: 1e-12, pause, late: () => false };
    return new SplittingRun(common, null, { ...splitting, refuses: () => "goes no further." });
  };

  test("it never rests, and balances its weight as long as it lasts, at intervals that grow in the end", async () => {
    const program = randomProgram({ cones: true, rows: 12, gates: 4 });
    const bench = new Workbench(program, referenceKernels);
    const watched = { measured: [] };
    const run = alone(program, deviceLike(watched), bench);
    let gap = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 60; round++) {
      const point = await run.round();
      expect(point.resting).toBe(false);
      gap = point.gap.relative;
    }
    run.dispose();
    bench.dispose();
    expect(gap).toBeLessThan(1e-5);
    const balances = watched.measured.flatMap((measured, k) => (measured ? [k + 1] : []));
    const late = balances.filter((at) => at > 500);
    expect(balances[0]).toBe(5);
    expect(late.length).toBeGreaterThan(5);
    expect(late.length).toBeLessThan(30);
    const intervals = late.slice(1).map((at, k) => at - late[k]);
    for (let k = 1; k < intervals.length; k++) expect(intervals[k]).toBeGreaterThanOrEqual(intervals[k - 1]);
    expect(late[late.length - 1]).toBeGreaterThan(0.85 * watched.measured.length);
  });

  test("time that is up while the system is made ends the round with the start, and the next goes on from there", async () => {
    const program = randomProgram({ cones: true });
    const bench = new Workbench(program, referenceKernels);
    let over = true;
    const run = alone(program, referenceKernels, bench, async () => over);
    const first = await run.round();
    expect(first.resting).toBe(false);
    expect(first.blocks.index).toHaveLength(0);
    over = false;
    expect((await run.round()).gap.primal).toBeLessThan(first.gap.primal);
    run.dispose();
    bench.dispose();
  });
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
  test("is in the units of the largest eigenvalue of X'X, whatever direction that has", () => {
    // Rows w_k a' have the one eigenvalue |w|^2 |a|^2; vectors of ones or signs are orthogonal to some of these a.
    for (const a of [
      [1, -1],
      [1, 1],
      [1, 0],
      [3, -1, -1, -1],
      [1e-3, 1e3],
      [1, -1, 1, -1],
    ]) {
      const [w, d] = [[1, -2, 0.5], a.length];
      const data = Float64Array.from(w.flatMap((factor) => a.map((entry) => factor * entry)));
      const made = atOnce(sharedMatrix({ rows: 3, cols: d, data }, referenceKernels));
      expect((made?.largest ?? 0) / (5.25 * a.reduce((sum, entry) => sum + entry * entry, 0))).toBeCloseTo(1, 9);
    }
    expect(atOnce(sharedMatrix({ rows: 2, cols: 2, data: new Float64Array(4) }, referenceKernels))?.inverse).toEqual(
      Float64Array.of(1, 0, 0, 1),
    );
  });

  test("has the matrix of its formula, of more than 32 gates too, and its inverse", async () => {
    const program = randomProgram({ cones: true, rows: 70, features: 3, gates: 45 });
    const { X, gates } = program;
    for (const kernels of [referenceKernels, await wasmKernels(1)]) {
      const setting = { program, kernels } as Pick<Setting, "program" | "kernels">;
      const Y = gaussianMatrix(70, 3, 8);
      const Q = atOnce(denseSystem(setting, Y, 0.7, 0.2)) ?? new Float64Array(0);
      for (let i = 0; i < 70; i++) {
        for (let j = 0; j <= i; j++) {
          let [both, product] = [0, 0];
          for (let k = 0; k < gates.count; k++) both += Number(isActive(gates, k, i) && isActive(gates, k, j));
          for (let p = 0; p < 3; p++) product += Y.data[i * 3 + p] * X.data[j * 3 + p];
          expect(Q[i * 70 + j]).toBeCloseTo(2 * both * product + 0.2 + (i === j ? 0.7 : 0), 10);
        }
      }
      const H = wellConditioned(70, 2);
      const factor = kernels.cholesky(H, 70);
      const inverse = factor === null ? null : atOnce(inverseOf(factor, 70));
      factor?.dispose();
      const product = new Float64Array(70 * 70);
      kernels.multiply(H, inverse ?? H, product, 70, 70, 70);
      product.forEach((value, k) => {
        expect(value).toBeCloseTo(k % 71 === 0 ? 1 : 0, 9);
      });
    }
  });

  test("lets the host breathe while it is made, and ends when it is told", async () => {
    const program = randomProgram({ cones: true, rows: 1000, features: 20, gates: 300 });
    const kernels = await wasmKernels(1);
    let turns = 0;
    const count = async () => {
      turns += 1;
      return false;
    };
    const Y = gaussianMatrix(1000, 20, 8);
    expect(await inTurns(denseSystem({ program, kernels }, Y, 1, 0), count)).not.toBeNull();
    expect(turns).toBeGreaterThan(2);
    expect(await inTurns(denseSystem({ program, kernels }, Y, 1, 0), async () => true)).toBeNull();
    expect(await inTurns(sharedMatrix(program.X, kernels), async () => true)).toBeNull();
  });

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
  for (const loss of ["hinge", "meanAbsoluteError"] as const) {
    const gated = randomProgram({ loss, cones: false });
    expect(chooseSolver(gated, undefined, true).name).toBe("splitting");
    expect(chooseSolver(gated).name).not.toBe("splitting");
    const blocksAlone = { ...referenceKernels, iterate: async () => Promise.reject(new Error("not asked for")) };
    expect(keepsBlocks(gated, blocksAlone)).toBe(false);
    expect(keepsBlocks(gated, deviceLike())).toBe(true);
  }
  expect(chooseSolver(randomProgram({ cones: false }), undefined, true).name).toBe("fista");
});

test("says what it is not for", () => {
  const coupled = randomProgram({ cones: true, penalty: "nuclear", outputs: 2 });
  expect(splitting.refuses(coupled)).toBe('needs the penalty "perOutput", got "nuclear".');
  const pooling = { patches: 1, positions: 1, scale: 1, negativeSlope: 0.1 };
  expect(splitting.refuses({ ...randomProgram({ cones: true }), pooling })).toMatch(
    /^has no steps for patches or slopes/,
  );
});
