/** [conv, average pooling, flatten or both, dense] -> patches and how they are pooled, or a refusal that names the layer. */

import type * as tf from "@tensorflow/tfjs";
import { refuseAs } from "../../arguments.js";
import {
  outputSize,
  type PatchAxis,
  type PatchGeometry,
  type PatchShape,
  patchGeometry,
  windowedGeometry,
} from "../../convex/operators/patches.js";
import type { Pooling } from "../../convex/types.js";
import { CONVOLUTIONS } from "./layers/convolution.js";
import { refuseProgram } from "./layers/layer.js";

/** The first layers of a convolutional model. */
export interface Convolution {
  readonly geometry: PatchGeometry;
  readonly pooling: Pooling;
  /** Which runs faster in what the last layer is fed: filters (as after channelsLast), or patches. */
  readonly readOut: "filtersFastest" | "patchesFastest";
}

/** Layers that may follow a convolution, by its axes. */
const READ_OUTS: Readonly<Record<number, readonly string[]>> = {
  1: ["GlobalAveragePooling1D", "AveragePooling1D", "Flatten"],
  2: ["GlobalAveragePooling2D", "AveragePooling2D", "Flatten"],
};
const READ_OUT_CALLS: Readonly<Record<number, string>> = {
  1: "tf.layers.globalAveragePooling1d(), or tf.layers.flatten() with or without tf.layers.averagePooling1d() before it,",
  2: "tf.layers.globalAveragePooling2d({ dataFormat }), or tf.layers.flatten() with or without tf.layers.averagePooling2d() before it,",
};

/** What getConfig says of average pooling; one number where there is one axis, or as many as there are axes. */
interface PoolConfig {
  readonly poolSize: number | readonly number[];
  readonly strides: number | readonly number[];
  readonly padding: string;
  readonly dataFormat?: string;
}

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
    refuseAs(
      "readModel",
      "a filter that fits into the image",
      `kernelSize [${config.kernelSize.join(", ")}]${dilated(config)} for input [${inputShape.join(", ")}] in layer "${conv.name}"`,
      'Make the filter smaller, or set padding: "same".',
      "model/layer",
    );
  }
  const K = geometry.patches;
  const format = (readOut.getConfig().dataFormat as string | undefined) ?? "channelsLast";
  if (readOut.getClassName() !== "Flatten") {
    if (axes === 2 && format !== config.dataFormat) refuseFormat(readOut, format, config.dataFormat);
    return { geometry, pooling: { patches: K, positions: 1, scale: 1 / K }, readOut: "filtersFastest" };
  }
  const pool = between[0] === readOut ? null : between[0];
  const windows = pool === null ? { geometry, positions: K } : windowsOf(pool, geometry, axes, config.dataFormat);
  const { patches } = windows.geometry;
  // Flatten with channelsFirst brings the channels of its input to the end, whatever the convolution calls them.
  if (format === "channelsFirst" && config.dataFormat === "channelsLast") {
    refuseFormat(readOut, format, config.dataFormat);
  }
  return {
    geometry: windows.geometry,
    pooling: { patches, positions: windows.positions, scale: windows.positions / patches },
    readOut: config.dataFormat === "channelsFirst" && format === "channelsLast" ? "patchesFastest" : "filtersFastest",
  };
}

/** A conv1d leaves its dataFormat out of its config, and keeps it all the same. */
function configOf(conv: tf.layers.Layer): ConvConfig {
  const { dataFormat = "channelsLast" } = conv as unknown as Partial<ConvConfig>;
  return { dataFormat, ...conv.getConfig() } as unknown as ConvConfig;
}

