/** tf models and data that the trainer's tests share. */

import * as tf from "@tensorflow/tfjs";
import { lossTraits } from "../../src/convex/losses/index.js";
import type { LossName } from "../../src/convex/types.js";
import { gatedDense } from "../../src/layers/index.js";
import { gaussianMatrix, targetsFor } from "./problems.js";

export interface ModelOptions {
  readonly loss?: LossName;
  readonly units?: number;
  readonly inputs?: number;
  readonly outputs?: number;
  readonly formulation?: "relu" | "gated";
  readonly hiddenBias?: boolean;
  readonly outputBias?: boolean;
  /** Factor of every l2 regularizer; 0 for none. */
  readonly l2?: number;
  readonly biasL2?: number;
  readonly metrics?: string[];
}

/** A compiled [dense(relu) or GatedDense, dense] model with fixed initial weights. */
export function makeModel(options: ModelOptions = {}): tf.Sequential {
  const { loss = "meanSquaredError", units = 60, inputs = 3, formulation = "relu", l2 = 0, biasL2 = l2 } = options;
  const { outputs = lossTraits[loss].activation === "softmax" ? 3 : 1, hiddenBias = true, outputBias = true } = options;
  const decay = (factor: number) => (factor > 0 ? { kernelRegularizer: tf.regularizers.l2({ l2: factor }) } : {});
  const biasDecay = hiddenBias && biasL2 > 0 ? { biasRegularizer: tf.regularizers.l2({ l2: biasL2 }) } : {};
  const first = { units, inputShape: [inputs], useBias: hiddenBias, ...decay(l2), ...biasDecay };
  const { activation } = lossTraits[loss];
  const kernelInitializer = tf.initializers.glorotNormal({ seed: 1 });
  const model = tf.sequential({
    layers: [
      formulation === "gated"
        ? gatedDense({ ...first, seed: 1 })
        : tf.layers.dense({ ...first, activation: "relu", kernelInitializer }),
      tf.layers.dense({ units: outputs, activation, useBias: outputBias, kernelInitializer, ...decay(l2) }),
    ],
  });
  model.compile({
    optimizer: "sgd",
    loss: loss === "huberLoss" ? (tf.losses.huberLoss as unknown as string) : loss,
    ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
  });
  return model;
}

/** Tensors x [rows x inputs] and y [rows x outputs] that fit a loss; the caller disposes. */
export function makeData(
  loss: LossName = "meanSquaredError",
  rows = 30,
  inputs = 3,
  outputs = lossTraits[loss].activation === "softmax" ? 3 : 1,
  seed = 1,
): { x: tf.Tensor2D; y: tf.Tensor2D } {
  const X = gaussianMatrix(rows, inputs, seed);
  const Y = targetsFor(loss, X, outputs, seed + 1);
  return {
    x: tf.tensor2d(Float32Array.from(X.data), [rows, inputs]),
    y: tf.tensor2d(Float32Array.from(Y.data), [rows, outputs]),
  };
}

/** All weights of a model as plain arrays. */
export function weightsIn(model: tf.LayersModel): number[][] {
  return model.getWeights().map((weight) => Array.from(weight.dataSync()));
}

/** The model as it is after saving and loading; the caller disposes. */
export async function saveAndLoad(model: tf.Sequential): Promise<tf.LayersModel> {
  let saved: tf.io.ModelArtifacts | null = null;
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      saved = artifacts;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    }),
  );
  if (saved === null) throw new Error("nothing was saved");
  return tf.loadLayersModel(tf.io.fromMemory(saved));
}
