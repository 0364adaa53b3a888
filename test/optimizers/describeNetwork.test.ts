import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { ConvexReLUTrainer, describeNetwork, gatedDense } from "../../src/index.js";
import { makeConvModel, makeImages } from "../helpers/convModels.js";
import { makeData, makeModel } from "../helpers/models.js";
import { gaussianMatrix } from "../helpers/problems.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** A compiled model with the given weights: kernel, bias, output kernel, output bias. */
function modelOf(kernel: number[][], bias: number[], output: number[][], outputBias: number[]): tf.Sequential {
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units: bias.length, activation: "relu", inputShape: [kernel.length] }),
      tf.layers.dense({ units: outputBias.length }),
    ],
  });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  tf.tidy(() =>
    model.setWeights([tf.tensor2d(kernel), tf.tensor1d(bias), tf.tensor2d(output), tf.tensor1d(outputBias)]),
  );
  return model;
}

test("a network by hand: gates, the samples that they select, shares of decay and variance", async () => {
  // Neurons (x1)_+ 2, (-x1 + 1)_+ 1, one without outputs, and (2 x1)_+ -1, which shares its gate with the first.
  const model = modelOf(
    [
      [1, -1, 1, 2],
      [0, 0, 1, 0],
    ],
    [0, 1, 0, 0],
    [[2], [1], [0], [-1]],
    [0.5],
  );
  const x = tf.tensor2d([
    [-2, 0],
    [0.5, 1],
    [2, 5],
    [3, 0],
  ]);
  const { neurons, gates, idle, samples, patches, variance, piecewise } = await describeNetwork(model, x);
  expect([samples, patches, idle]).toEqual([4, 1, 1]);
  expect(piecewise).toBeNull();
  expect(gates).toEqual([
    [1, 2, 3],
    [0, 1],
  ]);
  const byUnit = (unit: number) => neurons.find((neuron) => neuron.unit === unit);
  expect(neurons.map(({ unit }) => unit).sort()).toEqual([0, 1, 3]);
  expect(byUnit(0)).toMatchObject({ gate: 0, samples: 3, weights: [1, 0], bias: 0, outputs: [2] });
  expect(byUnit(1)).toMatchObject({ gate: 1, samples: 2, weights: [-1, 0], bias: 1, outputs: [1] });
  expect(byUnit(3)).toMatchObject({ gate: 0, samples: 3 });
  expect([0, 1, 3].map((unit) => byUnit(unit)?.decayShare)).toEqual([0.4, 0.2, 0.4]);
  // What the first adds: 0, 1, 4, 6, of mean 11/4 and variance 53/4 - (11/4)^2.
  expect(byUnit(0)?.mean[0]).toBeCloseTo(11 / 4, 6);
  expect(byUnit(0)?.variance).toBeCloseTo(53 / 4 - (11 / 4) ** 2, 6);
  // The first and the last cancel: the outputs are 3, 0.5, 0, 0 above 0.5.
  expect(variance).toBeCloseTo((9 + 0.25) / 4 - (3.5 / 4) ** 2, 6);
  model.dispose();
  x.dispose();
});

test("a function of one input: kinks, slopes and offsets are those of the model everywhere", async () => {
  const model = modelOf([[1, -2, 0, 1, 3]], [0, 1, 2, -1, -3], [[1], [0.5], [2], [-1], [1]], [0.25]);
  const x = tf.tensor2d([[-1], [0], [1], [2]]);
  const { piecewise } = await describeNetwork(model, x);
  expect(piecewise?.kinks.map((kink) => kink.x)).toEqual([0, 0.5, 1]);
  expect(piecewise?.kinks.map((kink) => kink.change[0])).toEqual([1, 1, 2]);
  expect(piecewise?.kinks.map((kink) => kink.nearest)).toEqual([0, 0, 1]);
  expect(piecewise?.atSamples).toBe(2);
  expect(piecewise?.segments).toHaveLength(4);
  const points = [-3, -0.2, 0.3, 0.7, 1.5, 9];
  const said = tf.tidy(() => Array.from((model.predict(tf.tensor2d(points, [6, 1])) as tf.Tensor).dataSync()));
  points.forEach((at, k) => {
    const segment = piecewise?.segments.find(({ from, to }) => from <= at && at < to);
    expect((segment?.offset[0] ?? 0) + (segment?.slope[0] ?? 0) * at).toBeCloseTo(said[k], 5);
  });
  model.dispose();
  x.dispose();
});

test("where the bias costs next to nothing, all inner kinks of the optimum of one input lie at samples", async () => {
  const points = Array.from(gaussianMatrix(1, 12, 3).data);
  const [x, y] = [
    tf.tensor2d(points, [12, 1]),
    tf.tensor2d(
      points.map((at) => Math.sin(2 * at)),
      [12, 1],
    ),
  ];
  const trainer = new ConvexReLUTrainer({
    arrangements: { kind: "enumerate" },
    hiddenBiasScale: 1e3,
    regularization: 0.01,
    tolerance: 1e-9,
  });
  const { model, neurons } = await trainer.train(x, y, { loss: "meanSquaredError", outputBias: false });
  const { piecewise } = await describeNetwork(model, x);
  expect(neurons).toBeGreaterThan(2);
  const inner = piecewise?.kinks.filter(({ inside }) => inside) ?? [];
  expect(inner.length).toBeGreaterThan(2);
  expect(piecewise?.atSamples).toBe(inner.length);
  model.dispose();
  tf.dispose([x, y]);
});

