/** A convolution whose filters are switched by fixed gates: (x * W + b) 1[x * G + g >= 0]. */

import * as tf from "@tensorflow/tfjs";
import { count } from "../arguments.js";
import { outputSize } from "../convex/operators/patches.js";
import { type GatedArgs, GatedLayer, gated, MOST_UNITS } from "./gatedLayer.js";
import {
  type ConvolutionArgs,
  type ConvolutionSettings,
  convolutionOf,
  patchShapeOf,
  singleShape,
  singleTensor,
} from "./parts.js";

const WHERE = "gatedConv2D";

export interface GatedConv2DArgs extends ConvolutionArgs, GatedArgs {
  readonly filters: number;
}

/**
 * Gated ReLU convolution over images x [n x height x width x channels] (or channels first): each filter is on at the patches
 * where its gate is, y = (x * W + b) 1[x * G + g >= 0], y [n x out height x out width x filters].
 *
 * W [filter height x filter width x channels x filters] and b [filters] are trained; the gates G and g, of the same shapes, are
 * weights that no gradient reaches. `registerLayers()` lets `tf.loadLayersModel` read it.
 *
 * @example
 * ```ts
 * const model = tf.sequential({
 *   layers: [
 *     gatedConv2D({ filters: 16, kernelSize: 3, inputShape: [28, 28, 1] }),
 *     tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast" }),
 *     tf.layers.dense({ units: 10 }),
 *   ],
 * });
 * ```
 */
export class GatedConv2D extends GatedLayer {
  /** @nocollapse */
  static readonly className = "GatedConv2D";

  readonly filters: number;
  private readonly settings: ConvolutionSettings;

  /** @throws ConvexError "options/value" for filters or sizes that are no positive integers. */
  constructor(args: GatedConv2DArgs) {
    super(WHERE, args);
    this.filters = count("gatedConv2D: filters", args.filters, MOST_UNITS);
    this.settings = convolutionOf(WHERE, args);
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const { channels } = patchShapeOf(WHERE, this.settings, singleShape(inputShape));
    this.addGatedWeights([...this.settings.kernelSize, channels, this.filters]);
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    const shape = singleShape(inputShape);
    const { height, width, padding, dataFormat } = patchShapeOf(WHERE, this.settings, shape);
    const space = [outputSize(height, padding).size, outputSize(width, padding).size];
    return dataFormat === "channelsLast" ? [shape[0], ...space, this.filters] : [shape[0], this.filters, ...space];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const { kernel, bias, gate, gateBias } = this;
    if (kernel === null || gate === null) throw new Error("GatedConv2D: call before build.");
    const { strides, padding, dilationRate, dataFormat } = this.settings;
    return tf.tidy(() => {
      const given = singleTensor(inputs) as tf.Tensor4D;
      const x = dataFormat === "channelsLast" ? given : tf.transpose(given, [0, 2, 3, 1]);
      const convolve = (filter: tf.LayerVariable, shift: tf.LayerVariable | null) => {
        const y = tf.conv2d(x, filter.read() as tf.Tensor4D, strides, padding, "NHWC", dilationRate);
        return shift === null ? y : tf.add(y, shift.read());
      };
      const y = gated(convolve(kernel, bias), convolve(gate, gateBias)) as tf.Tensor4D;
      return dataFormat === "channelsLast" ? y : tf.transpose(y, [0, 3, 1, 2]);
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), filters: this.filters, ...this.settings };
  }
}

/** A `GatedConv2D` layer, in the manner of `tf.layers.conv2d`. */
export function gatedConv2D(args: GatedConv2DArgs): GatedConv2D {
  return new GatedConv2D(args);
}
