import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { enumerateGates } from "../../../../src/convex/arrangements/index.js";
import { smallestTrivialBeta } from "../../../../src/convex/certificate/index.js";
import { bindProducts, referenceKernels, wasmKernels } from "../../../../src/convex/kernels/index.js";
import { WasmProducts } from "../../../../src/convex/kernels/wasm/products.js";
import { unpackPattern } from "../../../../src/convex/linear/bits.js";
import { dot, norm } from "../../../../src/convex/linear/vectors.js";
import { bindLoss, lossNames, lossTraits } from "../../../../src/convex/losses/index.js";
import { admm } from "../../../../src/convex/solvers/admm/index.js";
import { newtonIsCheaper } from "../../../../src/convex/solvers/admm/newtonIsCheaper.js";
import { GraphWeights } from "../../../../src/convex/solvers/admm/weights.js";
import { chooseSolver, type Solution, solve } from "../../../../src/convex/solvers/solve.js";
import { DENSE_ROWS } from "../../../../src/convex/solvers/systems/newton.js";
import { Workbench } from "../../../../src/convex/solvers/workbench.js";
import type { ConvexProgram, LossName } from "../../../../src/convex/types.js";
import { onCountingClock } from "../../../helpers/clock.js";
import { randomConvProgram } from "../../../helpers/convProblems.js";
import { gaussianMatrix, randomProgram } from "../../../helpers/problems.js";

const budget = { tolerance: 1e-6, maxIterations: 1000, seconds: 60 };
const gated = { cones: false, rows: 60, features: 5, gates: 40, beta: 5e-3 } as const;

test.each(lossNames)("%s: the optimum is that of the Newton steps, whatever the output bias", async (loss) => {
  for (const ridge of [null, 0, 0.1]) {
    const program = randomProgram({ ...gated, loss, ridge, outputs: 3, rows: 40, gates: 20 });
    const other = await solve(program, referenceKernels, { ...budget, solver: "proximal-newton" });
    const ours = await solve(program, referenceKernels, { ...budget, solver: "admm" });
    expect([other.status, ours.status, ours.solver]).toEqual(["solved", "solved", "admm"]);
    expectSame(ours, other, 2e-6);
  }
});

test.each(lossNames)(
  "%s with cones: the optimum is that of the Newton steps, whatever the output bias and the number of outputs",
  async (loss) => {
    const kernels = [referenceKernels, await wasmKernels()];
    for (const [k, ridge] of [null, 0, 0.1].entries()) {
      for (const complete of [false, true]) {
        const size = complete ? { rows: 12, features: 2 } : { rows: 40, gates: 20 };
        const outputs = Math.max(lossTraits[loss].activation === "softmax" ? 2 : 1, 1 + k);
        const sampled = randomProgram({ ...gated, loss, ridge, outputs, cones: true, ...size });
        const whole = complete ? { ...sampled, gates: enumerateGates(sampled.X) } : sampled;
        // From larger ones on Newton steps do it all.
        const program = { ...whole, beta: 1e-3 * smallestTrivialBeta(whole, bindProducts(whole, referenceKernels)) };
        const other = await solve(program, referenceKernels, { ...budget, solver: "proximal-newton" });
        const ours = await solve(program, kernels[k % 2], { ...budget, solver: "admm" });
        expect([other.status, ours.status, ours.solver]).toEqual(["solved", "solved", "admm"]);
        expect(ours.gap).not.toEqual(other.gap); // it is not Newton's run
        expectSame(ours, other, 2e-6);
        expectInCones(program, ours);
      }
    }
  },
);

test.each(lossNames)("%s: the nuclear norm is solved to a proven gap", async (loss) => {
  const program = randomProgram({ ...gated, loss, penalty: "nuclear", ridge: 0, outputs: 3, rows: 30, gates: 12 });
  const ours = await solve(program, referenceKernels, { ...budget, tolerance: 1e-5, solver: "admm" });
  expect(ours.status).toBe("solved");
  expect(ours.gap.relative).toBeLessThanOrEqual(1e-5);
});

