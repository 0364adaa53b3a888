import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { type BranchPowerArgs, branchPower, registerLayers } from "../../src/index.js";
import { saveAndLoad } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const KERNEL = [
  [3, 0, 1, 2],
  [4, 0, 2, 0],
];

test("BranchPower sums powers of the norms of columns, or of rows, with their gradient", () => {
  tf.tidy(() => {
    const kernel = tf.tensor2d(KERNEL);
    const value = (args: BranchPowerArgs) => branchPower(args).apply(kernel).dataSync()[0];
    expect(value({ factor: 2, branches: 2 })).toBeCloseTo(2 * (125 + 27), 3);
    expect(value({ factor: 2, branches: 4, power: 2 })).toBeCloseTo(2 * (25 + 0 + 5 + 4), 4);
    expect(value({ factor: 1, branches: 2, along: "inputs" })).toBeCloseTo(14 ** 1.5 + 20 ** 1.5, 4);
    const slope = tf.grad((w) => branchPower({ factor: 1 / 3, branches: 4 }).apply(w))(kernel);
    // |w|_2 w for each column, and 0 where a branch is zero.
    const expected = [15, 0, Math.sqrt(5), 4, 20, 0, 2 * Math.sqrt(5), 0];
    Array.from(slope.dataSync()).forEach((entry, k) => {
      expect(entry).toBeCloseTo(expected[k], 4);
    });
  });
});

test("a model with BranchPower is saved and loaded with it, and calculateLosses says its terms", async () => {
  registerLayers();
  const model = tf.sequential();
  const args = (along: "outputs" | "inputs") => ({ factor: 0.1, power: 3, branches: 2, along });
  const power = (along: "outputs" | "inputs") => ({ kernelRegularizer: branchPower(args(along)) });
  model.add(tf.layers.dense({ units: 4, inputShape: [3], activation: "relu", useBias: false, ...power("outputs") }));
  model.add(tf.layers.dense({ units: 2, activation: "relu", useBias: false, ...power("outputs") }));
  model.add(tf.layers.dense({ units: 1, ...power("inputs") }));
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  const loaded = await saveAndLoad(model);
  const read = (layer: tf.layers.Layer) => (layer.getConfig().kernelRegularizer as { config: object }).config;
  expect(loaded.layers.map(read)).toEqual([args("outputs"), args("outputs"), args("inputs")]);
  tf.tidy(() => {
    const terms = model.calculateLosses().map((term) => term.dataSync()[0]);
    const own = model.layers.map((layer, k) => {
      const kernel = layer.getWeights()[0];
      return branchPower(args(k === 2 ? "inputs" : "outputs"))
        .apply(kernel)
        .dataSync()[0];
    });
    expect(terms).toEqual(own);
  });
  for (const made of [model, loaded]) made.dispose();
});

const wrong: [name: string, args: object | null, says: RegExp][] = [
  ["nothing", null, /branchPower: expected an object of arguments .* got null/],
  ["a negative factor", { factor: -1, branches: 2 }, /factor: expected a finite number of at least 0, got -1/],
  ["a power below 1", { factor: 1, branches: 2, power: 0.5 }, /power: expected a finite number of at least 1, got 0.5/],
  ["no branches", { factor: 1 }, /branches: expected an integer of at least 1, got undefined/],
  ["another side", { factor: 1, branches: 1, along: "rows" }, /along: expected "outputs" or "inputs", got "rows"/],
];
test.each(wrong)("branchPower refuses %s", (_, args, says) => {
  expect(() => branchPower(args as BranchPowerArgs)).toThrow(says);
});

test("branchPower refuses a kernel that its branches do not divide", () => {
  tf.tidy(() => {
    const apply = () => branchPower({ factor: 1, branches: 3 }).apply(tf.ones([2, 4]));
    expect(apply).toThrow(/outputs are a multiple of 3 branches, as it has, got 4/);
  });
});

test.each([1, 1.5, 2, 3])(
  "a branch of zeros has the slope zero under power %d, and others that of their norm's power",
  (power) => {
    tf.tidy(() => {
      const kernel = tf.tensor2d([[0, 0, 3, 0], [0, 0, 0, 4]]); // biome-ignore format: rows
      const slope = tf
        .grad((k) => branchPower({ factor: 1, branches: 2, power }).apply(k))(kernel)
        .dataSync();
      const wanted = [0, 0, 3, 0, 0, 0, 0, 4].map((value) => power * 5 ** (power - 2) * value);
      wanted.forEach((value, k) => void expect(slope[k]).toBeCloseTo(value, 3));
    });
  },
);
