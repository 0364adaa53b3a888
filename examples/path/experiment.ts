/** The regularization path of a network that tells irises apart, and the beta that cross-validation chooses on it. */

import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer, type CrossValidation, type PathResult } from "../../src/index.js";

export interface Exploration {
  readonly path: PathResult;
  readonly choice: CrossValidation;
}

/** Follows `count` betas on all rows, and judges the same betas on each of `folds` parts held out. */
export async function explore(x: tf.Tensor2D, y: tf.Tensor2D, count: number, folds: number): Promise<Exploration> {
  const trainer = new ConvexReLUTrainer({
    arrangements: { kind: "sample", count: 60, seed: 1 },
    tolerance: 1e-3,
    width: "resize",
  });
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units: 1, activation: "relu", inputShape: [x.shape[1]] }),
      tf.layers.dense({ units: 1, activation: "sigmoid" }),
    ],
  });
  model.compile({ optimizer: "adam", loss: "binaryCrossentropy", metrics: ["accuracy"] });
  const path = await trainer.path(model, x, y, { count, ratio: 1e-4 });
  const betas = path.points.map(({ beta }) => beta);
  const choice = await trainer.crossValidate(model, x, y, { betas, folds });
  if (choice.model !== model) model.dispose();
  return { path, choice };
}
