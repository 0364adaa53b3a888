/** The sign as a layer: 1 where the input is at least 0, else -1, with a gradient of zero. */

import * as tf from "@tensorflow/tfjs";
import { singleTensor } from "./parts.js";
import { type WeightlessArgs, WeightlessLayer } from "./weightless.js";

export type SignArgs = WeightlessArgs;

/**
 * Outputs sign(x), with sign(0) = 1: after a dense layer, the units of threshold networks. TensorFlow.js has no such activation,
 * and a steep tanh is another function. Gradients do not pass it, so that `model.fit` trains what comes after it only.
 *
 * @example
 * ```ts
 * const model = tf.sequential({ layers: [tf.layers.dense({ units: 8, inputShape: [2] }), signLayer(), tf.layers.dense({ units: 1 })] });
 * ```
 */
export class Sign extends WeightlessLayer {
  static readonly className = "Sign";

  constructor(args: SignArgs = {}) {
    super("signLayer", args);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape | tf.Shape[] {
    return inputShape;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => tf.sub(1, tf.mul(2, tf.step(tf.neg(singleTensor(inputs))))));
  }
}

/** A Sign layer, as tf.layers has functions for its own. */
export function signLayer(args: SignArgs = {}): Sign {
  return new Sign(args);
}
