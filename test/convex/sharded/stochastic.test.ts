/** Steps over batches on shards, where those that were looked at first say nothing of the others. */

import { expect, test } from "vitest";
import { formulations } from "../../../src/convex/formulations/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { lookAtZero, solveSharded } from "../../../src/convex/sharded/index.js";
import { Clock } from "../../../src/convex/solvers/clock.js";
import { onShards } from "../../helpers/coneShards.js";

test.each([1e6, 1e30])("steps that are far too long, for a row of size %d, are taken back", async (size) => {
  const draw = gaussianSource(5);
  const [n, d, P] = [2500, 2, 4];
  const X = { rows: n, cols: d, data: Float64Array.from({ length: n * d }, () => Math.fround(draw())) };
  const row = 3; // in none of the batches that are looked at first
  X.data.fill(Math.fround(size), row * d, (row + 1) * d);
  const Y = { rows: n, cols: 1, data: Float64Array.from({ length: n }, draw) };
  const generators = { rows: P, cols: d, data: Float64Array.from({ length: P * d }, draw) };
  const one = { X, Y, generators, loss: "meanSquaredError", beta: 1e-2 } as const;
  const { crew, program: relu } = await onShards(one);
  const { gates, loss, beta, outputBias } = relu;
  const program = formulations.gated.build({ X: relu.X, gates, loss, beta, outputBias, pooling: null }, "perOutput");
  const { loss: without, bias } = await lookAtZero(crew, program);
  const { status, gap } = await solveSharded(crew, program, bias, {
    ...{ tolerance: 1e-2, maxIterations: 20, clock: new Clock(60, () => false), checkpoint: null, everyRounds: 1 },
    batches: true,
    onRound: async () => false,
  });
  expect(status).toBe("iterationLimit");
  expect(gap.primal).toBeLessThanOrEqual(without);
  expect(gap.dual).toBeLessThanOrEqual(gap.primal);
});
