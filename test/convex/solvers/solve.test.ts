import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { certify, GapJudge, smallestTrivialBeta } from "../../../src/convex/certificate/index.js";
import { referenceKernels, wasmKernels } from "../../../src/convex/kernels/index.js";
import { atOnce } from "../../../src/convex/linear/pieces.js";
import { lossNames, lossTraits } from "../../../src/convex/losses/index.js";
import { zeroBlocks } from "../../../src/convex/operators/blocks.js";
import { chooseSolver, solve, withProducts } from "../../../src/convex/solvers/solve.js";
import type { ConvexProgram, LossName } from "../../../src/convex/types.js";
import { failingKernels } from "../../helpers/failingKernels.js";
import { randomProgram } from "../../helpers/problems.js";

const budget = { tolerance: 1e-6, maxIterations: 500, seconds: 30 };

describe.each([true, false])("cones: %s", (cones) => {
  test.each(lossNames)("%s: the dual never passes the primal, and the gap only closes", async (loss) => {
    for (const ridge of [null, 0, 0.1]) {
      const gaps: number[] = [];
      const solution = await solve(
        randomProgram({ loss, cones, ridge, outputs: lossTraits[loss].activation === "softmax" ? 3 : 2 }),
        referenceKernels,
        {
          ...budget,
          onRound: ({ gap }) => {
            expect(gap.dual).toBeLessThanOrEqual(gap.primal + 1e-12);
            gaps.push(gap.relative);
            return false;
          },
        },
      );
      expect(solution.status).toBe("solved");
      for (let k = 1; k < gaps.length; k++) expect(gaps[k]).toBeLessThanOrEqual(gaps[k - 1]);
    }
  });

  test.each(lossNames)("%s: the zero network is optimal from the trivial beta on, and not below", async (loss) => {
    for (const ridge of [null, 0]) {
      const program = randomProgram({ loss, cones, ridge, seed: 4 });
      const trivial = withProducts(program, referenceKernels, (products) => smallestTrivialBeta(program, products));
      const at = (beta: number) => solve({ ...program, beta }, referenceKernels, budget);
      const above = await at(1.001 * trivial);
      expect(above.blocks.vectors.every((value) => Math.abs(value) < 1e-6)).toBe(true);
      // With kinks the answer is an upper bound, so only a smooth loss must leave zero just below it.
      if (loss === "hinge") continue;
      const below = await at(0.9 * trivial);
      expect(below.blocks.index.length).toBeGreaterThan(0);
      expect(below.gap.primal).toBeLessThan(above.gap.primal);
    }
  });
});

test.each(lossNames)("%s: a warm start from ten times the beta is solved as sharply as a cold one", async (loss) => {
  const sharp = { ...budget, tolerance: 1e-8 };
  const program = randomProgram({ loss, cones: true, rows: 30, gates: 60, beta: 2e-3 });
  const cold = await solve(program, referenceKernels, sharp);
  const before = await solve({ ...program, beta: 2e-2 }, referenceKernels, sharp);
  const warm = await solve(program, referenceKernels, sharp, before.blocks);
  expect([cold.status, before.status, warm.status]).toEqual(["solved", "solved", "solved"]);
  expect(warm.gap.primal / cold.gap.primal).toBeCloseTo(1, 7);
});

test("scaling the columns of X by a common factor s and beta by s leaves the optimum where it was", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 99 }),
      fc.double({ min: 0.01, max: 100, noNaN: true }),
      fc.boolean(),
      async (seed, s, cones) => {
        const program = randomProgram({ seed, cones });
        const scaled: ConvexProgram = {
          ...program,
          X: { ...program.X, data: program.X.data.map((value) => s * value) },
          beta: s * program.beta,
        };
        const [a, b] = [await solve(program, referenceKernels, budget), await solve(scaled, referenceKernels, budget)];
        expect(b.gap.primal / a.gap.primal).toBeCloseTo(1, 5);
      },
    ),
    { numRuns: 8 },
  );
});

test("more gates never raise the optimum, and cones never lower it", async () => {
  const optimum = async (gates: number, cones: boolean) =>
    (await solve(randomProgram({ gates, cones, rows: 30 }), referenceKernels, budget)).gap;
  const [few, many, gated] = [await optimum(10, true), await optimum(40, true), await optimum(40, false)];
  expect(many.dual).toBeLessThanOrEqual(few.primal);
  expect(gated.dual).toBeLessThanOrEqual(many.primal);
});

