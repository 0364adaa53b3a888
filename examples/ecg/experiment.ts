/** One-step prediction of an electrocardiogram from its last 15 samples: a convex network, and what linear prediction does. */

import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer, describeNetwork, type FitResult, type ModelDescription } from "../../src/index.js";
import type { Windows } from "./signal.js";

export const WIDTH = 15;

export interface Prediction {
  readonly result: FitResult;
  readonly description: ModelDescription;
  readonly predicted: Float32Array; // of the test windows
  readonly linear: Float32Array; // of the test windows, by least squares
  readonly errors: { readonly network: number; readonly linear: number; readonly last: number }; // mean squared, test windows
}

/** Trains on some windows and predicts others; the caller disposes the model. */
export async function predictNext(train: Windows, test: Windows, regularization: number): Promise<Prediction> {
  const [x, y] = [tf.tensor2d(train.x, [train.rows, WIDTH]), tf.tensor2d(train.y, [train.rows, 1])];
  const xTest = tf.tensor2d(test.x, [test.rows, WIDTH]);
  const trainer = new ConvexReLUTrainer({
    regularization,
    arrangements: { kind: "sample", count: 300, seed: 1 },
    tolerance: 1e-3,
    timeLimit: 60,
  });
  const result = await trainer.train(x, y, { loss: "meanSquaredError" });
  const description = await describeNetwork(result.model, x);
  const predicted = tf.tidy(() => (result.model.predict(xTest) as tf.Tensor).dataSync()) as Float32Array;
  tf.dispose([x, y, xTest]);
  const rule = linearPredictor(train);
  const linear = Float32Array.from(test.y, (_, k) => rule(test.x.subarray(k * WIDTH, (k + 1) * WIDTH)));
  const error = (of: (k: number) => number) =>
    test.y.reduce((sum, value, k) => sum + (of(k) - value) ** 2, 0) / test.rows;
  const errors = {
    network: error((k) => predicted[k]),
    linear: error((k) => linear[k]),
    last: error((k) => test.x[(k + 1) * WIDTH - 1]),
  };
  return { result, description, predicted, linear, errors };
}

/** Least squares on the window and a constant, by the normal equations and Gaussian elimination. */
export function linearPredictor({ x, y, rows, width }: Windows): (window: Float32Array) => number {
  const size = width + 1;
  const A = Array.from({ length: size }, () => new Float64Array(size + 1));
  const entry = (k: number, p: number) => (p < width ? x[k * width + p] : 1);
  for (let k = 0; k < rows; k++) {
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) A[i][j] += entry(k, i) * entry(k, j);
      A[i][size] += entry(k, i) * y[k];
    }
  }
  for (let i = 0; i < size; i++) A[i][i] += 1e-9 * rows;
  for (let i = 0; i < size; i++) {
    for (let k = i + 1; k < size; k++) {
      const factor = A[k][i] / A[i][i];
      for (let j = i; j <= size; j++) A[k][j] -= factor * A[i][j];
    }
  }
  const w = new Float64Array(size);
  for (let i = size - 1; i >= 0; i--) {
    w[i] = A[i][size];
    for (let j = i + 1; j < size; j++) w[i] -= A[i][j] * w[j];
    w[i] /= A[i][i];
  }
  return (window) => window.reduce((sum, value, p) => sum + value * w[p], w[width]);
}
