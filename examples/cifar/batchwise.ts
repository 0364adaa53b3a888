/** One convex program by parts of its rows: by the trainer's variance-reduced steps, and by `proximalAdam` inside an ordinary model.fit. */

import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer, gatedDense, proximalAdam } from "../../src/index.js";
import { secondsNow } from "../support/clock.js";
import { accuracyOf, lossOf, trainOnClock } from "../support/train.js";

/** Rows with a constant column, and one-hot targets; the caller disposes. */
export interface Rows {
  readonly x: tf.Tensor2D; // [n x d]
  readonly y: tf.Tensor2D; // [n x C]
}

export interface Settings {
  readonly gates: number; // P
  readonly beta: number;
  readonly batch: number;
  readonly seed: number;
}

export interface Look {
  readonly seconds: number;
  readonly objective: number;
  readonly accuracy: number; // on the test rows
}

export interface Certified {
  readonly looks: readonly Look[];
  readonly seconds: number;
  readonly objective: number;
  readonly accuracy: number;
  readonly lowerBound: number;
  readonly relativeGap: number;
  readonly status: string;
}

/** Every gate as often as there are outputs: with neurons that feed one output each a layer of P C units has every network of P gates. */
function gatesOf(features: number, outputs: number, { gates, seed }: Settings): tf.Tensor2D {
  return tf.tidy(() => tf.tile(tf.randomNormal([features, gates], 0, 1, "float32", seed), [1, outputs]) as tf.Tensor2D);
}

/** `solver: "stochastic"`, of neurons that feed one output each. */
export async function certifiedByParts(
  train: Rows,
  test: Rows,
  settings: Settings,
  { tolerance, limit }: { readonly tolerance: number; readonly limit: number },
): Promise<Certified> {
  const { gates, beta } = settings;
  const [d, C] = [train.x.shape[1], train.y.shape[1]];
  const kernelRegularizer = tf.regularizers.l2({ l2: beta / 2 });
  const first = gatedDense({ units: gates * C, useBias: false, inputShape: [d], kernelRegularizer, seed: 1 });
  const model = tf.sequential({
    layers: [first, tf.layers.dense({ units: C, activation: "softmax", useBias: false, kernelRegularizer })],
  });
  model.compile({ optimizer: "sgd", loss: "categoricalCrossentropy", metrics: ["accuracy"] });
  tf.tidy(() => first.setWeights([first.getWeights()[0], gatesOf(d, C, settings)]));
  const looks: Look[] = [];
  const began = secondsNow();
  const result = await new ConvexReLUTrainer({
    solver: "stochastic",
    vectorPenalty: "perOutput",
    tolerance,
    timeLimit: limit,
  }).fit(model, train.x, train.y, {
    validationData: [test.x, test.y],
    callbacks: {
      onEpochEnd: async (_epoch: number, logs?: tf.Logs) => {
        const { loss, val_acc: accuracy } = logs as Record<string, number>;
        looks.push({ seconds: secondsNow() - began, objective: loss, accuracy });
      },
    },
  });
  const seconds = secondsNow() - began;
  const accuracy = accuracyOf(model, test.x, test.y);
  const { certificate, objective, status } = result;
  model.dispose();
  return {
    ...{ looks, seconds, accuracy, status, objective: objective.total },
    ...{ lowerBound: certificate.dual, relativeGap: certificate.relativeGap },
  };
}

/** `proximalAdam` on the same gates, under a read-out of ones in which each unit feeds one output. */
export async function descendedInFit(
  train: Rows,
  test: Rows,
  settings: Settings,
  { rate, seconds: budget, looks: count }: { readonly rate: number; readonly seconds: number; readonly looks: number },
): Promise<Look[]> {
  const { gates, beta, batch } = settings;
  const [d, C] = [train.x.shape[1], train.y.shape[1]];
  const first = gatedDense({
    units: gates * C,
    useBias: false,
    inputShape: [d],
    kernelInitializer: tf.initializers.zeros(),
    seed: 1,
  });
  const last = tf.layers.dense({ units: C, useBias: false, activation: "softmax" });
  const model = tf.sequential({ layers: [first, last] });
  tf.tidy(() => {
    first.setWeights([first.getWeights()[0], gatesOf(d, C, settings)]);
    const feeds = Array.from({ length: gates * C }, (_, k) =>
      Array.from({ length: C }, (_, c) => Number(Math.floor(k / gates) === c)),
    );
    last.setWeights([tf.tensor2d(feeds)]);
  });
  last.trainable = false;
  model.compile({
    optimizer: proximalAdam({ beta, learningRate: rate, layers: [first.name] }),
    loss: "categoricalCrossentropy",
  });
  const charge = () => tf.tidy(() => beta * tf.sum(tf.norm(first.getWeights()[0], 2, 0)).dataSync()[0]);
  const looks: Look[] = [];
  const look = (seconds: number) =>
    looks.push({
      seconds,
      objective: lossOf(model, train.x, train.y) + charge(),
      accuracy: accuracyOf(model, test.x, test.y),
    });
  let next = budget / count;
  await trainOnClock(model, train.x, train.y, {
    batchSize: batch,
    epochEnded: (seconds) => {
      if (seconds >= next || seconds >= budget) {
        look(seconds);
        next = seconds + budget / count;
      }
      return seconds >= budget;
    },
  });
  model.optimizer.dispose();
  model.dispose();
  return looks;
}