test("the solvers and the engines agree", async () => {
  const wasm = await wasmKernels();
  const program = randomProgram({ rows: 80, features: 6, gates: 60, ridge: 0 });
  const runs = await Promise.all([
    solve(program, referenceKernels, { ...budget, solver: "proximal-newton" }),
    solve(program, referenceKernels, { ...budget, solver: "fista", tolerance: 1e-4 }),
    solve(program, referenceKernels, { ...budget, solver: "admm" }),
    solve(program, wasm, { ...budget, solver: "admm" }),
    solve(program, wasm, { ...budget, solver: "proximal-newton" }),
    solve(program, wasm, { ...budget, solver: "fista", tolerance: 1e-4 }),
  ]);
  for (const { gap } of runs) {
    for (const other of runs) expect(gap.dual).toBeLessThanOrEqual(other.gap.primal);
    expect(gap.primal / runs[0].gap.primal).toBeCloseTo(1, 3);
  }
});

test.each([true, false])(
  "a warm start from the solution needs a round, whether it is of the same program or near it (cones: %s)",
  async (cones) => {
    const program = randomProgram({ cones, outputs: 2, rows: 40, gates: 30 });
    const first = await solve(program, referenceKernels, budget);
    const again = await solve(program, referenceKernels, { ...budget, tolerance: 1e-4 }, first.blocks);
    expect(again.iterations).toBeLessThan(first.iterations);
    expect(again.gap.primal).toBeLessThanOrEqual(first.gap.primal * (1 + 1e-4));
    const near = await solve({ ...program, beta: 1.1 * program.beta }, referenceKernels, budget, first.blocks);
    expect(near.status).toBe("solved");
  },
);

describe("the budget", () => {
  const program = randomProgram({ rows: 60, gates: 40, cones: true });

  test("rounds, seconds, a callback and a signal end the solve with bounds that hold", async () => {
    let turns = 0;
    const ends = [
      await solve(program, referenceKernels, { ...budget, tolerance: 1e-14, maxIterations: 2 }),
      await solve(program, referenceKernels, { ...budget, tolerance: 1e-14, seconds: 0 }),
      await solve(program, referenceKernels, { ...budget, tolerance: 1e-14, onRound: () => ++turns === 2 }),
      await solve(program, referenceKernels, { ...budget, tolerance: 1e-14, stopped: () => true }),
    ];
    expect(ends.map((end) => end.status)).toEqual(["iterationLimit", "timeLimit", "cancelled", "cancelled"]);
    expect(ends.map((end) => end.iterations)).toEqual([2, 1, 2, 1]);
    for (const { gap } of ends) expect(gap.dual).toBeLessThanOrEqual(gap.primal);
  });

  test("when it is late, prices of cones stay upper bounds: a looser bound of the same optimum", () => {
    withProducts(program, referenceKernels, (products) => {
      const N = new Float64Array(program.loss.rows);
      program.loss.gradient(N.slice(), N);
      const { prices } = new GapJudge(program, products).price(N, 0);
      let asked = 0;
      const half = () => ++asked > 1;
      const hurried = new GapJudge(program, products, null, half).price(N, 0).prices;
      prices.forEach((price, k) => {
        expect(hurried[k]).toBeGreaterThanOrEqual(price * (1 - 1e-12));
      });
      expect(hurried.some((price, k) => price > prices[k])).toBe(true);
      expect(hurried.some((price, k) => Math.abs(price - prices[k]) <= 1e-12 * price)).toBe(true);
    });
  });

  test("the largest price alone is that of all, whatever it is compared with, and a bound of it when it is late", () => {
    for (const outputs of [1, 3]) {
      const one = randomProgram({ rows: 60, gates: 40, cones: true, outputs });
      withProducts(one, referenceKernels, (products) => {
        const N = new Float64Array(one.loss.rows * one.loss.outputs);
        one.loss.gradient(N.slice(), N);
        const { largest } = new GapJudge(one, products).price(N, 0);
        const alone = (threshold: number) => atOnce(new GapJudge(one, products).largestPrice(N, threshold));
        expect(alone(0)).toBeCloseTo(largest, 12);
        expect(alone(0.9 * largest)).toBeCloseTo(largest, 12);
        expect(alone(1.1 * largest)).toBeLessThanOrEqual(1.1 * largest);
        const hurried = new GapJudge(one, products).largestPrice(N, 0);
        let step = hurried.next();
        while (step.done !== true) step = hurried.next(true);
        expect(step.value).toBeGreaterThanOrEqual(largest * (1 - 1e-12));
      });
    }
  });

  test("prices of many gates on many rows are taken in parts, and are those of all at once", async () => {
    const kernels = await wasmKernels();
    for (const penalty of ["perOutput", "nuclear"] as const) {
      const outputs = penalty === "nuclear" ? 2 : 1;
      const program = randomProgram({ rows: 4e4, features: 40, gates: 130, outputs, penalty });
      withProducts(program, kernels, (products) => {
        const N = new Float64Array(program.loss.rows * outputs);
        program.loss.gradient(N.slice(), N);
        const work = new GapJudge(program, products).gapping(zeroBlocks(program), N);
        let turns = 0;
        let step = work.next();
        for (; step.done !== true; step = work.next()) turns++;
        expect(turns).toBeGreaterThan(2);
        const vectors = new Float64Array(130 * outputs * 40);
        products.adjoint(N, outputs, null, vectors);
        const size = outputs * 40;
        const block = (k: number) => vectors.subarray(k * size, (k + 1) * size);
        const { prices, largest } = step.value.prices;
        const wanted = Array.from({ length: 130 }, (_, k) => program.penalty.dualNorm(block(k), outputs, 40));
        wanted.forEach((price, k) => {
          expect(Math.abs(prices[k * outputs] / price - 1)).toBeLessThan(1e-12);
        });
        expect(largest / Math.max(...wanted)).toBeCloseTo(1, 12);
      });
    }
  });

  test("when it is late, gated points after the first are not priced: their bound is that of the zero dual point", () => {
    const gated = randomProgram({ rows: 60, gates: 40 });
    withProducts(gated, referenceKernels, (products) => {
      const blocks = zeroBlocks(gated);
      const N = new Float64Array(gated.loss.rows * gated.loss.outputs);
      gated.loss.gradient(N.slice(), N);
      const judge = new GapJudge(gated, products, null, () => true);
      const [first, second] = [judge.gap(blocks, N.slice()), judge.gap(blocks, N.slice())];
      expect(first.dual).toBe(new GapJudge(gated, products).gap(blocks, N.slice()).dual);
      expect(second.primal).toBe(first.primal);
      expect(second.dual).toBeCloseTo(-gated.loss.conjugate(new Float64Array(N.length)), 12);
      expect(second.dual).toBeLessThan(first.dual);
    });
  });

  test("projections that are not begun in time leave the point and the bound as they were", async () => {
    const { status, gap, blocks } = await solve(program, referenceKernels, { ...budget, seconds: 1e-9 });
    expect(status).toBe("timeLimit");
    expect(blocks.index.length).toBe(0);
    expect(gap.dual).toBeGreaterThan(0);
    const whole = await solve(program, referenceKernels, budget);
    expect(gap.dual).toBeLessThanOrEqual(whole.gap.primal);
  });

  test("numbers that overflow end as nonFinite, not as an exception", async () => {
    const huge = { ...program.X, data: program.X.data.map((value) => 1e200 * value) };
    const { status } = await solve({ ...program, X: huge }, referenceKernels, { ...budget, maxIterations: 20 });
    expect(["nonFinite", "stalled", "iterationLimit", "solved"]).toContain(status);
  });
});

