/** What the examples share: a fast backend, model.fit against the clock, and tables on the terminal. */

import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import { secondsNow } from "./clock.js";
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

/** The loss over all rows, by model.evaluate. */
export function lossOf(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor): number {
  return tf.tidy(() => {
    const values = model.evaluate(x, y, { batchSize: 512 });
    return (Array.isArray(values) ? values[0] : values).dataSync()[0];
  });
}

/** The full-data objective of a model: data loss plus its regularizers. */
export function objectiveOf(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor): number {
  const loss = lossOf(model, x, y);
  return tf.tidy(() => model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], loss));
}

/** One run of model.fit against the clock. */
export interface ClockedRun {
  readonly reached: boolean;
  readonly seconds: number; // of training
  readonly epochs: number;
  readonly best: number; // lowest objective after an epoch, or at the start
  readonly points: readonly { readonly seconds: number; readonly objective: number }[];
}

/** What trains a model on a clock. */
export interface ClockedFit {
  readonly batchSize: number;
  /** Told of the seconds trained after each epoch, and of its logs; true ends it. The clock stands still until it answers. */
  readonly epochEnded: (seconds: number, logs: tf.Logs | undefined) => boolean;
}

/** model.fit until told to end; its seconds leave out what is done between epochs, which model.fit alone would not do. */
export async function trainOnClock(
  model: tf.Sequential,
  x: tf.Tensor,
  y: tf.Tensor,
  { batchSize, epochEnded }: ClockedFit,
): Promise<{ readonly seconds: number; readonly epochs: number }> {
  let seconds = 0;
  let epochs = 0;
  let since = secondsNow();
  await model.fit(x, y, {
    epochs: 1_000_000,
    batchSize,
    verbose: 0,
    yieldEvery: "never",
    callbacks: {
      onTrainBegin: () => {
        since = secondsNow();
      },
      onEpochEnd: (_epoch: number, logs?: tf.Logs) => {
        seconds += secondsNow() - since;
        epochs += 1;
        if (epochEnded(seconds, logs)) model.stopTraining = true;
        since = secondsNow();
      },
    },
  });
  return { seconds, epochs };
}

/** model.fit until its objective is at most `target`, or no number any more, or `budget` seconds of training are spent. */
export async function fitOnClock(
  model: tf.Sequential,
  x: tf.Tensor,
  y: tf.Tensor,
  {
    budget,
    batchSize = 64,
    target = Number.NEGATIVE_INFINITY,
  }: { budget: number; batchSize?: number; target?: number },
): Promise<ClockedRun> {
  const points = [{ seconds: 0, objective: objectiveOf(model, x, y) }];
  let best = points[0].objective;
  const epochEnded = (seconds: number) => {
    const objective = objectiveOf(model, x, y);
    best = Math.min(best, Number.isNaN(objective) ? Number.POSITIVE_INFINITY : objective);
    const done = objective <= target || seconds >= budget || !Number.isFinite(objective);
    // About a hundred points a run are enough for a picture.
    if (done || seconds > points[points.length - 1].seconds * 1.03) points.push({ seconds, objective });
    return done;
  };
  const { seconds, epochs } = await trainOnClock(model, x, y, { batchSize, epochEnded });
  return { reached: best <= target, seconds, epochs, best, points };
}

/** The same for `budget` seconds, as a curve with a name. */
export async function fitForSeconds(
  method: string,
  model: tf.Sequential,
  x: tf.Tensor,
  y: tf.Tensor,
  budget: number,
): Promise<GradientRun> {
  const { points, seconds, epochs, best } = await fitOnClock(model, x, y, { budget });
  return { method, points, seconds, epochs, objective: best };
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
