/** One-step prediction of an electrocardiogram by a conv1d network: filters of a few samples, each place read out on its own. */

import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer, type FitResult } from "../../src/index.js";
import type { Windows } from "./signal.js";

export interface ConvolutionSettings {
  readonly kernelSize: number;
  readonly filters: number; // of the model before it is resized
  readonly decay: number; // l2 of both kernels: beta is twice this
  readonly tolerance: number;
  readonly timeLimit: number; // seconds
}

export interface ConvolutionPrediction {
  readonly result: FitResult;
  readonly predicted: Float32Array; // of the test windows
  readonly error: number; // mean squared, test windows
  readonly points: readonly { readonly seconds: number; readonly objective: number }[]; // after every round
}

/** [conv1d (relu), flatten, dense] on windows of `width` samples. */
export function buildConvolution(
  width: number,
  { kernelSize, filters, decay }: Pick<ConvolutionSettings, "kernelSize" | "filters" | "decay">,
  optimizer: tf.Optimizer | string = "sgd",
  seed = 1,
): tf.Sequential {
  const kernelRegularizer = tf.regularizers.l2({ l2: decay });
  const kernelInitializer = tf.initializers.glorotNormal({ seed });
  const shared = { useBias: false, kernelRegularizer, kernelInitializer };
  const model = tf.sequential({
    layers: [
      tf.layers.conv1d({ filters, kernelSize, activation: "relu", inputShape: [width, 1], ...shared }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 1, kernelRegularizer, kernelInitializer }),
    ],
  });
  model.compile({ optimizer, loss: "meanSquaredError" });
  return model;
}

/** Windows as signals of one channel, and what follows each; the caller disposes. */
export function signalsOf({ x, y, rows, width }: Windows): { x: tf.Tensor3D; y: tf.Tensor2D } {
  return { x: tf.tensor3d(x, [rows, width, 1]), y: tf.tensor2d(y, [rows, 1]) };
}

/** Trains on some windows, with gates that grow, and predicts others; the caller disposes the model. */
export async function predictByConvolution(
  train: Windows,
  test: Windows,
  settings: ConvolutionSettings,
): Promise<ConvolutionPrediction> {
  const { tolerance, timeLimit } = settings;
  const { x, y } = signalsOf(train);
  const unseen = signalsOf(test);
  const model = buildConvolution(train.width, settings);
  const points: { seconds: number; objective: number }[] = [];
  const result = await new ConvexReLUTrainer({ tolerance, timeLimit, width: "resize" }).fit(model, x, y, {
    callbacks: {
      onEpochEnd: (_epoch: number, logs?: tf.Logs) => {
        points.push({ seconds: logs?.seconds ?? 0, objective: logs?.loss ?? Number.NaN });
      },
    },
  });
  if (result.model !== model) model.dispose();
  const predicted = tf.tidy(() => (result.model.predict(unseen.x) as tf.Tensor).dataSync()) as Float32Array;
  tf.dispose([x, y, unseen.x, unseen.y]);
  const error = test.y.reduce((sum, value, k) => sum + (predicted[k] - value) ** 2, 0) / test.rows;
  return { result, predicted, error, points };
}