test.each(lossNames)("%s: it comes near the optimum without Newton steps", async (loss) => {
  // These take over below a gap of 0.05, with cones of 0.3, or from the start where beta is larger than here.
  const outputs = lossTraits[loss].activation === "softmax" ? 2 : 1;
  for (const cones of [false, true]) {
    const sampled = randomProgram({ ...gated, loss, ridge: 0, outputs, cones });
    const beta = 1e-3 * smallestTrivialBeta(sampled, bindProducts(sampled, referenceKernels));
    const program = cones ? { ...sampled, beta } : sampled;
    const near = await solve(program, referenceKernels, { ...budget, tolerance: 0.05, solver: "admm" });
    const other = await solve(program, referenceKernels, { ...budget, tolerance: 0.05, solver: "proximal-newton" });
    expect(near.status).toBe("solved");
    expectSame(near, other, 0.06);
  }
});

test("beyond the rows that a factor holds, systems solved by products lead to the optimum of first-order steps", async () => {
  const kernels = await wasmKernels();
  for (const outputs of [1, 2]) {
    const wish = { ...gated, rows: DENSE_ROWS + 50, features: 4, gates: 12, outputs, ridge: 0, beta: 2e-2 };
    const program = randomProgram(wish);
    // Products of the systems are in float32, which must not limit the gap.
    const ours = await solve(program, kernels, { ...budget, tolerance: 1e-10, solver: "admm" });
    const other = await solve(program, kernels, { ...budget, tolerance: 1e-4, solver: "fista" });
    expect([ours.status, other.status]).toEqual(["solved", "solved"]);
    expectSame(ours, other, 2e-4);
  }
});

test("their products are in float32, but for units in which it has no room for them", async () => {
  const kernels = await wasmKernels();
  const roughly = vi.spyOn(WasmProducts.prototype, "roughly");
  const program = randomProgram({ ...gated, rows: DENSE_ROWS + 50, features: 4, gates: 12, ridge: 0, beta: 2e-2 });
  for (const [ofX, ofY, rough] of [
    [1, 1, true],
    [1e-14, 1, false],
    [1e14, 1, false],
    [1, 1e25, true],
    [1, 1e-25, true],
  ] as const) {
    roughly.mockClear();
    const X = { ...program.X, data: program.X.data.map((value) => ofX * value) };
    const targets = gaussianMatrix(X.rows, 1, 5);
    const loss = bindLoss("meanSquaredError", { ...targets, data: targets.data.map((value) => ofY * value) });
    const scaled = { ...program, X, loss, beta: ofX * ofY * program.beta };
    const { status } = await solve(scaled, kernels, { ...budget, tolerance: 1e-8, solver: "admm" });
    expect([status, roughly.mock.calls.length > 0]).toEqual(["solved", rough]);
  }
  roughly.mockRestore();
});

test("columns of units so far apart that float32 has no factor have their steps in float64, too", async () => {
  const program = randomProgram({ loss: "meanAbsoluteError", rows: 400, features: 8, gates: 40, ridge: 0, beta: 1e-3 });
  const { data } = program.X;
  for (let k = 0; k < data.length; k++) data[k] *= 10 ** ((k % 8) - 4);
  const ends = [referenceKernels, await wasmKernels(1)].map(async (kernels) => {
    const budget = { tolerance: 1e-8, maxIterations: 6, seconds: 60, solver: "admm" };
    return (await solve(program, kernels, budget)).gap.primal;
  });
  const [exact, rough] = await Promise.all(ends);
  expect(rough).toBeLessThan(1.01 * exact); // 1.13 with products in float32
});

describe.each(["sum", "mean", "windows", "flatten"] as const)("patches, %s", (pool) => {
  const wish = { pool, cones: false, outputs: 2, ridge: 0, beta: 5e-3 } as const;

  // As many samples as A has columns, and many more: each with the Gram matrix that is smaller.
  test.each([20, 90])("the optimum of %i samples is that of the Newton steps", async (samples) => {
    for (const penalty of ["perOutput", "nuclear"] as const) {
      const program = randomConvProgram({ ...wish, samples, gates: 7, features: 2, penalty });
      const other = await solve(program, referenceKernels, { ...budget, solver: "proximal-newton" });
      for (const kernels of [referenceKernels, await wasmKernels()]) {
        const ours = await solve(program, kernels, { ...budget, solver: "admm" });
        expect([other.status, ours.status]).toEqual(["solved", "solved"]);
        expectSame(ours, other, 2e-6);
      }
    }
  });
});

