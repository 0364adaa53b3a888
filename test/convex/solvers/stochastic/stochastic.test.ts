import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { referenceKernels, wasmKernels } from "../../../../src/convex/kernels/index.js";
import { isActive } from "../../../../src/convex/linear/bits.js";
import { lossNames } from "../../../../src/convex/losses/index.js";
import { smoothed } from "../../../../src/convex/losses/smoothed.js";
import { chooseSolver, solve } from "../../../../src/convex/solvers/solve.js";
import { Batches } from "../../../../src/convex/solvers/stochastic/batches.js";
import { randomConvProgram } from "../../../helpers/convProblems.js";
import { failingKernels } from "../../../helpers/failingKernels.js";
import { type ProgramWish, randomProgram } from "../../../helpers/problems.js";

const budget = { tolerance: 1e-4, maxIterations: 2000, seconds: 30, solver: "stochastic" };
const newton = { ...budget, solver: "proximal-newton", tolerance: 1e-8 };
const smooth = lossNames.filter((loss) => Number.isFinite(randomProgram({ loss }).loss.curvature));

describe.each(smooth)("%s", (loss) => {
  test.each(["perOutput", "nuclear"] as const)("the optimum is that of the Newton steps (%s)", async (penalty) => {
    const kernels = [referenceKernels, await wasmKernels(1)];
    for (const [k, ridge] of [null, 0, 0.1].entries()) {
      const program = randomProgram({ loss, penalty, ridge, outputs: 2, rows: 40, gates: 6, features: 3, beta: 0.05 });
      const exact = await solve(program, referenceKernels, { ...newton, tolerance: 1e-5 });
      const { status, solver, gap } = await solve(program, kernels[k % 2], budget);
      expect([status, solver]).toEqual(["solved", "stochastic"]);
      expect(gap.dual).toBeLessThanOrEqual(exact.gap.primal * (1 + 1e-9));
      expect(gap.primal).toBeGreaterThanOrEqual(exact.gap.dual * (1 - 1e-9));
      expect(gap.primal / exact.gap.primal).toBeCloseTo(1, 3);
    }
  });
});

test("rows in any order and scale, weights of rows and doubled rows do not keep it from the optimum", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 99 }),
      fc.constantFrom(1e-3, 1, 1e3),
      fc.boolean(),
      async (seed, scale, sorted) => {
        const wish: ProgramWish = { seed, rows: 90, gates: 6, features: 3, beta: 0.05 };
        const plain = randomProgram(wish);
        const order = [...Array(90).keys()];
        // A few rows of one kind at an end would make batches unlike each other, were they not dealt at random.
        if (sorted) order.sort((a, b) => plain.X.data[3 * a] - plain.X.data[3 * b]);
        const data = Float64Array.from(order.flatMap((k) => [0, 1, 2].map((p) => scale * plain.X.data[3 * k + p])));
        const moved = randomProgram(wish);
        const program = {
          ...moved,
          X: { ...plain.X, data },
          gates: { ...plain.gates, bits: plain.gates.bits.slice() },
          beta: scale * plain.beta,
        };
        const exact = await solve(program, referenceKernels, newton);
        const { gap, status } = await solve(program, referenceKernels, budget);
        expect(status).toBe("solved");
        expect(gap.primal / exact.gap.primal).toBeCloseTo(1, 3);
      },
    ),
    { numRuns: 4 },
  );
});

test("products in float32 and gates that come in by their price lead to the same proven optimum", async () => {
  const program = randomProgram({ rows: 1100, features: 6, gates: 80, beta: 0.1 });
  const ours = await solve(program, await wasmKernels(1), { ...budget, tolerance: 1e-3 });
  expect(ours.status).toBe("solved");
  const other = await solve(program, await wasmKernels(1), { ...budget, tolerance: 1e-3, solver: "admm" });
  expect(ours.gap.dual).toBeLessThanOrEqual(other.gap.primal);
  expect(other.gap.dual).toBeLessThanOrEqual(ours.gap.primal);
});

test("a leaky program is solved as well", async () => {
  const plain = randomProgram({ rows: 60, gates: 12 });
  const program = { ...plain, pooling: { patches: 1, positions: 1, scale: 1, negativeSlope: 0.2 } };
  const [ours, exact] = [
    await solve(program, referenceKernels, budget),
    await solve(program, referenceKernels, newton),
  ];
  expect(ours.status).toBe("solved");
  expect(ours.gap.primal / exact.gap.primal).toBeCloseTo(1, 3);
});

test("the gap only closes, a warm start needs a round, and rounds, seconds, a callback and a signal end it with bounds", async () => {
  const program = randomProgram({ rows: 60, gates: 10, ridge: 0 });
  const gaps: number[] = [];
  const cold = await solve(program, referenceKernels, {
    ...budget,
    onRound: ({ gap }) => {
      gaps.push(gap.relative);
      return false;
    },
  });
  for (let k = 1; k < gaps.length; k++) expect(gaps[k]).toBeLessThanOrEqual(gaps[k - 1]);
  const warm = await solve(program, referenceKernels, { ...budget, tolerance: 2e-4 }, cold.blocks);
  expect([warm.status, warm.iterations]).toEqual(["solved", 1]);
  let turns = 0;
  const hard = { ...budget, tolerance: 1e-14 };
  const ends = [
    await solve(program, referenceKernels, { ...hard, maxIterations: 2 }),
    await solve(program, referenceKernels, { ...hard, seconds: 0 }),
    await solve(program, referenceKernels, { ...hard, onRound: () => ++turns === 2 }),
    await solve(program, referenceKernels, { ...hard, stopped: () => true }),
  ];
  expect(ends.map((end) => end.status)).toEqual(["iterationLimit", "timeLimit", "cancelled", "cancelled"]);
  for (const { gap } of ends) expect(gap.dual).toBeLessThanOrEqual(gap.primal);
});

