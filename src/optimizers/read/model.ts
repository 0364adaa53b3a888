/** tf.Sequential -> what convex training needs to know of it, or a refusal that names the layer. */

import * as tf from "@tensorflow/tfjs";
import { lossTraits } from "../../convex/losses/index.js";
import type { LossName } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import { CONVOLUTIONS, type Convolution, readConvolution } from "./convolution.js";

/** The two-layer network that a model is. */
export interface NetworkSpec {
  readonly formulation: "relu" | "gated";
  readonly inputShape: readonly number[]; // of one sample of x
  readonly inputs: number; // features of a row of X, without a bias column: of a sample, or of a patch
  readonly convolution: Convolution | null; // null: dense
  readonly units: number; // or filters
  readonly outputs: number; // C
  readonly hiddenBias: boolean;
  readonly outputBias: boolean;
  readonly loss: LossName;
  /** The last layer's activation: what turns Z into the model's predictions. */
  readonly activation: "linear" | "sigmoid" | "softmax";
  readonly l2: {
    readonly hidden: number;
    readonly hiddenBias: number;
    readonly output: number;
    readonly outputBias: number;
  };
}

/** What getConfig says of a layer with a kernel, read with suspicion. */
interface KernelConfig {
  readonly units: number;
  readonly useBias: boolean;
  readonly activation: string;
  readonly kernelL2: number;
  readonly biasL2: number;
}

/** What each formulation wants first: in a dense model, and in a convolutional one. */
const GATED_FIRST = ["a GatedDense first layer", "a GatedConv2D first layer"];
const RELU_FIRST = [
  'dense(units, activation "relu") as first layer',
  'a convolution with activation "relu" as first layer',
];

const LOSS_NAMES = Object.keys(lossTraits) as LossName[];

/**
 * Reads a compiled model of the form [dense(units, relu) or GatedDense, dense(C)], or [conv1d, conv2d (relu) or GatedConv2D,
 * global average pooling or flatten, dense(C)].
 *
 * @throws ConvexError "model/..." naming the layer and what to change.
 */
export function readModel(
  model: tf.Sequential,
  wanted: "relu" | "gated" | null,
  use: "write" | "read" = "write",
): NetworkSpec {
  if (!(model instanceof tf.Sequential)) {
    refuse("model/kind", "a tf.Sequential", describe(model), "Build it with tf.sequential({ layers: [...] }).");
  }
  const layers = model.layers.filter((layer) => layer.getClassName() !== "InputLayer");
  const convolutional = layers.length > 0 && Object.hasOwn(CONVOLUTIONS, layers[0].getClassName());
  const between = convolutional ? layers.slice(1, -1) : [];
  for (const layer of layers) {
    if (["Dense", "GatedDense"].includes(layer.getClassName()) || between.includes(layer)) continue;
    if (convolutional && layer === layers[0]) continue;
    refuse(
      "model/layer",
      "dense layers only",
      `layer "${layer.name}" of class ${layer.getClassName()}`,
      "Put what it does before training into the data, or train this model with model.fit().",
    );
  }
  if (!convolutional && layers.length !== 2) {
    refuse(
      "model/depth",
      "two layers, dense(units, relu) and dense(outputs)",
      `${layers.length} layers`,
      "Deeper models have no exact program here: train them with model.fit().",
    );
  }
  const first = layers[0];
  const last = layers[layers.length - 1];
  if (last.getClassName() !== "Dense") {
    refuse(
      "model/layer",
      "a dense last layer",
      `layer "${last.name}" of class ${last.getClassName()}`,
      "Add tf.layers.dense.",
    );
  }
  const formulation = first.getClassName().startsWith("Gated") ? "gated" : "relu";
  if (wanted !== null && wanted !== formulation) {
    const needs = wanted === "gated" ? GATED_FIRST[+convolutional] : RELU_FIRST[+convolutional];
    refuse(
      "model/layer",
      `${needs} for formulation "${wanted}"`,
      `layer "${first.name}" of class ${first.getClassName()}`,
      "Change the layer or the option.",
    );
  }
  for (const layer of layers) {
    refuseDisposed(layer);
    if (use === "write") refuseFrozen(model, layer);
  }
  const inputShape = inputShapeOf(first, convolutional);
  const convolution = convolutional ? readConvolution(first, between, inputShape) : null;
  const hidden = readKernel(first);
  const output = readKernel(last);
  if (formulation === "relu" && hidden.activation !== "relu") {
    refuse(
      "model/activation",
      'activation "relu" in the first layer',
      `"${hidden.activation}" in layer "${first.name}"`,
      'Change the activation to "relu", use a GatedDense layer, or train with model.fit().',
    );
  }
  const { loss, fromLogits } = readLoss(model);
  const traits = lossTraits[loss];
  const activation = fromLogits ? "linear" : traits.activation;
  if (output.activation !== activation) {
    refuse(
      "model/activation",
      `activation "${activation}" in the last layer, as the loss ${loss} wants`,
      `"${output.activation}" in layer "${last.name}"`,
      "Change the activation or the loss.",
    );
  }
  return {
    formulation,
    inputShape,
    inputs: convolution?.geometry.entries ?? inputShape[0],
    convolution,
    units: hidden.units,
    outputs: output.units,
    hiddenBias: hidden.useBias,
    outputBias: output.useBias,
    loss,
    activation,
    l2: { hidden: hidden.kernelL2, hiddenBias: hidden.biasL2, output: output.kernelL2, outputBias: output.biasL2 },
  };
}

function refuseFrozen(model: tf.Sequential, layer: tf.layers.Layer): void {
  if (layer.trainable && model.trainable) return;
  refuse(
    "model/frozen",
    "layers that may be trained, since a convex fit writes both",
    `trainable: false in ${layer.trainable ? "the model" : `layer "${layer.name}"`}`,
    "Set trainable to true, or train the other layers with model.fit().",
  );
}

