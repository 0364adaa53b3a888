import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { descend, meanOfBranches, objectiveOf, surfaceOf, unevenness } from "../../examples/branches/experiment.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const surface = (side: number, value: (s: number, t: number) => number) => ({
  side,
  values: Float64Array.from({ length: side * side }, (_, k) => value((k % side) - 4, Math.floor(k / side) - 4)),
});

test("a convex surface is even, and one with a bump is as far from convex as the bump is high", () => {
  expect(unevenness(surface(9, (s, t) => s * s + s * t + t * t))).toBeLessThan(1e-12);
  expect(unevenness(surface(9, (s, t) => (s === 0 && t === 0 ? 1 : 0)))).toBeCloseTo(1, 12);
  expect(unevenness(surface(9, () => 3))).toBe(0);
  expect(unevenness(surface(9, (s, t) => (s === t ? 0 : Math.abs(s + t) === 8 ? 0 : -s * s)))).toBeGreaterThan(0.2);
});

test("the middle of a surface is the objective of the model, which has its weights as before at the end", async () => {
  const x = tf.randomNormal([12, 3], 0, 1, "float32", 1) as tf.Tensor2D;
  const y = tf.tidy(() => tf.sign(x.slice([0, 0], [12, 1]))) as tf.Tensor2D;
  for (const branches of [1, 3]) {
    const model = meanOfBranches(3, branches, 2, 6, 1);
    const task = { x, y };
    const first = objectiveOf(model, task, branches, 1e-2).dataSync()[0];
    descend(model, task, branches, 1e-2, 20);
    const value = objectiveOf(model, task, branches, 1e-2).dataSync()[0];
    expect(value).toBeLessThan(first);
    const { values } = await surfaceOf(model, task, { branches, decay: 1e-2, side: 3, span: 1, seed: 1 });
    expect(values[4]).toBeCloseTo(value, 6);
    expect(objectiveOf(model, task, branches, 1e-2).dataSync()[0]).toBeCloseTo(value, 6);
    model.dispose();
  }
  tf.dispose([x, y]);
});
