/** Convolutional tf models and images that the trainer's tests share. */

import * as tf from "@tensorflow/tfjs";
import { lossTraits } from "../../src/convex/losses/index.js";
import type { LossName } from "../../src/convex/types.js";
import { gatedConv2D } from "../../src/layers/index.js";
import { gaussianMatrix, targetsFor } from "./problems.js";

export interface ConvModelOptions {
  readonly kind?: "conv1d" | "conv2d" | "gatedConv2D";
  readonly readOut?: "average" | "flatten";
  /** Average pooling before flatten: the size of its windows, and their strides. */
  readonly windows?: { readonly size: number; readonly strides?: number; readonly padding?: "valid" | "same" };
  readonly loss?: LossName;
  readonly filters?: number;
  readonly inputShape?: readonly number[];
  readonly kernelSize?: number | [number, number];
  readonly strides?: number;
  readonly padding?: "valid" | "same";
  readonly dilationRate?: number;
  readonly dataFormat?: "channelsLast" | "channelsFirst";
  readonly flattenFormat?: "channelsLast" | "channelsFirst";
  readonly outputs?: number;
  readonly hiddenBias?: boolean;
  readonly outputBias?: boolean;
  /** Factor of every l2 regularizer; 0 for none. */
  readonly l2?: number;
}

/** A compiled [convolution, global average pooling or flatten, dense] model with fixed initial weights. */
export function makeConvModel(options: ConvModelOptions = {}): tf.Sequential {
  const { kind = "conv2d", readOut = "average", loss = "meanSquaredError", filters = 80, l2 = 0 } = options;
  const { kernelSize = 2, strides = 1, padding = "valid", dilationRate = 1, dataFormat = "channelsLast" } = options;
  const { outputs = lossTraits[loss].activation === "softmax" ? 3 : 1, hiddenBias = true, outputBias = true } = options;
  const inputShape = [...(options.inputShape ?? (kind === "conv1d" ? [6, 2] : [4, 4, 1]))];
  const kernelInitializer = tf.initializers.glorotNormal({ seed: 1 });
  const regularizers =
    l2 > 0
      ? {
          kernelRegularizer: tf.regularizers.l2({ l2 }),
          ...(hiddenBias ? { biasRegularizer: tf.regularizers.l2({ l2 }) } : {}),
        }
      : {};
  const geometry = { kernelSize, strides, padding, dilationRate, dataFormat, inputShape };
  const first = { filters, useBias: hiddenBias, ...geometry, ...regularizers, kernelInitializer };
  const size = Array.isArray(kernelSize) ? kernelSize[0] : kernelSize;
  const conv = {
    conv1d: () => tf.layers.conv1d({ ...first, kernelSize: size, activation: "relu" }),
    conv2d: () => tf.layers.conv2d({ ...first, activation: "relu" }),
    gatedConv2D: () => gatedConv2D({ ...first, seed: 1 }),
  }[kind]();
  const average =
    kind === "conv1d" ? tf.layers.globalAveragePooling1d() : tf.layers.globalAveragePooling2d({ dataFormat });
  const flatten = tf.layers.flatten(options.flattenFormat ? { dataFormat: options.flattenFormat } : {});
  const { activation } = lossTraits[loss];
  const last = tf.layers.dense({
    units: outputs,
    activation,
    useBias: outputBias,
    kernelInitializer,
    ...(l2 > 0 ? { kernelRegularizer: tf.regularizers.l2({ l2 }) } : {}),
  });
  const { windows } = options;
  const pool = windows && {
    poolSize: windows.size,
    strides: windows.strides ?? windows.size,
    padding: windows.padding ?? "valid",
  };
  const before = pool
    ? [kind === "conv1d" ? tf.layers.averagePooling1d(pool) : tf.layers.averagePooling2d({ ...pool, dataFormat })]
    : [];
  const model = tf.sequential({ layers: [conv, ...before, readOut === "average" ? average : flatten, last] });
  model.compile({
    optimizer: "sgd",
    loss: loss === "huberLoss" ? (tf.losses.huberLoss as unknown as string) : loss,
  });
  return model;
}

/** Images x [rows x inputShape] and targets y [rows x outputs] that fit a loss; the caller disposes. */
export function makeImages(
  model: tf.Sequential,
  loss: LossName = "meanSquaredError",
  rows = 20,
  seed = 1,
): { x: tf.Tensor; y: tf.Tensor2D } {
  const shape = (model.layers[0].batchInputShape ?? []).slice(1) as number[];
  const outputs = model.layers[model.layers.length - 1].outputShape[1] as number;
  const pixels = shape.reduce((product, size) => product * size, 1);
  const X = gaussianMatrix(rows, pixels, seed);
  const Y = targetsFor(loss, X, outputs, seed + 1);
  return {
    x: tf.tensor(Float32Array.from(X.data), [rows, ...shape]),
    y: tf.tensor2d(Float32Array.from(Y.data), [rows, outputs]),
  };
}