function refuseDisposed(layer: tf.layers.Layer): void {
  try {
    layer.getWeights();
  } catch {
    refuse("model/disposed", "a model that is alive", "a disposed one", "Build or load it again.");
  }
}

function readKernel(layer: tf.layers.Layer): KernelConfig {
  const config = layer.getConfig();
  for (const part of ["kernelConstraint", "biasConstraint", "activityRegularizer"]) {
    if (config[part] === undefined || config[part] === null) continue;
    refuse(
      "model/regularizer",
      `no ${part}`,
      `one in layer "${layer.name}"`,
      "Remove it: only l2 regularizers are convex here.",
    );
  }
  return {
    units: (config.units ?? config.filters) as number,
    useBias: config.useBias as boolean,
    activation: (config.activation as string | undefined) ?? "linear",
    kernelL2: readL2(config.kernelRegularizer, layer, "kernelRegularizer"),
    biasL2: readL2(config.biasRegularizer, layer, "biasRegularizer"),
  };
}

/** The factor g of an l2 regularizer g sum(w^2); 0 without one. */
function readL2(serialized: unknown, layer: tf.layers.Layer, part: string): number {
  if (serialized === undefined || serialized === null) return 0;
  const { className, config } = serialized as { className?: string; config?: { l1?: number; l2?: number } };
  const l1 = config?.l1 ?? 0;
  const l2 = config?.l2 ?? 0;
  if (className === "L1L2" && l1 === 0 && l2 >= 0 && Number.isFinite(l2)) return l2;
  return refuse(
    "model/regularizer",
    "l2 regularizers only",
    `${part} of layer "${layer.name}": ${className === "L1L2" ? `l1 ${l1}, l2 ${l2}` : className}`,
    "Use tf.regularizers.l2({ l2: ... }).",
  );
}

/** The shape of one sample: [features], or that of an image or signal. */
function inputShapeOf(layer: tf.layers.Layer, convolutional: boolean): number[] {
  const shape = layer.batchInputShape?.slice(1) ?? null;
  if (convolutional) return imageShapeOf(layer, shape);
  if (shape !== null && shape.length !== 1) {
    refuse(
      "model/layer",
      `rows of features, inputShape: [features], in layer "${layer.name}"`,
      `inputShape [${shape.join(", ")}]`,
      "Flatten the data before training.",
    );
  }
  const kernel = layer.built ? layer.weights[0]?.shape[0] : undefined;
  const inputs = kernel ?? shape?.[0];
  if (typeof inputs === "number") return [inputs];
  return refuse(
    "model/layer",
    `an inputShape in layer "${layer.name}"`,
    "none",
    "Give the first layer inputShape: [features].",
  );
}

function imageShapeOf(layer: tf.layers.Layer, shape: readonly (number | null)[] | null): number[] {
  const known = shape?.filter((size) => typeof size === "number") ?? [];
  if (shape !== null && known.length === shape.length) return known;
  const wanted = layer.getClassName() === "Conv1D" ? "[length, channels]" : "[height, width, channels]";
  return refuse(
    "model/layer",
    `an inputShape of known sizes in layer "${layer.name}"`,
    shape === null ? "none" : `[${shape.join(", ")}]`,
    `Give the first layer inputShape: ${wanted}.`,
  );
}

/** The loss of model.compile by name, or by the function of tf.losses and tf.metrics that it is. */
function readLoss(model: tf.Sequential): { loss: LossName; fromLogits: boolean } {
  const given = model.loss as unknown;
  if (given === undefined || given === null) {
    refuse(
      "model/uncompiled",
      "a compiled model",
      "one without a loss",
      "Call model.compile({ loss: ..., optimizer: ... }) first.",
    );
  }
  const loss = Array.isArray(given) && given.length === 1 ? (given[0] as unknown) : given;
  if (typeof loss === "string" && (LOSS_NAMES as string[]).includes(loss)) {
    return { loss: loss as LossName, fromLogits: false };
  }
  const functions: readonly [unknown, LossName, boolean][] = [
    [tf.losses.huberLoss, "huberLoss", false],
    [tf.losses.absoluteDifference, "meanAbsoluteError", false],
    [tf.metrics.meanAbsoluteError, "meanAbsoluteError", false],
    [tf.losses.meanSquaredError, "meanSquaredError", false],
    [tf.metrics.meanSquaredError, "meanSquaredError", false],
    [tf.losses.sigmoidCrossEntropy, "binaryCrossentropy", true],
    [tf.metrics.binaryCrossentropy, "binaryCrossentropy", false],
    [tf.losses.softmaxCrossEntropy, "categoricalCrossentropy", true],
    [tf.metrics.categoricalCrossentropy, "categoricalCrossentropy", false],
  ];
  for (const [known, name, fromLogits] of functions) if (loss === known) return { loss: name, fromLogits };
  return refuse(
    "model/loss",
    `a loss among ${LOSS_NAMES.map((name) => `"${name}"`).join(", ")} (huberLoss as the function tf.losses.huberLoss)`,
    typeof loss === "string" ? `"${loss}"` : describe(loss),
    "Compile the model with one of them, or train it with model.fit().",
  );
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "function") return `the function ${value.name || "without a name"}`;
  return typeof value === "object"
    ? `an object of class ${value.constructor?.name ?? "unknown"}`
    : `${typeof value} ${String(value)}`;
}

function refuse(code: ConvexError["code"], expected: string, got: string, todo: string): never {
  throw new ConvexError(code, `readModel: expected ${expected}, got ${got}. ${todo}`);
}