test("gates beyond the first of a large set enter until none is dearer than beta", async () => {
  const kernels = await wasmKernels();
  // A third of them is taken at first, over which the gap alone stays above 0.07.
  const program = randomProgram({ ...gated, rows: 1000, features: 100, gates: 3000, beta: 1e-3 });
  const ours = await solve(program, kernels, { ...budget, tolerance: 1e-3, solver: "admm" });
  expect(ours.status).toBe("solved");
});

test("scaling the columns of X by s and beta by s, or the targets by s and beta by s, scales nothing else", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 99 }),
      fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
      async (seed, s) => {
        const program = randomProgram({ ...gated, seed });
        const data = program.X.data.map((value) => s * value);
        const scaled: ConvexProgram = { ...program, X: { ...program.X, data }, beta: s * program.beta };
        const one = await solve(program, referenceKernels, { ...budget, solver: "admm" });
        const two = await solve(scaled, referenceKernels, { ...budget, solver: "admm" });
        expectSame(one, two, 2e-6);
      },
    ),
    { numRuns: 8 },
  );
});

test("with cones it leaves few open blocks to Newton steps, and keeps to the clock", async () => {
  const kernels = await wasmKernels();
  const program = randomProgram({ ...gated, cones: true, rows: 1000, features: 20, gates: 200, beta: 1e-6 });
  expect(chooseSolver(program).name).toBe("admm");
  let rounds = 0;
  const onRound = () => ++rounds === 3;
  const early = await solve(program, kernels, { ...budget, onRound });
  expect(early.status).toBe("cancelled");
  const { made, time } = await onCountingClock(() => solve(program, kernels, { ...budget, seconds: 0.2 }));
  const { status, gap } = made;
  expect(time).toBeLessThan(300);
  expect(status).toBe("timeLimit");
  expect(gap.dual).toBeLessThan(gap.primal);
  expect(gap.primal).toBeGreaterThan(early.gap.dual);
  // A tenth of the largest price: one round of Newton steps comes further than ten iterations.
  const few = { ...program, beta: 0.1 * smallestTrivialBeta(program, bindProducts(program, kernels)) };
  const ours = await solve(few, kernels, { ...budget, tolerance: 1e-3, solver: "admm" });
  const newton = await solve(few, kernels, { ...budget, tolerance: 1e-3, solver: "proximal-newton" });
  expect([ours.status, ours.iterations]).toEqual(["solved", newton.iterations]);
  expect(ours.gap.primal).toBe(newton.gap.primal);
});

test("with cones it is left for Newton steps near the end, where many rounds are left, and where it is stuck", () => {
  const sizes = { n: 1000, C: 1, d: 20, gates: 50, side: 1000, active: 60, iterations: 40, cones: true };
  const slow = (last: number) => Array.from({ length: 9 }, (_, k) => last * 1.05 ** (8 - k));
  expect([0.25, 0.12, 0.05].map((gap) => newtonIsCheaper({ ...sizes, gaps: slow(gap) }, 1e-3))).not.toContain(true);
  expect(newtonIsCheaper({ ...sizes, gaps: slow(0.01) }, 1e-6)).toBe(true);
  expect(newtonIsCheaper({ ...sizes, gaps: new Array(9).fill(0.12) }, 1e-3)).toBe(true);
});

test("where the time is up when it has opened, it answers with the point that it would begin at, and goes on from it when asked", async () => {
  const program = randomProgram({ ...gated, rows: 200 });
  const bench = new Workbench(program, referenceKernels);
  const setting = { program, kernels: referenceKernels, products: bench.products, memory: bench.part(0, program) };
  let over = true;
  const run = admm.start({ ...setting, tolerance: 1e-6, pause: async () => over, late: () => false }, null);
  const first = await run.round();
  expect(first.blocks.index.length).toBe(0);
  expect(first.gap.dual).toBeLessThan(first.gap.primal);
  over = false;
  let gap = first.gap;
  for (let k = 0; k < 200 && gap.relative > 1e-6; k++) gap = (await run.round()).gap;
  const other = await solve(program, referenceKernels, { ...budget, solver: "proximal-newton" });
  expect(Math.abs(gap.primal / other.gap.primal - 1)).toBeLessThan(2e-6);
  run.dispose();
  bench.dispose();
});