test("the host gets turns inside a round, not only between rounds", async () => {
  let turns = 0;
  let waiting = true;
  const tick = () => {
    turns += 1;
    if (waiting) setTimeout(tick, 0);
  };
  setTimeout(tick, 0);
  const program = randomProgram({ cones: true, rows: 200, features: 10, gates: 150, beta: 1e-3 });
  let rounds = 0;
  await solve(program, referenceKernels, { ...budget, onRound: () => ++rounds === 2 });
  waiting = false;
  expect(turns).toBeGreaterThan(2 * rounds);
});

test.each([1, 2])("an engine that throws when output %i starts is left without products", async (call) => {
  const { kernels, living } = failingKernels("adjointNorms", call);
  const solver = "proximal-newton"; // judges each output's zero network first
  await expect(solve(randomProgram({ outputs: 2 }), kernels, { ...budget, solver })).rejects.toThrow(RangeError);
  expect(living()).toBe(0);
});

describe("more rows than an n x n matrix may have", () => {
  const many = { rows: 6100, features: 2, gates: 6, beta: 0.05 };

  test("a ReLU program with a smooth loss is solved in the space of its faces", async () => {
    const { status, gap } = await solve(randomProgram({ ...many, cones: true }), await wasmKernels(), {
      ...budget,
      tolerance: 1e-3,
    });
    expect(status).toBe("solved");
    expect(gap.dual).toBeLessThanOrEqual(gap.primal);
  });

  test("a gated program is solved by products, and kinks with cones are refused with advice", () => {
    expect(chooseSolver(randomProgram(many)).name).toBe("admm");
    const refusal = (loss: LossName) => () => chooseSolver(randomProgram({ ...many, cones: true, loss }));
    expect(refusal("hinge")).toThrow(/use "squaredHinge"/);
    expect(refusal("meanAbsoluteError")).toThrow(/use "huberLoss"/);
  });

  test("refusing, Newton steps name a solver that takes the program", () => {
    const small = randomProgram(many);
    const dear = { ...small, gates: { ...small.gates, count: 2 ** 30 } };
    const kinks = { ...dear, loss: randomProgram({ ...many, loss: "meanAbsoluteError" }).loss };
    for (const [program, name] of [
      [small, "admm"],
      [dear, "fista"],
      [kinks, "admm"],
    ] as const) {
      expect(() => chooseSolver(program, "proximal-newton")).toThrow(`use "${name}" or fewer rows`);
      expect(chooseSolver(program, name).name).toBe(name);
    }
  });
});

