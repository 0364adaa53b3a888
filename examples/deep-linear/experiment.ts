/** Deep networks with a known optimum: the closed form on digits, and SGD from random starts on the same objective. */

import * as tf from "@tensorflow/tfjs";
import { singularVectors } from "../../src/convex/linear/eigen/index.js";
import { type ImageSource, mnistSource } from "../support/images.js";

const MOMENTUM = 0.9;

/** Rows and targets; the caller disposes. */
export interface Problem {
  readonly x: tf.Tensor2D;
  readonly y: tf.Tensor2D;
}

/** What networks are trained on which problem, and how SGD goes about it. */
export interface Case {
  readonly name: string;
  readonly activation: "linear" | "relu";
  readonly problem: Problem;
  readonly depths: readonly number[];
  readonly width: number;
  readonly decay: number;
  readonly rate: number;
}

/** Two classes of images as rows of means of 4 x 4 pixels (49 of MNIST, 192 of CIFAR-10), less their own means, targets -1 and 1. */
export function readTwoClasses(source: ImageSource, count: number, classes: readonly [number, number]): Problem {
  const { x, y } = source.read("train", count, classes);
  const problem = tf.tidy(() => {
    const rows = tf.reshape(tf.avgPool(x, 4, 4, "valid"), [x.shape[0], -1]);
    return { x: tf.sub(rows, tf.mean(rows, 0)) as tf.Tensor2D, y: tf.sub(tf.mul(2, y), 1) as tf.Tensor2D };
  });
  tf.dispose([x, y]);
  return problem;
}

/** Digits whitened: U V' in place of X = U S V', so that rows are orthonormal; one-hot targets. */
export function readWhitenedDigits(count: number, classes: readonly number[]): Problem {
  const { x, y } = mnistSource.read("train", count, classes);
  const { left, right, values } = singularVectors({ rows: count, cols: 784, data: Float64Array.from(x.dataSync()) });
  x.dispose();
  const white = new Float32Array(count * 784);
  for (let i = 0; i < count; i++) {
    for (let p = 0; p < 784; p++) {
      let sum = 0;
      for (let k = 0; k < values.length; k++) sum += left.data[k * count + i] * right.data[k * 784 + p];
      white[i * 784 + p] = sum;
    }
  }
  return { x: tf.tensor2d(white, [count, 784]), y };
}

/** `depth` dense layers, all decayed alike, that start from Glorot's draws of this seed. */
export function deepNetwork(
  { x, y }: Problem,
  depth: number,
  width: number,
  decay: number,
  activation: "linear" | "relu",
  seed: number,
): tf.Sequential {
  const model = tf.sequential();
  for (let l = 0; l < depth; l++) {
    const last = l === depth - 1;
    model.add(
      tf.layers.dense({
        units: last ? y.shape[1] : width,
        useBias: false,
        activation: last ? "linear" : activation,
        kernelInitializer: tf.initializers.glorotNormal({ seed: 100 * seed + l }),
        kernelRegularizer: tf.regularizers.l2({ l2: decay }),
        ...(l === 0 ? { inputShape: [x.shape[1]] } : {}),
      }),
    );
  }
  return model;
}

/** Objectives of SGD with momentum on all rows, every `every` steps: the loss and all decays as model.evaluate and calculateLosses say them. */
export async function descend(
  model: tf.Sequential,
  { x, y }: Problem,
  rate: number,
  steps: number,
  every: number,
): Promise<number[]> {
  model.compile({ optimizer: tf.train.momentum(rate, MOMENTUM), loss: "meanSquaredError" });
  const seen: number[] = [];
  for (let step = 0; step < steps; step += every) {
    await model.fit(x, y, { epochs: every, batchSize: x.shape[0], verbose: 0 });
    seen.push(objectiveAt(model, { x, y }));
  }
  return seen;
}

export function objectiveAt(model: tf.Sequential, { x, y }: Problem): number {
  return tf.tidy(() => {
    const loss = (model.evaluate(x, y, { batchSize: x.shape[0] }) as tf.Scalar).dataSync()[0];
    return model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], loss);
  });
}

/** The same objective in float64, from the layers' float32 numbers: near the optimum float32 sums are too coarse to compare. */
export function objectiveInDoubles(
  model: tf.Sequential,
  { x, y }: Problem,
  activation: "linear" | "relu",
  decay: number,
) {
  const [n, C] = y.shape;
  let H = Float64Array.from(x.dataSync());
  let total = 0;
  const weights = model.getWeights();
  weights.forEach((weight, l) => {
    const [rows, cols] = weight.shape as [number, number];
    const W = weight.dataSync();
    for (const value of W) total += decay * value ** 2;
    const next = new Float64Array(n * cols);
    for (let k = 0; k < n; k++) {
      for (let j = 0; j < cols; j++) {
        let sum = 0;
        for (let i = 0; i < rows; i++) sum += H[k * rows + i] * W[i * cols + j];
        next[k * cols + j] = activation === "relu" && l < weights.length - 1 ? Math.max(0, sum) : sum;
      }
    }
    H = next;
  });
  y.dataSync().forEach((target, k) => {
    total += (H[k] - target) ** 2 / (n * C);
  });
  return total;
}
