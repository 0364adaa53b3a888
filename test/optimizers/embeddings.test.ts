/** Models that look rows of a table up by the numbers of an input. */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { ConvexReLUTrainer } from "../../src/index.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const table = (more: object = {}) =>
  tf.layers.embedding({ inputDim: 5, outputDim: 3, inputLength: 3, ...more } as Parameters<
    typeof tf.layers.embedding
  >[0]);
const sequence = (...layers: tf.layers.Layer[]) => tf.sequential({ layers });
const end = (activation: "linear" | "tanh" = "linear") => tf.layers.dense({ units: 1, activation });

const places = () => tf.layers.timeDistributed({ layer: table({ inputLength: undefined }), inputShape: [1, 3] });

const models: readonly [name: string, build: () => tf.LayersModel][] = [
  ["a table that is trained, then a recurrent layer", () => sequence(table(), tf.layers.lstm({ units: 4 }), end())],
  ["a table at each time", () => sequence(places(), tf.layers.flatten(), end())],
  ["a table with masks", () => sequence(table({ maskZero: true }), tf.layers.gru({ units: 2 }), end())],
  [
    "a table of sequences of any length",
    () => sequence(table({ inputLength: undefined }), tf.layers.gru({ units: 2 }), end()),
  ],
  [
    "a table that is frozen before a hidden layer",
    () =>
      sequence(
        table({ trainable: false }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 4, activation: "relu" }),
        end(),
      ),
  ],
  ["a table in a model without a program", () => sequence(table(), tf.layers.gru({ units: 2 }), end("tanh"))],
  [
    "a table in a model within, after a layer of shapes",
    () =>
      sequence(
        sequence(tf.layers.reshape({ targetShape: [3], inputShape: [3, 1] }), table()),
        tf.layers.simpleRNN({ units: 2 }),
        end(),
      ),
  ],
];

test.each(models)(
  "%s: a number that is no row of it is refused by its place, and the weights stay",
  async (_, build) => {
    const model = build();
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const shape = [6, ...model.inputs[0].shape.slice(1).map((size) => size ?? 3)];
    const [good, large, negative] = [4.9, 5, -1].map((value) =>
      tf.tensor([1, 2, 3, 0, 0, 1, 4, -0.5, value, 1, 1, 3, 2, 2, 2, 0, 1, 0], shape),
    );
    const y = tf.tensor2d([[0], [1], [1], [0], [1], [0]]);
    const trainer = new ConvexReLUTrainer({ timeLimit: 0.1 });
    const tensors = tf.memory().numTensors;
    const before = model.getWeights().map((weight) => Array.from(weight.dataSync()));
    const refused = async (fit: Promise<unknown>, name: string, came: string) => {
      const expected = `expected numbers from 0 to 4 in ${name}, the rows of layer "embedding_`;
      const error = await fit.then(
        () => null,
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ code: "data/embedding" });
      expect(String(error)).toContain(expected);
      expect(String(error)).toContain(`got ${came} in row 2, column 2`);
      expect(model.getWeights().map((weight) => Array.from(weight.dataSync()))).toEqual(before);
      expect(tf.memory().numTensors).toBe(tensors);
    };
    await refused(trainer.fit(model, large, y), "x", "5");
    await refused(trainer.fit(model, good, y, { validationData: [negative, y] }), "validationData[0]", "-1");
    expect(Number.isFinite((await trainer.fit(model, good, y)).objective.total)).toBe(true);
    expect(tf.memory().numTensors).toBe(tensors);
    tf.dispose([good, large, negative, y]);
    model.dispose();
  },
);
