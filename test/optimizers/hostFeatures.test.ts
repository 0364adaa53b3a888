/** Features and metrics of layers through times on the host, beside those of TensorFlow.js. */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test, vi } from "vitest";
import type { Matrix } from "../../src/convex/types.js";
import { WholeJudge } from "../../src/optimizers/deep/judge.js";
import { trunkOf } from "../../src/optimizers/read/trunk.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const sequence = (...layers: tf.layers.Layer[]) => tf.sequential({ layers });
const expectNear = (mine: number, theirs: number) =>
  expect(Math.abs(mine - theirs)).toBeLessThan(2e-5 * Math.max(1, Math.abs(theirs)));

describe("features of layers through times that are frozen", () => {
  const frozen = { trainable: false };
  const head = () => [tf.layers.dense({ units: 3, activation: "relu" }), tf.layers.dense({ units: 1 })];
  const trunks: readonly [name: string, shape: number[], byTape: boolean, build: () => tf.layers.Layer[]][] = [
    [
      "of two layers, one in a model within",
      [5, 2],
      true,
      () => [
        sequence(tf.layers.lstm({ units: 3, returnSequences: true, ...frozen, inputShape: [5, 2] })),
        tf.layers.bidirectional({ layer: tf.layers.gru({ units: 2 }) as tf.RNN, mergeMode: "concat", ...frozen }),
      ],
    ],
    [
      "of images",
      [3, 4, 4, 1],
      true,
      () => [
        tf.layers.convLstm2d({
          ...{ filters: 2, kernelSize: 2, recurrentInitializer: "glorotUniform", inputShape: [3, 4, 4, 1], ...frozen },
        }),
        tf.layers.flatten(),
      ],
    ],
    [
      "of times that are masked",
      [5, 2],
      false,
      () => [tf.layers.masking({ inputShape: [5, 2] }), tf.layers.simpleRNN({ units: 3, ...frozen })],
    ],
  ];
  test.each(trunks)("%s are what the model predicts there", async (_, shape, byTape, build) => {
    const below = build();
    const model = sequence(...below, ...head());
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const x = tf.randomNormal([40, ...shape], 0, 1, "float32", 1);
    const features = tf.model({ inputs: model.inputs, outputs: below[below.length - 1].output as tf.SymbolicTensor });
    const predicted = tf.tidy(() => (features.predict(x) as tf.Tensor).dataSync());
    const tensors = tf.memory().numTensors;
    const predict = vi.spyOn(tf.LayersModel.prototype, "predict");
    const seen = (await trunkOf(model).see("x", x)) as Matrix;
    expect(predict.mock.calls.length === 0).toBe(byTape);
    predict.mockRestore();
    expect(tf.memory().numTensors).toBe(tensors);
    expect([seen.rows, seen.rows * seen.cols]).toEqual([40, predicted.length]);
    seen.data.forEach((value, k) => {
      expectNear(value, predicted[k]);
    });
    x.dispose();
    model.dispose();
  });
});

describe("what is said of a model with layers through times, by its metrics", () => {
  const seen = () => tf.layers.lstm({ units: 3, returnSequences: true, inputShape: [4, 2] });
  const twice = () => {
    const input = tf.input({ shape: [4, 2] });
    const all = seen().apply(input) as tf.SymbolicTensor;
    const kind = tf.layers.dense({ units: 3, activation: "softmax" }).apply(tf.layers.gru({ units: 2 }).apply(all));
    const places = tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 2 }) }).apply(all);
    return tf.model({ inputs: input, outputs: [kind, places] as tf.SymbolicTensor[] });
  };
  const models: readonly [name: string, build: () => tf.LayersModel, losses: string[], metrics: string[]][] = [
    [
      "of class numbers",
      () => sequence(seen(), tf.layers.flatten(), tf.layers.dense({ units: 3, activation: "softmax" })),
      ["sparseCategoricalCrossentropy"],
      ["accuracy"],
    ],
    [
      "of numbers in one axis, with several metrics",
      () => sequence(seen(), tf.layers.gru({ units: 2 }), tf.layers.dense({ units: 1 })),
      ["meanSquaredError"],
      ["mae", "mape"],
    ],
    ["of two outputs", twice, ["sparseCategoricalCrossentropy", "meanSquaredError"], ["mse"]],
  ];
  test.each(models)("%s, is what model.evaluate says, of rows held out, too", async (_, build, losses, metrics) => {
    const [rows, held] = [20, 12];
    const model = build();
    model.compile({ optimizer: "sgd", loss: losses.length === 1 ? losses[0] : losses, metrics });
    const tensors = (count: number, seed: number) => {
      const x = tf.randomNormal([count, 4, 2], 0, 1, "float32", seed);
      const numbers = tf.tensor(Float32Array.from({ length: count }, (_, k) => (k * seed) % 3));
      const places = tf.randomNormal([count, 4, 2], 0, 1, "float32", seed + 1);
      return { x: [x], y: losses.length === 1 ? [numbers] : [numbers, places] };
    };
    const [own, other] = [tensors(rows, 1), tensors(held, 2)];
    const numbers = (count: number) => Float64Array.from({ length: count }, (_, k) => k);
    const before = tf.memory().numTensors;
    const judge = new WholeJudge(model, own.x, own.y, {
      train: { rows: numbers(rows) },
      validation: { ...other, rows: numbers(held) },
    });
    const evaluate = vi.spyOn(tf.LayersModel.prototype, "evaluate");
    const said = await judge.judge();
    expect(evaluate).not.toHaveBeenCalled();
    evaluate.mockRestore();
    judge.dispose();
    expect(tf.memory().numTensors).toBe(before);
    const names = model.metricsNames;
    expect(Object.keys(said).sort()).toEqual([...names.slice(1), ...names.map((name) => `val_${name}`)].sort());
    for (const [{ x, y }, count, prefix] of [
      [own, rows, ""],
      [other, held, "val_"],
    ] as const) {
      const all = [model.evaluate(x[0], y.length === 1 ? y[0] : y, { batchSize: count })]
        .flat()
        .slice(losses.length - 1);
      all.forEach((value, k) => {
        if (prefix !== "" || k > 0) expectNear(said[prefix + names[k]], value.dataSync()[0]);
      });
    }
    tf.dispose([own, other]);
    model.dispose();
  });
});
