/** The patch matrix of an image as a layer: what a convolution's filters see, one row a patch. */

import * as tf from "@tensorflow/tfjs";
import { isRecord, refuse } from "../arguments.js";
import { outputSize, type PatchGeometry, patchGeometry } from "../convex/operators/patches.js";
import { ConvexError } from "../errors.js";
import {
  type ConvolutionArgs,
  type ConvolutionSettings,
  convolutionOf,
  patchShapeOf,
  singleShape,
  singleTensor,
} from "./parts.js";

const WHERE = "patches";

export interface PatchesArgs extends ConvolutionArgs {
  readonly name?: string;
  readonly inputShape?: tf.Shape;
}

/**
 * Cuts images [n x height x width x channels] (or channels first) into y [n x K x h]: K patches, row by row of the output of a
 * convolution of the same geometry, each of h = filter height x filter width x channels entries in the order of its kernel.
 *
 * A dense layer on them is a convolution. Gradients pass to the pixels. `registerLayers()` lets `tf.loadLayersModel` read it.
 *
 * @example
 * ```ts
 * patches({ kernelSize: 3, padding: "same", inputShape: [8, 8, 1] }).apply(tf.zeros([1, 8, 8, 1])); // [1, 64, 9]
 * ```
 */
export class Patches extends tf.layers.Layer {
  /** @nocollapse */
  static readonly className = "Patches";

  private readonly settings: ConvolutionSettings;
  private geometry: PatchGeometry | null = null;

  /** @throws ConvexError "options/value" for sizes that are no positive integers. */
  constructor(args: PatchesArgs) {
    if (!isRecord(args)) refuse(WHERE, "an object of arguments", args, "Pass { kernelSize }.");
    super(args as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.settings = convolutionOf(WHERE, args);
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const geometry = patchGeometry(patchShapeOf(WHERE, this.settings, singleShape(inputShape)));
    if (geometry.patches === 0) {
      throw new ConvexError(
        "model/layer",
        `patches: expected a filter that fits into the image, got kernelSize [${this.settings.kernelSize.join(", ")}] for input ` +
          `[${singleShape(inputShape).slice(1).join(", ")}]. Make the filter smaller, or set padding: "same".`,
      );
    }
    this.geometry = geometry;
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    const shape = singleShape(inputShape);
    const { height, width, channels, padding } = patchShapeOf(WHERE, this.settings, shape);
    const patches = outputSize(height, padding).size * outputSize(width, padding).size;
    return [shape[0], patches, height.filter * width.filter * channels];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const { geometry } = this;
    if (geometry === null) throw new Error("Patches: call before build.");
    const { patches, entries, pixels, source } = geometry;
    return tf.tidy(() => {
      const images = singleTensor(inputs);
      const n = images.shape[0];
      // Padding reads a zero that stands after the last pixel.
      const padded = tf.pad(images.reshape([n, pixels]), [
        [0, 0],
        [0, 1],
      ]);
      const places = tf.tensor1d(
        source.map((place) => (place < 0 ? pixels : place)),
        "int32",
      );
      return tf.gather(padded, places, 1).reshape([n, patches, entries]);
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), ...this.settings };
  }
}

/** A `Patches` layer. */
export function patches(args: PatchesArgs): Patches {
  return new Patches(args);
}
