/** The head of a model as a model of its own, which a worker can be sent. */

import * as tf from "@tensorflow/tfjs";
import { anatomyOf, type Cut } from "../read/anatomy.js";
import { givenLoss, givenMetrics } from "../read/loss.js";
import { ownOptimizer, rebuilt } from "./width.js";

/** A compiled tf.Sequential of the head's layers with their weights. The caller disposes. */
export function headModel(model: tf.LayersModel, cut: Cut = "hidden"): tf.Sequential {
  const { layers, headShape } = anatomyOf(model, "write", cut);
  const copies = layers.map((layer, k) =>
    rebuilt(layer, (_, config) => {
      if (k === 0) config.batchInputShape = [null, ...headShape];
    }),
  );
  const head = tf.sequential({ layers: copies });
  for (const [k, layer] of layers.entries()) {
    if (layer.weights.length > 0) copies[k].setWeights(layer.getWeights());
  }
  head.compile({
    optimizer: tf.train.sgd(0.01),
    loss: givenLoss(model) as string,
    metrics: givenMetrics(model),
  });
  return ownOptimizer(head);
}

/** Weights in the order of a head model's own -> the layers of a model's head. */
export function writeHead(model: tf.LayersModel, weights: readonly tf.Tensor[], cut: Cut = "hidden"): void {
  const { layers } = anatomyOf(model, "read", cut);
  const own = [
    ...layers.flatMap((layer) => layer.trainableWeights),
    ...layers.flatMap((layer) => layer.nonTrainableWeights),
  ];
  own.forEach((weight, k) => {
    weight.write(weights[k]);
  });
}
