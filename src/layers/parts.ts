/** What layers are made of and written as: initializers, regularizers, and the geometry of convolutions. */

import * as tf from "@tensorflow/tfjs";
import { isRecord, refuse, shown } from "../arguments.js";
import type { PatchShape } from "../convex/operators/patches.js";
import { ConvexError } from "../errors.js";

export type Initializer = ReturnType<typeof tf.initializers.zeros>;
export type Regularizer = ReturnType<typeof tf.regularizers.l2>;
/** A serialized part of a layer, as tfjs writes it. */
export type Config = { readonly className: string; readonly config: tf.serialization.ConfigDict };

export function seedArgs(seed: number | undefined, offset: number): { seed?: number } {
  return seed === undefined ? {} : { seed: seed + offset };
}

export function singleShape(shape: tf.Shape | tf.Shape[]): tf.Shape {
  return Array.isArray(shape[0]) ? (shape[0] as tf.Shape) : (shape as tf.Shape);
}

export function singleTensor(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
  return Array.isArray(inputs) ? inputs[0] : inputs;
}

export function dry(part: tf.serialization.Serializable): tf.serialization.ConfigDict {
  return { className: part.getClassName(), config: part.getConfig() };
}

/** An object as it is, or made from its config by the class that tfjs registered under the name. */
export function revive<T extends tf.serialization.Serializable>(
  where: string,
  part: T | Config | null | undefined,
): T | null {
  if (part === null || part === undefined) return null;
  if (part instanceof tf.serialization.Serializable) return part;
  if (!isRecord(part)) refuse(where, "an initializer or regularizer", part);
  const entry = tf.serialization.SerializationMap.getMap().classNameMap[part.className];
  if (entry === undefined) {
    throw new ConvexError(
      "options/value",
      `${where}: expected an initializer or regularizer that tfjs knows, got class "${part.className}". ` +
        `Register it with tf.serialization.registerClass.`,
    );
  }
  const [kind, fromConfig] = entry;
  return fromConfig(kind as never, part.config) as T;
}

/** One number for both axes, or one for height and one for width. */
export type Pair = number | readonly number[];

/** The geometry of a convolution over images, named as in tf.layers.conv2d. */
export interface ConvolutionArgs {
  readonly kernelSize: Pair;
  readonly strides?: Pair; // default 1
  readonly padding?: "valid" | "same"; // default "valid"
  readonly dilationRate?: Pair; // default 1
  readonly dataFormat?: "channelsLast" | "channelsFirst"; // default "channelsLast"
}

/** The same with its defaults, and pairs. */
export interface ConvolutionSettings {
  readonly kernelSize: [number, number];
  readonly strides: [number, number];
  readonly padding: "valid" | "same";
  readonly dilationRate: [number, number];
  readonly dataFormat: "channelsLast" | "channelsFirst";
}

/** @throws ConvexError "options/value" for a size that is no positive integer, or a padding or format that is none. */
export function convolutionOf(where: string, args: ConvolutionArgs): ConvolutionSettings {
  const { kernelSize, strides = 1, padding = "valid", dilationRate = 1, dataFormat = "channelsLast" } = args;
  return {
    kernelSize: pairOf(where, "kernelSize", kernelSize),
    strides: pairOf(where, "strides", strides),
    padding: choiceOf(where, "padding", padding, ["valid", "same"]),
    dilationRate: pairOf(where, "dilationRate", dilationRate),
    dataFormat: choiceOf(where, "dataFormat", dataFormat, ["channelsLast", "channelsFirst"]),
  };
}

/** The geometry on images of a given shape [batch, height, width, channels], or channels before height. */
export function patchShapeOf(where: string, settings: ConvolutionSettings, inputShape: tf.Shape): PatchShape {
  const { kernelSize, strides, dilationRate, padding, dataFormat } = settings;
  const shape = inputShape.slice(1);
  const [height, width, channels] = dataFormat === "channelsLast" ? shape : [shape[1], shape[2], shape[0]];
  const known = [height, width, channels];
  if (shape.length !== 3 || !known.every((size) => typeof size === "number")) {
    throw new ConvexError(
      "model/layer",
      `${where}: expected images of known height, width and channels, got shape [${shape.join(", ")}]. ` +
        `Give the layer inputShape: [height, width, channels].`,
    );
  }
  const axis = (size: number, k: 0 | 1) => ({
    size,
    filter: kernelSize[k],
    stride: strides[k],
    dilation: dilationRate[k],
  });
  return {
    height: axis(height as number, 0),
    width: axis(width as number, 1),
    channels: channels as number,
    padding,
    dataFormat,
  };
}

function pairOf(where: string, name: string, value: Pair): [number, number] {
  const [first, second, ...more] = Array.isArray(value)
    ? (value as readonly number[])
    : [value as number, value as number];
  if (more.length === 0 && [first, second].every((entry) => Number.isSafeInteger(entry) && entry > 0)) {
    return [first, second];
  }
  throw new ConvexError(
    "options/value",
    `${where}: expected ${name} to be a positive integer or two of them, got ${shown(value)}. Change it.`,
  );
}

function choiceOf<T extends string>(where: string, name: string, value: T, known: readonly T[]): T {
  if (known.includes(value)) return value;
  throw new ConvexError(
    "options/value",
    `${where}: expected ${name} to be ${known.map((entry) => `"${entry}"`).join(" or ")}, got ${shown(value)}. Change it.`,
  );
}
