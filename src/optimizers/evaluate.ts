/** Losses and metrics of a network, named and defined as model.fit reports them. */

import * as tf from "@tensorflow/tfjs";
import { bindLoss } from "../convex/losses/index.js";
import { forward, type NetworkWeights } from "../convex/network.js";
import type { Loss, LossName, Matrix } from "../convex/types.js";
import type { Dataset } from "./readData.js";
import type { NetworkSpec } from "./readModel.js";

/** The losses for which tfjs clips probabilities at 1e-7: on data that were not trained on, that shows. */
const CLIPPED: Partial<Record<LossName, (target: tf.Tensor, prediction: tf.Tensor) => tf.Tensor>> = {
  binaryCrossentropy: tf.metrics.binaryCrossentropy,
  categoricalCrossentropy: tf.metrics.categoricalCrossentropy,
};

/** A data set that is ready to be judged again and again. */
export class Evaluator {
  private readonly loss: Loss; // without sample weights, as model.evaluate

  constructor(
    private readonly model: tf.Sequential,
    private readonly spec: NetworkSpec,
    private readonly X: Matrix, // with the bias column
    private readonly data: Dataset,
  ) {
    this.loss = bindLoss(spec.loss, data.y, null);
  }

  /** The loss and the metrics of model.compile, as model.evaluate would say of these weights, by its metricsNames. */
  judge(weights: NetworkWeights): Record<string, number> {
    const { rows, cols, data } = this.data.y;
    const Z = forward(weights, this.X);
    return tf.tidy(() => {
      const prediction = this.activate(tf.tensor2d(Float32Array.from(Z), [rows, cols]));
      const target = tf.tensor2d(Float32Array.from(data), [rows, cols]);
      const values = this.model.metricsTensors.map(([metric]) => mean(metric(target, prediction)));
      const clipped = this.spec.activation === "linear" ? undefined : CLIPPED[this.spec.loss];
      values.unshift(clipped === undefined ? this.loss.value(Z) : mean(clipped(target, prediction)));
      return Object.fromEntries(this.model.metricsNames.map((name, k) => [name, values[k]]));
    });
  }

  private activate(Z: tf.Tensor2D): tf.Tensor2D {
    switch (this.spec.activation) {
      case "linear":
        return Z;
      case "sigmoid":
        return tf.sigmoid(Z);
      case "softmax":
        return tf.softmax(Z);
    }
  }
}

function mean(values: tf.Tensor): number {
  return tf.mean(values).dataSync()[0];
}
