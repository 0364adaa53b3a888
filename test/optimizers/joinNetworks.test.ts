import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { joinNetworks } from "../../src/index.js";
import { makeConvModel, makeImages } from "../helpers/convModels.js";
import { type ModelOptions, makeData, makeModel } from "../helpers/models.js";
import { objectiveOf } from "../helpers/objective.js";
import { gaussianMatrix } from "../helpers/problems.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** A model with Gaussian weights, unbalanced between its layers: as good as anything that training might leave. */
function randomModel(options: ModelOptions, seed: number): tf.Sequential {
  return unbalanced(makeModel(options), seed);
}

function unbalanced(model: tf.Sequential, seed: number): tf.Sequential {
  tf.tidy(() => {
    const weights = model.getWeights().map((weight, k) => {
      const { data } = gaussianMatrix(1, weight.size, seed + k);
      return tf.tensor(
        Float32Array.from(data, (value) => (k === 0 ? 0.3 : 1.5) * value),
        weight.shape,
      );
    });
    model.setWeights(weights);
  });
  return model;
}

describe.each([
  { formulation: "relu", loss: "meanSquaredError", l2: 0.01, biasL2: 0.03, hiddenBias: true },
  { formulation: "relu", loss: "hinge", l2: 0.02, biasL2: 0, hiddenBias: true },
  { formulation: "relu", loss: "categoricalCrossentropy", l2: 0, hiddenBias: false },
  { formulation: "gated", loss: "binaryCrossentropy", l2: 0.01, hiddenBias: true },
] as const)("$formulation, $loss, l2 $l2, hidden bias $hiddenBias", (options) => {
  test("no point between two models is above the dearer one, and each is what its model evaluates to", async () => {
    const { x, y } = makeData(options.loss, 30);
    const [from, to] = [randomModel({ ...options, units: 9 }, 3), randomModel({ ...options, units: 14 }, 40)];
    const { points, barrier, modelAt } = await joinNetworks(from, to, x, y, { steps: 8 });
    expect(points).toHaveLength(27);
    const ends = [objectiveOf(from, x, y), objectiveOf(to, x, y)];
    expect(points[0].objective / ends[0]).toBeCloseTo(1, 4);
    expect(points[26].objective / ends[1]).toBeCloseTo(1, 4);
    expect(barrier).toBeLessThanOrEqual(1e-12 * Math.max(...ends));
    const before = tf.memory().numTensors;
    for (const index of [3, 13, 22]) {
      const model = modelAt(index);
      expect(model.layers[0].getWeights()[0].shape[1]).toBe(23);
      expect(objectiveOf(model, x, y) / points[index].objective).toBeCloseTo(1, 4);
      model.dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
    // The objective falls, then is convex, then rises.
    const cross = points.filter(({ leg }) => leg === "cross").map(({ objective }) => objective);
    for (let k = 1; k + 1 < cross.length; k++) {
      expect(cross[k]).toBeLessThanOrEqual((cross[k - 1] + cross[k + 1]) / 2 + 1e-12 * cross[k]);
    }
    tf.dispose([x, y]);
    from.dispose();
    to.dispose();
  });
});

test.each([
  { kind: "conv2d", readOut: "average", padding: "same", l2: 0.01 },
  { kind: "conv2d", readOut: "flatten", outputs: 2, l2: 0.02 },
  { kind: "conv1d", readOut: "flatten", strides: 2, l2: 0, hiddenBias: false },
  { kind: "gatedConv2D", readOut: "average", loss: "binaryCrossentropy", l2: 0.01 },
] as const)("convolutions are joined without a barrier too: $kind, $readOut", async (options) => {
  const [from, to] = [
    unbalanced(makeConvModel({ ...options, filters: 5 }), 3),
    unbalanced(makeConvModel({ ...options, filters: 7 }), 40),
  ];
  const { x, y } = makeImages(from, "loss" in options ? options.loss : "meanSquaredError", 20);
  const { points, barrier, modelAt } = await joinNetworks(from, to, x, y, { steps: 4 });
  const ends = [objectiveOf(from, x, y), objectiveOf(to, x, y)];
  expect(points[0].objective / ends[0]).toBeCloseTo(1, 4);
  expect(points[14].objective / ends[1]).toBeCloseTo(1, 4);
  expect(barrier).toBeLessThanOrEqual(1e-12 * Math.max(...ends));
  for (const index of [2, 7, 12]) {
    const model = modelAt(index);
    expect(objectiveOf(model, x, y) / points[index].objective).toBeCloseTo(1, 4);
    model.dispose();
  }
  const other = makeConvModel({ ...options, strides: 3 });
  await expect(joinNetworks(from, other, x, y)).rejects.toThrow("two models that differ in width only");
  tf.dispose([x, y]);
  for (const model of [from, to, other]) model.dispose();
});

test("weights change continuously: twice as many steps, steps half as long", async () => {
  const { x, y } = makeData();
  const [from, to] = [randomModel({ l2: 0.01, units: 6 }, 1), randomModel({ l2: 0.01, units: 6 }, 20)];
  const longest = async (steps: number) => {
    const { points } = await joinNetworks(from, to, x, y, { steps });
    let most = 0;
    for (let k = 1; k < points.length; k++) {
      const [a, b] = [points[k - 1].weights.kernel.data, points[k].weights.kernel.data];
      most = Math.max(most, Math.hypot(...a.map((value, p) => value - b[p])));
    }
    return most;
  };
  // The square root of the size is steepest at zero, so that a fourth of the step is half the way.
  const [coarse, fine] = [await longest(10), await longest(160)];
  expect(fine).toBeLessThan(0.3 * coarse);
  tf.dispose([x, y]);
  from.dispose();
  to.dispose();
});

describe("misuse is refused", () => {
  test.each([
    [{ steps: 0 }, "steps: expected an integer of 1 to 10000, got 0"],
    [{ regularization: -1 }, "regularization: a number of at least 0, got -1"],
    [{ regularization: 0.1 }, "no regularization for models whose layers have l2"],
    [{ step: 1 }, 'got "step"'],
  ])("options %j", async (options, message) => {
    const { x, y } = makeData();
    const model = makeModel({ l2: 0.01 });
    await expect(joinNetworks(model, model, x, y, options as object)).rejects.toThrow(message);
    model.dispose();
    tf.dispose([x, y]);
  });

  test("models that differ in more than their width, and an index beyond the way", async () => {
    const { x, y } = makeData();
    const [a, b] = [makeModel({ units: 5 }), makeModel({ units: 5, outputBias: false })];
    await expect(joinNetworks(a, b, x, y)).rejects.toThrow("two models that differ in width only");
    const { modelAt } = await joinNetworks(a, a, x, y, { steps: 1 });
    expect(() => modelAt(6)).toThrow("an index below 6, got 6");
    tf.dispose([x, y]);
    a.dispose();
    b.dispose();
  });
});
