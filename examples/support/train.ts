/** What the examples share: a fast backend, model.fit against the clock, and tables on the terminal. */

import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import type { Curve } from "./plot.js";

/** The fastest backend of TensorFlow.js that runs here without a native library. */
export async function useFastBackend(): Promise<string> {
  const ready = await tf.setBackend("wasm").catch(() => false);
  if (!ready) await tf.setBackend("cpu");
  await tf.ready();
  return tf.getBackend();
}

/** What model.fit reached within its budget. */
export interface GradientRun extends Curve {
  readonly objective: number; // the lowest of all epochs
  readonly seconds: number;
  readonly epochs: number;
}

/** The full-data objective of a model: data loss plus its regularizers. */
export function objectiveOf(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor): number {
  return tf.tidy(() => {
    const values = model.evaluate(x, y, { batchSize: 512 });
    const loss = (Array.isArray(values) ? values[0] : values).dataSync()[0];
    return model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], loss);
  });
}

/**
 * model.fit for `budget` seconds of training; the clock stands still while the objective is evaluated after each epoch, which
 * model.fit alone would not do.
 */
export async function fitForSeconds(
  method: string,
  model: tf.Sequential,
  x: tf.Tensor,
  y: tf.Tensor,
  budget: number,
  batchSize = 64,
): Promise<GradientRun> {
  const points: { seconds: number; objective: number }[] = [];
  let spent = 0;
  let since = performance.now();
  let epochs = 0;
  points.push({ seconds: 0, objective: objectiveOf(model, x, y) });
  await model.fit(x, y, {
    epochs: 1_000_000,
    batchSize,
    verbose: 0,
    callbacks: {
      onTrainBegin: () => {
        since = performance.now();
      },
      onEpochEnd: () => {
        spent += (performance.now() - since) / 1000;
        epochs += 1;
        points.push({ seconds: spent, objective: objectiveOf(model, x, y) });
        if (spent >= budget) model.stopTraining = true;
        since = performance.now();
      },
    },
  });
  return { method, points, seconds: spent, epochs, objective: Math.min(...points.map((point) => point.objective)) };
}

/** Share of rows whose largest output is the label's. */
export function accuracyOf(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor): number {
  return tf.tidy(() => {
    const outputs = model.predict(x, { batchSize: 512 }) as tf.Tensor;
    const right =
      y.shape[1] === 1
        ? tf.equal(tf.greater(outputs, 0.5), tf.greater(y, 0.5))
        : tf.equal(outputs.argMax(1), y.argMax(1));
    return right.mean().dataSync()[0];
  });
}
