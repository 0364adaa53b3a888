/** Losses with kinks on shards: what anchors leave when workers are lost, when gates join, and in a checkpoint. */

import { expect, test } from "vitest";
import { referenceKernels } from "../../../src/convex/kernels/cpu.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { fromBytes, toBytes } from "../../../src/convex/sharded/checkpoint.js";
import { newtonAtZero } from "../../../src/convex/sharded/cones/index.js";
import { boundWith, Cones, lookAtZero, lossElsewhere, solveSharded } from "../../../src/convex/sharded/index.js";
import { kinksAtFirst } from "../../../src/convex/sharded/kinks/index.js";
import { Clock } from "../../../src/convex/solvers/clock.js";
import { type ConeCase, onShards } from "../../helpers/coneShards.js";

const never = async () => false;

function made(n = 40, d = 3, P = 6): ConeCase {
  const draw = gaussianSource(3);
  const X = { rows: n, cols: d, data: Float64Array.from({ length: n * d }, () => Math.fround(draw())) };
  const generators = { rows: P, cols: d, data: Float64Array.from({ length: P * d }, draw) };
  const Y = { rows: n, cols: 1, data: Float64Array.from({ length: n }, (_, j) => X.data[j * d] + 0.3 * draw()) };
  return { X, Y, generators, loss: "meanAbsoluteError", beta: 1e-2 };
}

test("a worker that is lost where gates join gets its multipliers back first: sums are as without the loss", async () => {
  const sums = async (lost: boolean) => {
    let bindings = 0;
    const { crew, program, lose } = await onShards(one, ({ op }) => {
      if (op === "bind" && ++bindings === 2 && lost) lose(1);
    });
    const zero = new Float64Array(program.gates.count * program.X.cols);
    for (const tau of [3, 2]) await crew.anchor(tau, zero, Float64Array.of(0.1));
    await crew.bind(one.generators.data, 0, true);
    await crew.lookAside(zero, Float64Array.of(0.2));
    return crew.ask({ op: "judge", aside: true }, Float64Array.of(0));
  };
  const one = made();
  expect(await sums(true)).toEqual(await sums(false));
});

// Where a loss has kinks its dual point is that of the last step's multipliers, which the point that is kept need not be the best for.
test.each([
  ["meanSquaredError", 2e-4],
  ["meanAbsoluteError", 2e-3],
] as const)("the bound of a program that no gate joins is about the one that was there: %s", async (loss, near) => {
  const { crew, program } = await onShards({ ...made(), loss });
  const cones = await Cones.of(crew, program);
  const { bias } = await lookAtZero(crew, program, cones);
  const clock = new Clock(60, () => false);
  const coned = { cones, kernels: referenceKernels };
  const budget = { tolerance: 1e-4, maxIterations: 60, clock, checkpoint: null, everyRounds: 1, onRound: never };
  const { status, blocks, gap } = await solveSharded(crew, program, bias, budget, coned);
  expect(status).toBe("solved");
  const { dual } = await boundWith(crew, program, coned, blocks, [], 0, never);
  expect(gap.primal - dual).toBeLessThanOrEqual(near * gap.primal);
  expect(dual).toBeLessThanOrEqual(gap.primal);
});

test("a checkpoint reads back as it was written, also before there were any new multipliers", () => {
  const kinks = kinksAtFirst(0.7, lossElsewhere("hinge", 10, 1));
  const iterate = newtonAtZero(12, Float64Array.of(0.5), kinks);
  const best = { primal: 1, dual: Number.NEGATIVE_INFINITY, blocks: new Float64Array(12), bias: Float64Array.of(0.5) };
  const anchors = [{ tau: kinks.tau, point: new Float64Array(7) }];
  const kept = { iterate, best, gaps: [0.5], cuts: { counts: [], rows: new Float64Array(0) }, anchors };
  expect(fromBytes("key", toBytes("key", kept), 1)).toEqual(kept);
});
