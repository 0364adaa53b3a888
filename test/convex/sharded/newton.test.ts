/** Newton steps with cones on shards, where scales, losses and sizes are hard on them. */

import { expect, test } from "vitest";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { Clock } from "../../../src/convex/solvers/clock.js";
import type { LossName } from "../../../src/convex/types.js";
import { type ConeCase, solvedInOnePlace, solvedOnShards } from "../../helpers/coneShards.js";

interface Wish {
  readonly n?: number;
  readonly d?: number;
  readonly C?: number;
  readonly P?: number;
  readonly loss?: LossName;
  readonly beta: number;
  readonly scale?: number; // of x
  readonly offset?: number; // of x
  readonly targets?: number; // their scale
  readonly quiet?: number; // outputs whose targets are next to nothing
}

function made(wish: Wish): ConeCase {
  const { n = 60, d = 3, C = 1, P = 8, loss = "meanSquaredError", beta, scale = 1, offset = 0 } = wish;
  const draw = gaussianSource(7);
  const X = {
    rows: n,
    cols: d,
    data: Float64Array.from({ length: n * d }, () => Math.fround(scale * draw() + offset)),
  };
  const generators = { rows: P, cols: d, data: Float64Array.from({ length: P * d }, draw) };
  const Y = { rows: n, cols: C, data: new Float64Array(n * C) };
  for (let j = 0; j < n; j++) {
    const [a, b = 0] = X.data.subarray(j * d, (j + 1) * d).map((value) => (value - offset) / scale);
    const y = (wish.targets ?? 1) * (Math.max(0, a - 0.3 * b) + Math.max(0, b) - 0.5 * Math.max(0, -a) + 0.1 * draw());
    for (let c = 0; c < C; c++) Y.data[j * C + c] = c < (wish.quiet ?? 0) ? 1e-3 * draw() : y;
  }
  return { X, Y, generators, loss, beta };
}

test("outputs without neurons cost few steps of a model", async () => {
  const one = made({ d: 2, C: 20, P: 6, beta: 3e-3, quiet: 19 });
  const { status, rounds } = await solvedOnShards(one, { tolerance: 1e-5 });
  expect(status).toBe("solved");
  expect(rounds).toBeLessThanOrEqual(10);
});

test.each([{ scale: 1e6 }, { scale: 1e-4 }, { offset: 100 }, { offset: 1000 }])(
  "columns of x of another size do not hold the output bias back: %o",
  async (x) => {
    const one = made({ beta: 1e-2 * (x.scale ?? 1), ...x });
    const { status, gap } = await solvedOnShards(one, { tolerance: 1e-5, maxIterations: 10 });
    expect(status).toBe("solved");
    expect(gap.relative).toBeLessThanOrEqual(1e-5);
  },
);

test.each([
  { n: 60, d: 5, P: 40, loss: "meanSquaredError", beta: 1e-4, steps: 10 },
  { n: 40, d: 3, P: 20, loss: "meanAbsoluteError", beta: 1e-3, steps: 40 },
] as const)(
  "fewer rows than columns and a small beta leave a model as good as singular, which is solved all the same: %o",
  async ({ steps, ...wish }) => {
    const one = made(wish);
    const { status, gap, rounds } = await solvedOnShards(one, { tolerance: 1e-4, maxIterations: steps });
    expect(status).toBe("solved");
    expect(rounds).toBeLessThanOrEqual(steps);
    const alone = await solvedInOnePlace(one, 1e-3);
    expect(gap.dual).toBeLessThanOrEqual(alone.gap.primal);
    expect(alone.gap.dual).toBeLessThanOrEqual(gap.primal);
  },
);

test("Huber's loss of targets far beyond its delta is solved", async () => {
  const one = made({ n: 40, d: 2, P: 6, loss: "huberLoss", targets: 20, beta: 1e-2 });
  const { status, gap } = await solvedOnShards(one, { tolerance: 1e-4 });
  const alone = await solvedInOnePlace(one, 1e-4);
  expect(status).toBe("solved");
  expect(gap.dual).toBeLessThanOrEqual(alone.gap.primal * (1 + 1e-12));
  expect(alone.gap.dual).toBeLessThanOrEqual(gap.primal * (1 + 1e-12));
});

test("where hardly a row of Huber's loss bends the objective falls all the same, and the bound stays one", async () => {
  const one = made({ n: 40, d: 2, P: 6, loss: "huberLoss", targets: 20, beta: 1e-4 });
  const { status, gap } = await solvedOnShards(one, { tolerance: 1e-4, maxIterations: 8 });
  const alone = await solvedInOnePlace(one, 1e-3);
  expect(["solved", "iterationLimit"]).toContain(status);
  expect(gap.primal).toBeLessThanOrEqual(1.01 * alone.gap.primal);
  expect(gap.dual).toBeLessThanOrEqual(alone.gap.primal);
});

test.each([{ loss: "meanSquaredError" }, { loss: "huberLoss" }] as const)(
  "a solution of more gates than a model has room for is found in turns: $loss",
  async ({ loss }) => {
    const one = made({ P: 10, loss, beta: 1e-2 });
    const alone = await solvedInOnePlace(one, 1e-5);
    const room = 4;
    const wish = { tolerance: 1e-2, columns: room * (3 + 1), maxIterations: 200 };
    const { status, gap, blocks } = await solvedOnShards(one, wish);
    const used = new Set(Array.from(blocks.index, (slot) => slot % 10)).size;
    expect(used).toBeGreaterThan(room);
    expect(status).toBe("solved");
    expect(gap.primal).toBeLessThanOrEqual(1.01 * alone.gap.primal);
    expect(gap.dual).toBeLessThanOrEqual(alone.gap.primal * (1 + 1e-12));
  },
);

test("numbers that are not finite are a status", async () => {
  const one = made({ beta: 1e-2 });
  one.X.data[4] = 1e38;
  one.X.data[5] = -1e38;
  one.Y.data[3] = 1e300;
  const { status } = await solvedOnShards(one, { tolerance: 1e-5, maxIterations: 5 });
  expect(status).toBe("nonFinite");
});

test("a signal is heard between the calls for a model, and before the first", async () => {
  let stopped = false;
  let models = 0;
  const clock = new Clock(60, () => stopped);
  const one = made({ C: 5, beta: 1e-3 });
  const { status } = await solvedOnShards(one, {
    tolerance: 1e-9,
    clock,
    onCall: ({ op }) => {
      if (op !== "curvature") return;
      models += 1;
      stopped = true;
    },
  });
  expect(status).toBe("cancelled");
  expect(models).toBe(1);
  let calls = 0;
  const none = await solvedOnShards(one, { tolerance: 1e-9, clock, onCall: () => (calls += 1) });
  expect(none.status).toBe("cancelled");
  expect(calls).toBeLessThan(12);
});

test("an objective of nothing leaves a gap that JSON can write", async () => {
  const one = made({ beta: 1e-2 });
  one.Y.data.fill(0);
  const { status, last } = await solvedOnShards(one, { tolerance: 0, maxIterations: 1 });
  expect(["solved", "iterationLimit"]).toContain(status);
  expect("gap" in last && Number.isFinite(last.gap)).toBe(true);
});
