/** The objective of a compiled model as TensorFlow.js says it: loss and regularizers. */

import * as tf from "@tensorflow/tfjs";

export function objectiveOf(model: tf.LayersModel, x: tf.Tensor, y: tf.Tensor): number {
  return tf.tidy(() => {
    const [loss] = [model.evaluate(x, y, { batchSize: x.shape[0] })].flat();
    return model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], loss.dataSync()[0]);
  });
}
