/** A recipe as tf has it: the compiled model and the tensors. The caller disposes. */

import * as tf from "@tensorflow/tfjs";
import { gatedConv2D, gatedDense } from "../../../src/index.js";
import type { Convolved, Recipe } from "./recipe.js";

export function modelOf(recipe: Recipe): tf.Sequential {
  const { formulation, slope, loss, outputs, inputShape, hiddenBias, outputBias, units, l2, convolution, layer, seed } =
    recipe;
  const { skip } = recipe;
  const bend = slope === 0 || formulation === "gated" ? [] : [tf.layers.leakyReLU({ alpha: slope })];
  const fused = slope === 0 ? ("relu" as const) : ("linear" as const);
  const decay = (kernel: number, bias: number) => ({
    ...(kernel > 0 ? { kernelRegularizer: tf.regularizers.l2({ l2: kernel }) } : {}),
    ...(bias > 0 ? { biasRegularizer: tf.regularizers.l2({ l2: bias }) } : {}),
  });
  const shared = {
    inputShape: [...inputShape],
    useBias: hiddenBias,
    ...decay(l2.hidden, hiddenBias ? l2.hiddenBias : 0),
  };
  const kernelInitializer = tf.initializers.glorotNormal({ seed: 1 + (seed % 1000) });
  const activation =
    loss === "binaryCrossentropy" ? "sigmoid" : loss === "categoricalCrossentropy" ? "softmax" : "linear";
  const last = tf.layers.dense({
    units: outputs,
    activation: skip === null ? activation : "linear",
    useBias: outputBias,
    kernelInitializer,
    ...decay(l2.output, outputBias ? l2.outputBias : 0),
  });
  const model = tf.sequential();
  if (skip !== null) {
    const first =
      formulation === "gated"
        ? gatedDense({ units, ...shared, seed: seed % 1000 })
        : tf.layers.dense({ units, ...shared, activation: fused, kernelInitializer });
    const beside = besideModel(inputShape, [first, ...bend, last], activation, outputs, decay(skip.l2, 0), skip.bias);
    return compiled(beside, loss);
  }
  if (convolution === null) {
    model.add(
      formulation === "gated"
        ? gatedDense({ units, ...shared, seed: seed % 1000 })
        : tf.layers.dense({ units, ...shared, activation: fused, kernelInitializer }),
    );
    for (const one of bend) model.add(one);
  } else {
    const { kernelSize, strides, padding, dilation } = convolution;
    const geometry = { padding, dilationRate: dilation, ...shared };
    const plane = { filters: units, kernelSize: [...kernelSize], strides: [...strides], ...geometry };
    const relu = { activation: fused, kernelInitializer };
    if (layer === "conv1d") {
      model.add(tf.layers.conv1d({ ...plane, kernelSize: kernelSize[1], strides: strides[1], ...relu }));
    } else if (formulation === "gated") {
      model.add(gatedConv2D({ ...plane, kernelSize: [...kernelSize], strides: [...strides], seed: seed % 1000 }));
    } else {
      model.add(tf.layers.conv2d({ ...plane, kernelSize: [...kernelSize], strides: [...strides], ...relu }));
    }
    for (const one of bend) model.add(one);
    for (const between of readOutLayers(convolution, layer, (model.outputs[0].shape ?? []).slice(1) as number[]))
      model.add(between);
  }
  model.add(last);
  return compiled(model, loss);
}

function compiled(model: tf.Sequential, loss: string): tf.Sequential {
  model.compile({
    optimizer: "sgd",
    loss: loss === "huberLoss" ? (tf.losses.huberLoss as unknown as string) : loss,
  });
  return model;
}

/** A linear layer beside others: the sum of both, and an activation after it. */
function besideModel(
  inputShape: readonly number[],
  deep: readonly tf.layers.Layer[],
  activation: "linear" | "sigmoid" | "softmax",
  units: number,
  decay: object,
  useBias: boolean,
): tf.Sequential {
  const inputs = tf.input({ shape: [...inputShape] });
  const way = deep.reduce((tensor, layer) => layer.apply(tensor) as tf.SymbolicTensor, inputs);
  const kernelInitializer = tf.initializers.glorotNormal({ seed: 7 });
  const straight = tf.layers.dense({ name: BESIDE, units, useBias, kernelInitializer, ...decay }).apply(inputs);
  const sum = tf.layers.add().apply([way, straight as tf.SymbolicTensor]) as tf.SymbolicTensor;
  const outputs = tf.layers.activation({ activation }).apply(sum) as tf.SymbolicTensor;
  return tf.model({ inputs, outputs }) as tf.Sequential;
}

/** The name of the linear layer. */
export const BESIDE = "beside";

function readOutLayers(
  { readOut, window }: Convolved,
  layer: Recipe["layer"],
  shape: readonly number[],
): tf.layers.Layer[] {
  const signal = layer === "conv1d";
  if (readOut === "average") {
    return [
      signal ? tf.layers.globalAveragePooling1d() : tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast" }),
    ];
  }
  const flatten = tf.layers.flatten();
  if (readOut === "flatten") return [flatten];
  const sizes = shape.slice(0, -1).map((size) => Math.min(window, size));
  const pool = signal
    ? tf.layers.averagePooling1d({ poolSize: sizes[0], strides: sizes[0] })
    : tf.layers.averagePooling2d({ poolSize: [sizes[0], sizes[1]], strides: [sizes[0], sizes[1]] });
  return [pool, flatten];
}

export function tensorsOf(recipe: Recipe, x = recipe.x): { x: tf.Tensor; y: tf.Tensor2D } {
  const { rows, inputShape, outputs, y } = recipe;
  return {
    x: tf.tensor(Float32Array.from(x), [rows, ...inputShape]),
    y: tf.tensor2d(Float32Array.from(y), [rows, outputs]),
  };
}