describe("first-order steps, asked for by name,", () => {
  const advice = (program: ConvexProgram): [loss: string, solver: string] => {
    try {
      chooseSolver(program, "fista");
    } catch (error) {
      const found = /use "(\w+)", or "([\w-]+)" as the solver/.exec(String(error));
      return [found?.[1] ?? "", found?.[2] ?? ""];
    }
    throw new Error("they were not refused");
  };

  test.each([
    { size: "few rows", loss: "hinge", rows: 40, gates: 10, instead: ["squaredHinge", "proximal-newton"] },
    { size: "many rows", loss: "meanAbsoluteError", rows: 1200, gates: 10, instead: ["huberLoss", "admm"] },
    { size: "rows beyond a factor", loss: "hinge", rows: 6100, gates: 6, instead: ["squaredHinge", "admm"] },
    { size: "dear products", loss: "hinge", rows: 6100, gates: 2 ** 30, instead: ["squaredHinge", "admm"] },
  ] as const)("refuse kinks, and name a loss that they take and a solver that does: $size", (how) => {
    const wish = { ...how, gates: Math.min(how.gates, 10), features: 2 };
    const program = randomProgram(wish);
    const kinks = { ...program, gates: { ...program.gates, count: how.gates } };
    const [loss, solver] = advice(kinks);
    expect([loss, solver]).toEqual(how.instead);
    expect(chooseSolver(kinks, solver).name).toBe(solver);
    const smooth = { ...kinks, loss: randomProgram({ ...wish, loss: loss as LossName }).loss };
    expect(chooseSolver(smooth, "fista").name).toBe("fista");
  });

  test("refuse kinks over patches of any number of images", () => {
    const kinks = randomProgram({ rows: 6100, features: 2, gates: 6, loss: "hinge" });
    const pooled = { ...kinks, pooling: { patches: 1, positions: 1, scale: 1 } };
    const [, solver] = advice(pooled);
    expect(chooseSolver(pooled, solver).name).toBe(solver);
  });

  test("refuse cones, and name Newton steps or say why these refuse too", () => {
    const cones = { rows: 6100, features: 2, gates: 6, cones: true } as const;
    const refusal = (program: ConvexProgram) => () => chooseSolver(program, "fista");
    const program = randomProgram(cones);
    expect(refusal(program)).toThrow(/keeps cones; use "proximal-newton"/);
    expect(chooseSolver(program, "proximal-newton").name).toBe("proximal-newton");
    expect(refusal(randomProgram({ ...cones, loss: "hinge" }))).toThrow(/"proximal-newton" needs.*use "squaredHinge"/);
    expect(refusal(randomProgram({ ...cones, penalty: "nuclear" }))).toThrow(/"proximal-newton" needs.*drop the cones/);
  });
});

test("an unknown solver is refused by its name", () => {
  expect(() => chooseSolver(randomProgram(), "simplex")).toThrow(
    /known: "admm", "proximal-newton", "fista", "stochastic"/,
  );
});

test("the claim of a certificate says for which gates, among which networks, and both numbers", () => {
  const program = randomProgram({ outputs: 2, cones: true });
  const gap = { primal: 1, dual: 0.999, relative: 1e-3 };
  const sampled = certify(gap, 0.9995, program);
  expect(sampled.scope).toBe("these gates");
  expect(sampled.claim).toMatch(
    /these 15 activation patterns, among networks whose neurons each feed one output.*0\.99900000.*0\.99950000/,
  );
  const complete = certify(gap, 0.9995, { ...program, cones: false, gates: { ...program.gates, complete: true } });
  expect(complete.scope).toBe("all gates");
});