test("it is taken unasked for programs of many rows, and for fewer gated ones where outputs are coupled", () => {
  const choice = (wish: Parameters<typeof randomProgram>[0]) => chooseSolver(randomProgram({ ...gated, ...wish })).name;
  expect(choice({})).toBe("proximal-newton");
  expect(choice({ rows: 1000 })).toBe("admm");
  expect([249, 250].map((rows) => choice({ rows }))).toEqual(["proximal-newton", "admm"]);
  expect(choice({ rows: 300, outputs: 2, penalty: "nuclear" })).toBe("admm");
  const cones = { rows: 800, gates: 160, features: 20, cones: true } as const;
  for (const loss of lossNames) {
    for (const outputs of [1, 3]) {
      expect(choice({ ...cones, loss, outputs })).toBe("admm");
      const kinked = loss === "hinge" || loss === "meanAbsoluteError";
      expect(choice({ ...cones, loss, outputs, rows: 600 })).toBe(kinked ? "proximal-newton" : "admm");
      expect(choice({ ...cones, loss, outputs, rows: 599 })).toBe("proximal-newton");
    }
  }
  expect([4, 3].map((gates) => choice({ ...cones, gates }))).toEqual(["admm", "proximal-newton"]);
  const seven = { ...cones, rows: 4000, gates: 1000, features: 16, outputs: 7 }; // a factor for each, or one for all
  expect(choice(seven)).toBe("proximal-newton");
  expect(choice({ ...seven, loss: "categoricalCrossentropy" })).toBe("admm");
  expect(choice({ ...cones, rows: DENSE_ROWS + 1, gates: 2000 })).toBe("proximal-newton");
  // Beyond that many rows as long as a product takes at most 2e10 multiplications.
  const withGates = (count: number, loss: LossName) => {
    const long = randomProgram({ ...gated, rows: 8000, features: 5, loss });
    return chooseSolver({ ...long, gates: { ...long.gates, count } }).name;
  };
  const most = 5e5;
  expect([withGates(most, "meanSquaredError"), withGates(most + 1, "meanSquaredError")]).toEqual(["admm", "fista"]);
  expect(withGates(most + 1, "hinge")).toBe("admm"); // the others refuse
  const nuclear = randomProgram({ cones: true, penalty: "nuclear" });
  expect(() => chooseSolver(nuclear, "admm")).toThrow(/ admm: needs the penalty "perOutput" with cones, got "nuclear"/);
});

describe("of gated programs it leaves the wide ones to Newton steps", () => {
  const shaped = (loss: LossName, rows: number, features: number, count: number) => {
    const program = randomProgram({ ...gated, rows, features, loss });
    return chooseSolver({ ...program, gates: { ...program.gates, count } }).name;
  };

  test.each([
    // Where either was at least 1.4 times as fast as the other, in bench/solvers.ts.
    ["meanSquaredError", 500, 20, 50, "admm"],
    ["meanSquaredError", 1000, 20, 500, "admm"],
    ["meanSquaredError", 1000, 200, 50, "admm"],
    ["meanSquaredError", 2000, 50, 500, "admm"],
    ["meanSquaredError", 250, 20, 500, "proximal-newton"],
    ["meanSquaredError", 500, 50, 500, "proximal-newton"],
    ["meanSquaredError", 500, 20, 2000, "proximal-newton"],
    ["meanSquaredError", 1000, 50, 2000, "proximal-newton"],
    ["meanSquaredError", 1000, 200, 500, "proximal-newton"],
    ["binaryCrossentropy", 250, 50, 50, "admm"],
    ["binaryCrossentropy", 500, 20, 50, "admm"],
    ["binaryCrossentropy", 1000, 200, 50, "admm"],
    ["binaryCrossentropy", 2000, 50, 50, "admm"],
    ["binaryCrossentropy", 250, 20, 2000, "proximal-newton"],
    ["binaryCrossentropy", 500, 20, 2000, "proximal-newton"],
  ] as const)("%s, %i x %i, %i gates: %s", (loss, rows, features, gates, solver) => {
    expect(shaped(loss, rows, features, gates)).toBe(solver);
  });

  test("more rows never take a program from it, and more gates never bring one to it", () => {
    const size = fc.integer({ min: 250, max: 1500 });
    const loss = fc.constantFrom(...lossNames.filter((name) => lossTraits[name].targets !== "distribution"));
    fc.assert(
      fc.property(loss, size, size, fc.integer({ min: 1, max: 30 }), size, size, (name, n, more, d, P, others) => {
        const [few, many] = [Math.min(n, more), Math.max(n, more)];
        if (shaped(name, few, d, P) === "admm") expect(shaped(name, many, d, P)).toBe("admm");
        const [narrow, wide] = [Math.min(P, others), Math.max(P, others)];
        if (shaped(name, n, d, wide) === "admm") expect(shaped(name, n, d, narrow)).toBe("admm");
      }),
      { numRuns: 30 },
    );
  });
});