function readOutAfter(between: readonly tf.layers.Layer[], conv: tf.layers.Layer, axes: number): tf.layers.Layer {
  const readOut = between.find((layer) => !layer.getClassName().startsWith("Average"));
  const known = `${READ_OUT_CALLS[axes]} between the convolution and the dense layer`;
  if (readOut === undefined) {
    const after = between[between.length - 1] ?? conv;
    refuseAs("readModel", known, `nothing after layer "${after.name}"`, "Add one of them.", "model/layer");
  }
  const pools = between.filter((layer) => layer.getClassName().startsWith("Average"));
  if (pools.length > 1 || (pools.length === 1 && readOut.getClassName() !== "Flatten")) {
    const last = pools.length > 1 ? pools[1] : readOut;
    refuseProgram(
      "model/layer",
      known,
      `layer "${last.name}" after layer "${pools[0].name}"`,
      "Join the two, or leave one out.",
    );
  }
  for (const layer of between) {
    const name = layer.getClassName();
    if (READ_OUTS[axes].includes(name)) continue;
    const why = name.includes("MaxPooling")
      ? "Which patch is the largest changes with the filter, so that a maximum is not linear where the patterns are given: pool by averages, or train this model with model.fit()."
      : "Leave it out, put what it does before training into the data, or train this model with model.fit().";
    refuseProgram("model/layer", known, `layer "${layer.name}" of class ${name}`, why);
  }
  return readOut;
}

/** The windows of an average pooling layer. */
function windowsOf(
  pool: tf.layers.Layer,
  geometry: PatchGeometry,
  axes: number,
  dataFormat: string,
): { geometry: PatchGeometry; positions: number } {
  const config = pool.getConfig() as unknown as PoolConfig;
  if (axes === 2 && config.dataFormat !== dataFormat) refuseFormat(pool, String(config.dataFormat), dataFormat);
  const [filters, strides] = [config.poolSize, config.strides].map((given) =>
    typeof given === "number" ? [given] : given,
  );
  const axis = (k: number) => ({ filter: filters[k], stride: strides[k] });
  const height = axes === 1 ? { filter: 1, stride: 1 } : axis(0);
  const width = axis(axes - 1);
  const sizes = [
    { ...height, size: geometry.outHeight, dilation: 1 },
    { ...width, size: geometry.outWidth, dilation: 1 },
  ];
  const shape = `poolSize [${filters.join(", ")}] on ${sizes
    .slice(2 - axes)
    .map(({ size }) => size)
    .join(" x ")} outputs in layer "${pool.name}"`;
  if (config.padding === "same" && sizes.some((one) => overhangs(one))) {
    refuseProgram(
      "model/layer",
      "windows that lie inside the convolution's output",
      `padding "same" that makes some smaller, ${shape}`,
      'A mean over fewer patches weighs each of them more: choose sizes that divide, or padding "valid".',
    );
  }
  if (sizes.some((one) => outputSize(one, "valid").size === 0)) {
    refuseAs(
      "readModel",
      "windows that fit into the convolution's output",
      shape,
      "Make poolSize smaller.",
      "model/layer",
    );
  }
  return windowedGeometry(geometry, { height, width });
}

function overhangs(axis: PatchAxis): boolean {
  return (outputSize(axis, "same").size - 1) * axis.stride + axis.filter > axis.size;
}

function shapeOf(conv: tf.layers.Layer, config: ConvConfig, axes: number, inputShape: readonly number[]): PatchShape {
  const { kernelSize, strides, dilationRate, padding, dataFormat } = config;
  if (padding !== "valid" && padding !== "same") {
    refuseProgram("model/layer", 'padding "valid" or "same"', `"${padding}" in layer "${conv.name}"`, "Change it.");
  }
  if (axes === 1 && dataFormat === "channelsFirst") {
    refuseAs(
      "readModel",
      "channelsLast in a conv1d",
      `dataFormat "channelsFirst" in layer "${conv.name}"`,
      "TensorFlow.js lays its output out as channelsLast all the same: transpose the data and leave dataFormat out.",
      "model/layer",
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
  return refuseAs(
    "readModel",
    `dataFormat "${wanted}" as in the convolution`,
    `"${got}" in layer "${layer.name}"`,
    "Give both layers the same dataFormat.",
    "model/layer",
  );
}
