import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { fitConvex, restRule, rollOut, Task, windowsOf } from "../../examples/dynamics/experiment.js";
import { accelerations, advanced, fly, type Sample } from "../../examples/dynamics/vehicle.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("the flights stay flights: attitudes are rotations, and the recorded accelerations lead from sample to sample", () => {
  const flight = fly(60, 1);
  for (const { attitude: R, height } of flight) {
    for (const [a, b] of [
      [0, 0],
      [0, 3],
      [3, 6],
      [6, 6],
    ]) {
      // biome-ignore format: pairs of rows
      const product = [0, 1, 2].reduce((sum, k) => sum + R[a + k] * R[b + k], 0);
      expect(product).toBeCloseTo(a === b ? 1 : 0, 12);
    }
    expect(height).toBeGreaterThan(0);
  }
  let told: Sample = flight[20];
  for (let k = 20; k < 50; k++) {
    told = advanced(told, accelerations(flight[k], flight[k + 1]), flight[k + 1].controls);
    for (let j = 0; j < 3; j++) expect(told.velocity[j]).toBeCloseTo(flight[k + 1].velocity[j], 10);
    for (let j = 0; j < 9; j++) expect(told.attitude[j]).toBeCloseTo(flight[k + 1].attitude[j], 1);
  }
});

test("a convex network on top of the linear rule is proven, and foretells other flights better than it in one step and in closed loop", async () => {
  const train = windowsOf([1, 2, 3, 4].map((seed) => fly(150, seed)));
  const flights = [101, 102].map((seed) => fly(150, seed));
  const test = windowsOf(flights);
  expect(train.x.length / train.rows).toBe(56);
  const task = new Task(train);
  const { model, result } = await fitConvex(task, 20, 1e-2, 1e-2, 60);
  expect(result.certificate.relativeGap).toBeLessThan(0.01);
  const rule = task.ruleOf(model);
  expect(task.error(task.linear, test)).toBeLessThan(0.1 * task.error(restRule, test));
  expect(task.error(rule, test)).toBeLessThan(task.error(task.linear, test));
  expect(rollOut(rule, flights, 30).velocity).toBeLessThan(rollOut(task.linear, flights, 30).velocity);
  model.dispose();
  task.dispose();
});