test("shares add up to one, contributions to the model's outputs, gates of gated layers are the layer's", async () => {
  const { x, y } = makeData("meanSquaredError", 30, 3, 2);
  for (const formulation of ["relu", "gated"] as const) {
    const model = makeModel({ formulation, outputs: 2, units: 80, l2: 0.01 });
    await new ConvexReLUTrainer({ tolerance: 1e-4 }).fit(model, x, y);
    const before = tf.memory().numTensors;
    const { neurons, gates } = await describeNetwork(model, x);
    expect(tf.memory().numTensors).toBe(before);
    expect(neurons.reduce((sum, { decayShare }) => sum + decayShare, 0)).toBeCloseTo(1, 9);
    const [mean, bias] = tf.tidy(() => [
      Array.from((model.predict(x) as tf.Tensor).mean(0).dataSync()),
      Array.from(model.layers[1].getWeights()[1].dataSync()),
    ]);
    for (const c of [0, 1]) {
      expect(neurons.reduce((sum, neuron) => sum + neuron.mean[c], bias[c])).toBeCloseTo(mean[c], 4);
    }
    for (const { gate, samples } of neurons) expect(gates[gate]).toHaveLength(samples);
    model.dispose();
  }
  tf.dispose([x, y]);
});

test.each([
  { kind: "conv2d", readOut: "average", outputs: 2, padding: "same" },
  { kind: "conv1d", readOut: "flatten", outputs: 2, strides: 2 },
  { kind: "gatedConv2D", readOut: "flatten", windows: { size: 2, strides: 1 } },
] as const)("filters add up to what the convolution predicts: $kind, $readOut", async (shape) => {
  const model = makeConvModel({ ...shape, filters: 7 });
  const { x } = makeImages(model, "meanSquaredError", 15);
  const before = tf.memory().numTensors;
  const { neurons, gates, samples, patches, variance, piecewise } = await describeNetwork(model, x);
  expect(tf.memory().numTensors).toBe(before);
  expect(piecewise).toBeNull();
  expect([samples, neurons.length]).toEqual([15, 7]);
  expect(patches).toBeGreaterThan(1);
  const predicted = tf.tidy(() => (model.predict(x) as tf.Tensor2D).arraySync());
  const bias = Array.from(model.layers[model.layers.length - 1].getWeights()[1].dataSync());
  let spread = 0;
  bias.forEach((value, c) => {
    const column = predicted.map((row) => row[c]);
    const mean = column.reduce((sum, entry) => sum + entry, 0) / 15;
    expect(neurons.reduce((sum, neuron) => sum + neuron.mean[c], value)).toBeCloseTo(mean, 5);
    spread += column.reduce((sum, entry) => sum + (entry - mean) ** 2, 0) / 15;
  });
  expect(variance).toBeCloseTo(spread, 5);
  expect(neurons.reduce((sum, { decayShare }) => sum + decayShare, 0)).toBeCloseTo(1, 9);
  for (const { gate, samples: open } of neurons) {
    expect(gates[gate].every((row) => row >= 0 && row < 15 * patches)).toBe(true);
    expect(new Set(gates[gate].map((row) => Math.floor(row / patches))).size).toBe(open);
  }
  model.dispose();
  x.dispose();
});

test("a filter as large as the images is a dense neuron", async () => {
  const dense = modelOf([[1, -1, 2], [0.5, 2, -1]], [0.1, -0.2, 0], [[2], [1], [-1]], [0.5]); // biome-ignore format: columns are neurons
  const conv = makeConvModel({ kind: "conv1d", inputShape: [2, 1], kernelSize: 2, filters: 3 });
  tf.tidy(() => {
    const [kernel, bias, output, outputBias] = dense.getWeights();
    conv.setWeights([kernel.reshape([2, 1, 3]), bias, output, outputBias]);
  });
  const x = tf.tensor2d(Float32Array.from(gaussianMatrix(9, 2, 4).data), [9, 2]);
  const images = x.reshape([9, 2, 1]);
  expect(await describeNetwork(conv, images)).toEqual(await describeNetwork(dense, x));
  tf.dispose([x, images]);
  for (const one of [dense, conv]) one.dispose();
});

describe("misuse is refused", () => {
  test("what is no two-layer model, and data of another width", async () => {
    const x = tf.zeros([4, 3]);
    const model = makeModel();
    await expect(describeNetwork({} as tf.Sequential, x)).rejects.toThrow("expected a tf.LayersModel");
    const deep = tf.sequential({ layers: [gatedDense({ units: 2, inputShape: [3] })] });
    await expect(describeNetwork(deep, x)).rejects.toThrow("expected a dense last layer");
    await expect(describeNetwork(model, tf.zeros([4, 2]))).rejects.toThrow("x of shape [rows, 3]");
    for (const one of [model, deep]) one.dispose();
    x.dispose();
  });
});
