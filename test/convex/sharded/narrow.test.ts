/** Networks of a given width by descents on sums, where numbers overflow. */

import { expect, test } from "vitest";
import { narrowedOnShards } from "../../../src/convex/sharded/index.js";
import { onShards } from "../../helpers/coneShards.js";

test("an objective that is no number gives way to one that is", async () => {
  const [n, d] = [12, 2];
  const data = Float64Array.from({ length: n * d }, (_, k) => Math.fround(Math.sin(1 + k)));
  const Y = { rows: n, cols: 1, data: Float64Array.from({ length: n }, (_, j) => Math.cos(j)) };
  const generators = { rows: 1, cols: d, data: Float64Array.of(1, 0) };
  const X = { rows: n, cols: d, data };
  const { crew, program } = await onShards({ X, Y, generators, loss: "meanSquaredError", beta: 1e-2 });
  // Its first descent has no number, later ones do.
  let asked = 0;
  const ask: typeof crew.ask = async (call, payload) => {
    const answer = await crew.ask(call, payload);
    return call.op === "layer" && asked++ < 3 ? answer.fill(Number.NaN) : answer;
  };
  const troubled = Object.assign(Object.create(crew), { ask });
  const neurons = [{ direction: Float64Array.of(1, 0), output: Float64Array.of(0.5), gate: null }];
  const wide = { gated: false, neurons, bias: new Float64Array(1), pooling: null };
  const wish = { units: 1, tolerance: 1e-6, seed: 1, pause: async () => false };
  const { value } = await narrowedOnShards(troubled, program, wide, wish);
  expect(Number.isFinite(value)).toBe(true);
});
