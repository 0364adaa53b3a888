/** A dense layer whose neurons are switched by fixed gates: (x W + b) 1[x G + g >= 0]. */

import * as tf from "@tensorflow/tfjs";
import { count } from "../arguments.js";
import { ConvexError } from "../errors.js";
import { type GatedArgs, GatedLayer, gated, MOST_UNITS } from "./gatedLayer.js";
import { singleShape, singleTensor } from "./parts.js";

export interface GatedDenseArgs extends GatedArgs {
  readonly units: number;
}

/**
 * Gated ReLU layer of Fiat, Malach and Shalev-Shwartz (2019): y = (x W + b) 1[x G + g >= 0], x [.. x d], y [.. x units].
 *
 * W [d x units] and b [units] are trained; the gates G [d x units] and g [units] are weights that no gradient reaches.
 * `registerLayers()` lets `tf.loadLayersModel` read it.
 *
 * @example
 * ```ts
 * const model = tf.sequential({ layers: [gatedDense({ units: 32, inputShape: [4] }), tf.layers.dense({ units: 1 })] });
 * ```
 */
export class GatedDense extends GatedLayer {
  /** @nocollapse */
  static readonly className = "GatedDense";

  readonly units: number;

  constructor(args: GatedDenseArgs) {
    super("gatedDense", args);
    this.units = count("gatedDense: units", args.units, MOST_UNITS);
    this.supportsMasking = true;
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const shape = singleShape(inputShape);
    const features = shape[shape.length - 1];
    if (features === null) {
      throw new ConvexError(
        "model/layer",
        `gatedDense: expected an input with a known last dimension, got null. Give the layer inputShape: [features].`,
      );
    }
    this.addGatedWeights([features, this.units]);
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return [...singleShape(inputShape).slice(0, -1), this.units];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const { kernel, bias, gate, gateBias } = this;
    if (kernel === null || gate === null) throw new Error("GatedDense: call before build.");
    return tf.tidy(() => {
      const x = singleTensor(inputs);
      const rows = x.reshape([-1, x.shape[x.shape.length - 1]]) as tf.Tensor2D;
      let linear: tf.Tensor = tf.matMul(rows, kernel.read() as tf.Tensor2D);
      let open: tf.Tensor = tf.matMul(rows, gate.read() as tf.Tensor2D);
      if (bias !== null) linear = tf.add(linear, bias.read());
      if (gateBias !== null) open = tf.add(open, gateBias.read());
      return gated(linear, open).reshape([...x.shape.slice(0, -1), this.units]);
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), units: this.units };
  }
}

/** A `GatedDense` layer, in the manner of `tf.layers.dense`. */
export function gatedDense(args: GatedDenseArgs): GatedDense {
  return new GatedDense(args);
}