test("two solves of one program are the same to the last bit", async () => {
  const program = randomProgram({ rows: 60, gates: 10, outputs: 2 });
  const runs = [await solve(program, referenceKernels, budget), await solve(program, referenceKernels, budget)];
  expect(runs[0].blocks).toEqual(runs[1].blocks);
});

test("an engine that throws while it makes the batches is left without products", async () => {
  const { kernels, living } = failingKernels("adjoint", 2);
  await expect(solve(randomProgram({ rows: 60 }), kernels, budget)).rejects.toThrow(RangeError);
  expect(living()).toBe(0);
});

test("an engine that throws at any of the batches' first products, or a stop at any of the pauses, leaves no products", async () => {
  const program = randomProgram({ rows: 60 });
  const whole = failingKernels("adjoint", Number.POSITIVE_INFINITY);
  let pauses = 0;
  const batches = await Batches.of(program, whole.kernels, 1, async () => ++pauses < 0);
  expect([batches?.list.length, whole.living()]).toEqual([4, 4]);
  expect(pauses).toBeGreaterThan(4 + 10);
  batches?.dispose();
  expect(whole.living()).toBe(0);
  for (let stop = 0; stop < pauses; stop++) {
    let calls = 0;
    expect(await Batches.of(program, whole.kernels, 1, async () => ++calls > stop)).toBeNull();
    expect([calls, whole.living()]).toEqual([stop + 1, 0]);
  }
  for (const call of [1, 3]) {
    const { kernels, living } = failingKernels("bind", call);
    await expect(Batches.of(program, kernels, 1, async () => false)).rejects.toThrow(RangeError);
    expect(living()).toBe(0);
  }
});

test("each batch has the rows, patterns and terms of the loss that the program has there", async () => {
  const program = randomProgram({ rows: 150, gates: 5, features: 3, outputs: 2 });
  const { gates, loss, X } = program;
  const batches = await Batches.of(program, referenceKernels, 1, async () => false);
  if (batches === null) throw new Error("no batches");
  expect(batches.list.flatMap(({ rows }) => [...rows]).sort((a, b) => a - b)).toEqual([...Array(150).keys()]);
  const Z = Float64Array.from({ length: 300 }, (_, k) => Math.sin(k));
  const u = Float64Array.of(1, -2, 0.5);
  let value = 0;
  for (const { rows, products, loss: own } of batches.list) {
    value += own.value(Float64Array.from({ length: 2 * rows.length }, (_, k) => Z[2 * rows[k >> 1] + (k & 1)]));
    for (let gate = 0; gate < gates.count; gate++) {
      const out = new Float64Array(rows.length);
      products.forward(Int32Array.of(gate), new Int32Array(1), Float64Array.of(1), u, 1, out);
      rows.forEach((row, k) => {
        const product = u.reduce((sum, weight, p) => sum + weight * X.data[3 * row + p], 0);
        expect(out[k]).toBeCloseTo(isActive(gates, gate, row) ? product : 0, 12);
      });
    }
  }
  expect(value).toBeCloseTo(loss.value(Z), 12);
  batches.dispose();
});

test("a loss that cannot be dealt by rows is refused, and rounding it off does not hide that", async () => {
  const plain = randomProgram({ loss: "hinge", rows: 60 });
  const { part, ...rest } = plain.loss;
  expect(part).toBeDefined();
  const program = { ...plain, loss: smoothed(rest, 0.1) };
  expect(() => chooseSolver(program, "stochastic")).toThrow(/linear part/);
  await expect(Batches.of(program, referenceKernels, 1, async () => false)).rejects.toThrow(/dealt by rows/);
});

test("a loss rounded off has parts that add up to it, and outputs as well", () => {
  const { loss } = randomProgram({ loss: "meanAbsoluteError", rows: 6, outputs: 2 });
  const round = smoothed(loss, 0.3);
  const Z = Float64Array.from({ length: 12 }, (_, k) => Math.sin(k));
  const halves = [Int32Array.of(0, 2, 4), Int32Array.of(1, 3, 5)].map((rows) =>
    round.part?.(rows).value(Float64Array.from({ length: 6 }, (_, k) => Z[2 * rows[k >> 1] + (k & 1)])),
  );
  expect((halves[0] ?? 0) + (halves[1] ?? 0)).toBeCloseTo(round.value(Z), 12);
  const outputs = [0, 1].map((c) => round.output(c).value(Float64Array.from({ length: 6 }, (_, k) => Z[2 * k + c])));
  expect(outputs[0] + outputs[1]).toBeCloseTo(round.value(Z), 12);
});

test("kinks, cones and patches are refused by a sentence that names what takes them", () => {
  const refusal = (program: Parameters<typeof chooseSolver>[0]) => () => chooseSolver(program, "stochastic");
  for (const loss of lossNames.filter((name) => !smooth.includes(name))) {
    expect(refusal(randomProgram({ loss }))).toThrow(/stochastic: needs a smooth loss, got .* as the solver/);
  }
  expect(refusal(randomProgram({ cones: true }))).toThrow(
    /stochastic: has no step that keeps cones; use "proximal-newton"/,
  );
  expect(refusal(randomConvProgram())).toThrow(
    /stochastic: needs rows that stand for samples, got patches .* use "fista"/,
  );
});
