/** A column of ones behind the features, as a layer: a bias inside the next kernel, where its constraint sees it. */

import * as tf from "@tensorflow/tfjs";
import { singleShape, singleTensor } from "./parts.js";
import { type WeightlessArgs, WeightlessLayer } from "./weightless.js";

export type OnesColumnArgs = WeightlessArgs;

/**
 * Appends 1 to every row: [batch, d] becomes [batch, d + 1]. The dense layer after it needs no bias of its own, and a unit-norm
 * constraint on its kernel holds weights and bias together.
 *
 * @example
 * ```ts
 * const model = tf.sequential({ layers: [onesColumn({ inputShape: [2] }), tf.layers.dense({ units: 8, useBias: false })] });
 * ```
 */
export class OnesColumn extends WeightlessLayer {
  static readonly className = "OnesColumn";

  constructor(args: OnesColumnArgs = {}) {
    super("onesColumn", args);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    const shape = singleShape(inputShape);
    const features = shape[shape.length - 1];
    return [...shape.slice(0, -1), features === null ? null : features + 1];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = singleTensor(inputs);
      return tf.concat([x, tf.ones([...x.shape.slice(0, -1), 1])], -1);
    });
  }
}

/** An OnesColumn layer, as tf.layers has functions for its own. */
export function onesColumn(args: OnesColumnArgs = {}): OnesColumn {
  return new OnesColumn(args);
}
