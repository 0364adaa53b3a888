/** The model that both methods train: two layers, the same l2 on every weight but the output bias. */

import * as tf from "@tensorflow/tfjs";
import { gatedDense } from "../../src/index.js";
import type { Settings } from "./settings.js";
import { outputsOf, type Task } from "./task.js";

const GATE_SEED = 1;

/** A compiled model; `seed` draws its first weights, never its gates. The caller disposes. */
export function buildModel(task: Task, settings: Settings, seed: number): tf.Sequential {
  const { formulation, units, loss, beta } = settings;
  const outputs = outputsOf(task);
  const l2 = () => tf.regularizers.l2({ l2: beta / 2 });
  const first = {
    ...{ units, inputShape: [task.cols], kernelRegularizer: l2(), biasRegularizer: l2() },
    kernelInitializer: tf.initializers.glorotNormal({ seed }),
  };
  const activation =
    loss === "binaryCrossentropy" ? "sigmoid" : loss === "categoricalCrossentropy" ? "softmax" : "linear";
  const model = tf.sequential({
    layers: [
      formulation === "gated"
        ? gatedDense({ ...first, gateInitializer: tf.initializers.randomNormal({ seed: GATE_SEED }) })
        : tf.layers.dense({ ...first, activation: "relu" }),
      tf.layers.dense({
        ...{ units: outputs, activation, kernelRegularizer: l2() },
        kernelInitializer: tf.initializers.glorotNormal({ seed: seed + 1 }),
      }),
    ],
  });
  model.compile({
    optimizer: settings.optimizer === "sgd" ? tf.train.sgd(settings.rate) : tf.train.adam(settings.rate),
    loss: loss === "huberLoss" ? (tf.losses.huberLoss as unknown as string) : loss,
  });
  return model;
}

/** A model that compile got an optimizer object for leaves it to us. */
export function disposeModel(model: tf.Sequential): void {
  model.optimizer.dispose();
  model.dispose();
}