describe("the weights", () => {
  test("follow the sizes at their looks only, together at the first", () => {
    const weights = new GraphWeights(1, 10, "factored");
    const ratio = weights.outputs / weights.blocks;
    expect(weights.follow(2, 5, 5)).toBe(false);
    expect(weights.follow(3, 5, 5)).toBe(false);
    expect([weights.blocks, weights.outputs / weights.blocks]).toEqual([2.5, expect.closeTo(ratio, 12)]);
    // Their ratio waits until sizes have settled.
    expect(weights.follow(5, 5, 7)).toBe(false);
    expect([weights.outputs, weights.outputs / weights.blocks]).toEqual([7, expect.closeTo(ratio, 12)]);
    expect(weights.follow(10, 1, 7)).toBe(true);
    expect([weights.blocks, weights.outputs]).toEqual([0.5, 7]);
  });

  test("turn from the tenth iteration on where that costs no factor", () => {
    for (const [kind, turned] of [
      ["factored", false],
      ["rough", true],
    ] as const) {
      const weights = new GraphWeights(1, 10, kind);
      weights.set(1, weights.outputs);
      const { blocks, outputs } = weights;
      const sizes = [1, 3 * outputs] as const;
      expect(weights.follow(5, ...sizes)).toBe(false);
      Object.assign(weights, { blocks, outputs });
      expect(weights.follow(10, ...sizes)).toBe(turned);
      expect(weights.outputs).toBeCloseTo(3 * outputs, 12);
      expect(weights.blocks / blocks).toBeCloseTo(turned ? 1 : 3, 12);
    }
  });

  test("stay where a size is zero or not finite", () => {
    const weights = new GraphWeights(1, 10, "factored");
    const before = { ...weights };
    weights.set(0, Number.POSITIVE_INFINITY);
    weights.open(0, 1);
    expect(weights.follow(5, Number.NaN, 0)).toBe(false);
    expect({ ...weights }).toEqual(before);
  });
});

/** Every vector of a solution is in the cone of its gate. */
function expectInCones({ X, gates }: ConvexProgram, { blocks }: Solution): void {
  const C = blocks.bias.length;
  const d = X.cols;
  const mask = new Float64Array(X.rows);
  blocks.index.forEach((index, k) => {
    unpackPattern(gates, Math.floor(index / C) % gates.count, 1, mask);
    const v = blocks.vectors.subarray(k * d, (k + 1) * d);
    for (let j = 0; j < X.rows; j++) {
      const x = X.data.subarray(j * d, (j + 1) * d);
      expect((2 * mask[j] - 1) * dot(x, v)).toBeGreaterThan(-1e-9 * norm(x) * norm(v));
    }
  });
}

/** Both bounds hold for both points, and the objectives agree. */
function expectSame(one: Solution, two: Solution, tolerance: number): void {
  for (const [a, b] of [
    [one, two],
    [two, one],
  ]) {
    expect(a.gap.dual).toBeLessThanOrEqual(b.gap.primal * (1 + 1e-12));
  }
  expect(Math.abs(one.gap.primal / two.gap.primal - 1)).toBeLessThan(tolerance);
}
