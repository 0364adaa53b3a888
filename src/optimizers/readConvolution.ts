/** [conv, global average pooling or flatten, dense] -> patches and how they are pooled, or a refusal that names the layer. */

import type * as tf from "@tensorflow/tfjs";
import { type PatchAxis, type PatchGeometry, type PatchShape, patchGeometry } from "../convex/operators/patches.js";
import type { Pooling } from "../convex/types.js";
import { ConvexError } from "../errors.js";

/** The first layers of a convolutional model. */
export interface Convolution {
  readonly geometry: PatchGeometry;
  readonly pooling: Pooling;
  /** Which runs faster in what the last layer is fed: filters (as after channelsLast), or patches. */
  readonly readOut: "filtersFastest" | "patchesFastest";
}

/** Layers that may be first, and how many axes their images have. */
export const CONVOLUTIONS: Readonly<Record<string, number>> = { Conv1D: 1, Conv2D: 2, GatedConv2D: 2 };

/** Layers that may follow a convolution, by its axes. */
const READ_OUTS: Readonly<Record<number, readonly string[]>> = {
  1: ["GlobalAveragePooling1D", "Flatten"],
  2: ["GlobalAveragePooling2D", "Flatten"],
};
const READ_OUT_CALLS: Readonly<Record<number, string>> = {
  1: "tf.layers.globalAveragePooling1d() or tf.layers.flatten()",
  2: "tf.layers.globalAveragePooling2d({ dataFormat }) or tf.layers.flatten()",
};

/** What getConfig says of a convolution. */
interface ConvConfig {
  readonly kernelSize: readonly number[];
  readonly strides: readonly number[];
  readonly dilationRate: readonly number[];
  readonly padding: string;
  readonly dataFormat: "channelsLast" | "channelsFirst";
}

/**
 * Reads the layers between the input and the dense layer; `inputShape` is that of one image as x has it.
 *
 * @throws ConvexError "model/layer" for what stands between, a filter larger than the image, or a layout that is not read.
 */
export function readConvolution(
  conv: tf.layers.Layer,
  between: readonly tf.layers.Layer[],
  inputShape: readonly number[],
): Convolution {
  const axes = CONVOLUTIONS[conv.getClassName()];
  const readOut = readOutAfter(between, conv, axes);
  const config = configOf(conv);
  const geometry = patchGeometry(shapeOf(conv, config, axes, inputShape));
  if (geometry.patches === 0) {
    refuse(
      "a filter that fits into the image",
      `kernelSize [${config.kernelSize.join(", ")}]${dilated(config)} for input [${inputShape.join(", ")}] in layer "${conv.name}"`,
      'Make the filter smaller, or set padding: "same".',
    );
  }
  const K = geometry.patches;
  const format = (readOut.getConfig().dataFormat as string | undefined) ?? "channelsLast";
  if (readOut.getClassName() !== "Flatten") {
    if (axes === 2 && format !== config.dataFormat) refuseFormat(readOut, format, config.dataFormat);
    return { geometry, pooling: { patches: K, positions: 1, scale: 1 / K }, readOut: "filtersFastest" };
  }
  // Flatten with channelsFirst brings the channels of its input to the end, whatever the convolution calls them.
  if (format === "channelsFirst" && config.dataFormat === "channelsLast") {
    refuseFormat(readOut, format, config.dataFormat);
  }
  return {
    geometry,
    pooling: { patches: K, positions: K, scale: 1 },
    readOut: config.dataFormat === "channelsFirst" && format === "channelsLast" ? "patchesFastest" : "filtersFastest",
  };
}

/** A conv1d leaves its dataFormat out of its config, and keeps it all the same. */
function configOf(conv: tf.layers.Layer): ConvConfig {
  const { dataFormat = "channelsLast" } = conv as unknown as Partial<ConvConfig>;
  return { dataFormat, ...conv.getConfig() } as unknown as ConvConfig;
}

function readOutAfter(between: readonly tf.layers.Layer[], conv: tf.layers.Layer, axes: number): tf.layers.Layer {
  const [readOut] = between;
  const known = `${READ_OUT_CALLS[axes]} between the convolution and the dense layer`;
  if (readOut === undefined) {
    refuse(known, `nothing after layer "${conv.name}"`, "Add one of them.");
  }
  for (const layer of between) {
    const name = layer.getClassName();
    if (READ_OUTS[axes].includes(name)) continue;
    const why = name.includes("MaxPooling")
      ? "The maximum over patches has a program of its own that is not here: pool by averages, or train this model with model.fit()."
      : "Leave it out, put what it does before training into the data, or train this model with model.fit().";
    refuse(known, `layer "${layer.name}" of class ${name}`, why);
  }
  return readOut;
}

function shapeOf(conv: tf.layers.Layer, config: ConvConfig, axes: number, inputShape: readonly number[]): PatchShape {
  const { kernelSize, strides, dilationRate, padding, dataFormat } = config;
  if (padding !== "valid" && padding !== "same") {
    refuse('padding "valid" or "same"', `"${padding}" in layer "${conv.name}"`, "Change it.");
  }
  if (axes === 1 && dataFormat === "channelsFirst") {
    refuse(
      "channelsLast in a conv1d",
      `dataFormat "channelsFirst" in layer "${conv.name}"`,
      "TensorFlow.js lays its output out as channelsLast all the same: transpose the data and leave dataFormat out.",
    );
  }
  const sizes = dataFormat === "channelsFirst" ? inputShape.slice(1) : inputShape.slice(0, -1);
  const channels = dataFormat === "channelsFirst" ? inputShape[0] : inputShape[inputShape.length - 1];
  const axis = (k: number): PatchAxis => ({
    size: sizes[k],
    filter: kernelSize[k],
    stride: strides[k],
    dilation: dilationRate[k],
  });
  const flat: PatchAxis = { size: 1, filter: 1, stride: 1, dilation: 1 };
  return {
    height: axes === 1 ? flat : axis(0),
    width: axis(axes - 1),
    channels,
    padding,
    dataFormat,
  };
}

function dilated({ dilationRate }: ConvConfig): string {
  return dilationRate.some((rate) => rate > 1) ? ` with dilationRate [${dilationRate.join(", ")}]` : "";
}

function refuseFormat(layer: tf.layers.Layer, got: string, wanted: string): never {
  return refuse(
    `dataFormat "${wanted}" as in the convolution`,
    `"${got}" in layer "${layer.name}"`,
    "Give both layers the same dataFormat.",
  );
}

function refuse(expected: string, got: string, todo: string): never {
  throw new ConvexError("model/layer", `readModel: expected ${expected}, got ${got}. ${todo}`);
}
