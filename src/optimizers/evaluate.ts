/** Losses and metrics of a network, named and defined as model.fit reports them. */

import * as tf from "@tensorflow/tfjs";
import { bindLoss } from "../convex/losses/index.js";
import { forward, type NetworkWeights } from "../convex/network.js";
import type { Loss, Matrix } from "../convex/types.js";
import type { Dataset } from "./readData.js";
import type { NetworkSpec } from "./readModel.js";

/** A data set that is ready to be judged again and again. */
export class Evaluator {
  readonly loss: Loss; // without sample weights, as model.evaluate
  private readonly target: Dataset["y"];

  constructor(
    private readonly model: tf.Sequential,
    private readonly spec: NetworkSpec,
    private readonly X: Matrix, // with the bias column
    data: Dataset,
  ) {
    this.target = data.y;
    this.loss = bindLoss(spec.loss, data.y, null);
  }

  /** The data loss and the metrics of model.compile, by the names of model.metricsNames. */
  judge(weights: NetworkWeights): { loss: number; metrics: Record<string, number> } {
    const Z = forward(weights, this.X);
    const metrics: Record<string, number> = {};
    const names = this.model.metricsNames.slice(1);
    if (names.length > 0) {
      const values = tf.tidy(() => {
        const prediction = this.activate(tf.tensor2d(Float32Array.from(Z), [this.target.rows, this.target.cols]));
        const target = tf.tensor2d(Float32Array.from(this.target.data), [this.target.rows, this.target.cols]);
        return this.model.metricsTensors.map(([metric]) => tf.mean(metric(target, prediction)).dataSync()[0]);
      });
      names.forEach((name, k) => {
        metrics[name] = values[k];
      });
    }
    return { loss: this.loss.value(Z), metrics };
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
