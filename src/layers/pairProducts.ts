/** Products of two halves as a layer: the bilinear units (x'u)(x'v) after a dense layer that holds all u, then all v. */

import * as tf from "@tensorflow/tfjs";
import { ConvexError } from "../errors.js";
import { singleShape, singleTensor } from "./parts.js";
import { type WeightlessArgs, WeightlessLayer } from "./weightless.js";

export type PairProductsArgs = WeightlessArgs;

/**
 * Multiplies entry j with entry m + j: [batch, 2 m] becomes [batch, m].
 *
 * @example
 * ```ts
 * const model = tf.sequential({ layers: [tf.layers.dense({ units: 16, inputShape: [9], useBias: false }), pairProducts()] });
 * ```
 */
export class PairProducts extends WeightlessLayer {
  static readonly className = "PairProducts";

  constructor(args: PairProductsArgs = {}) {
    super("pairProducts", args);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    const shape = singleShape(inputShape);
    const entries = shape[shape.length - 1];
    if (shape.length !== 2 || entries === null || entries % 2 !== 0) {
      throw new ConvexError(
        "model/layer",
        `PairProducts: expected an even number of inputs, got shape [${shape.join(", ")}]. Give the layer before it 2 m units.`,
      );
    }
    return [shape[0], entries / 2];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const [u, v] = tf.split(singleTensor(inputs), 2, -1);
      return tf.mul(u, v);
    });
  }
}

/** A PairProducts layer, as tf.layers has functions for its own. */
export function pairProducts(args: PairProductsArgs = {}): PairProducts {
  return new PairProducts(args);
}
