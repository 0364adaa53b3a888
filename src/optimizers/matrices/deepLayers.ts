/** A model of dense layers with nothing or ReLU between them: their widths and charges, and how weights get into them. */

import * as tf from "@tensorflow/tfjs";
import type { LayerWeights } from "../../convex/matrices/index.js";
import { readKernel } from "../read/layers/kernel.js";
import { named, refuseDisposed, refuseModel } from "../read/layers/layer.js";
import { type Labels, readLoss } from "../read/loss.js";
import { writeDenseLayers } from "../write/denseLayers.js";

export interface DeepLayers {
  readonly inputs: number;
  readonly outputs: number;
  readonly widths: readonly number[]; // of the hidden layers
  readonly decays: readonly number[]; // factors of |W_l|^2
  readonly between: "linear" | "relu";
  readonly outputBias: boolean;
  readonly labels: Labels;
  /** Writes all layers; biases of hidden ones become zero. */
  write(layers: readonly LayerWeights[]): void;
}

/**
 * Reads a compiled tf.Sequential [dense, dense, ...] whose activations are in the layers or are layers of their own.
 *
 * @throws ConvexError "model/..." naming the layer and what to change.
 */
export function readDeepLayers(model: tf.LayersModel, charged: "weight decay" | "none"): DeepLayers {
  if (!(model instanceof tf.Sequential)) {
    refuseModel("model/kind", "a tf.Sequential of dense layers", "something else", "Build it with tf.sequential().");
  }
  for (const layer of model.layers) refuseDisposed(layer);
  const { loss, labels, fromLogits } = readLoss(model);
  if (loss !== "meanSquaredError" || fromLogits) {
    refuseModel("model/loss", 'the loss "meanSquaredError"', `"${loss}"`, "Closed forms are known for squares alone.");
  }
  const { dense, hidden } = blocksOf(model);
  const kernels = dense.map(readKernel);
  if (dense.length < 2) {
    refuseModel("model/depth", "at least two dense layers", `${dense.length}`, "Add layers, or use ConvexReLUTrainer.");
  }
  if (new Set(hidden).size > 1) {
    refuseModel("model/activation", "one activation between all layers", hidden.join(", "), "Take nothing or ReLU.");
  }
  const [activation] = hidden;
  if (activation !== "linear" && activation !== "relu") {
    refuseModel("model/activation", "nothing or ReLU between layers", `"${activation}"`, "Change the activation.");
  }
  const last = kernels.length - 1;
  for (const [l, kernel] of kernels.entries()) refuseCharges(dense[l], kernel, charged, l === last);
  const outputBias = kernels[last].useBias;
  kernels.forEach(({ useBias }, l) => {
    if (!useBias || l === last || (outputBias && activation === "linear")) return;
    const why =
      activation === "relu" ? "the closed forms of ReLU layers are of networks without" : "the last layer has none";
    refuseModel("model/layer", `no bias in layer "${dense[l].name}" (${why})`, "one", "Set useBias: false.");
  });
  return {
    inputs: dense[0].weights[0].shape[0] as number,
    outputs: kernels[last].units,
    widths: kernels.slice(0, last).map(({ units }) => units),
    decays: kernels.map(({ kernelL2 }) => kernelL2),
    between: activation,
    ...{ outputBias, labels },
    write: (layers) => writeDenseLayers(dense, layers),
  };
}

/** The dense layers, and the activations between them. */
function blocksOf(model: tf.Sequential): { readonly dense: tf.layers.Layer[]; readonly hidden: string[] } {
  const dense: tf.layers.Layer[] = [];
  const after: string[] = [];
  for (const layer of model.layers) {
    const config = layer.getConfig() as { activation?: string; maxValue?: number | null };
    const kind = layer.getClassName();
    if (kind === "InputLayer") continue;
    if (kind === "Dense") {
      if (!layer.trainable || layer.trainableWeights.length === 0) {
        refuseModel(
          "model/frozen",
          "dense layers that are trained",
          `${named(layer)}, frozen`,
          "Set trainable = true.",
        );
      }
      if (layer.weights[0].shape.length !== 2) {
        refuseModel("model/layer", "layers of a kernel", named(layer), "Build the model first.");
      }
      dense.push(layer);
      after.push(config.activation ?? "linear");
      continue;
    }
    const own = kind === "ReLU" && config.maxValue == null ? "relu" : kind === "Activation" ? config.activation : null;
    if (dense.length === 0 || own == null || after[after.length - 1] !== "linear") {
      refuseModel("model/layer", "dense layers and activations alone", named(layer), "Remove it.");
    }
    after[after.length - 1] = own;
  }
  const end = after.pop() ?? "linear";
  if (end !== "linear") {
    refuseModel("model/activation", "no activation behind the last layer", `"${end}"`, "Remove it.");
  }
  return { dense, hidden: after };
}

function refuseCharges(
  layer: tf.layers.Layer,
  { kernelL2, biasL2 }: ReturnType<typeof readKernel>,
  charged: "weight decay" | "none",
  last: boolean,
): void {
  if (charged === "weight decay" && !(kernelL2 > 0)) {
    refuseModel(
      "model/regularizer",
      "an l2 regularizer on every kernel (without one on all of them the least charge is attained by no weights)",
      `none on layer "${layer.name}"`,
      "Set kernelRegularizer: tf.regularizers.l2({ l2: ... }), or charge: { schatten: ... }.",
    );
  }
  if (charged === "none" && kernelL2 > 0) {
    refuseModel(
      "model/regularizer",
      "no regularizers beside a Schatten charge",
      `l2 on layer "${layer.name}"`,
      "Remove it.",
    );
  }
  if (last && biasL2 > 0) {
    refuseModel(
      "model/regularizer",
      "an output bias without regularizer",
      `l2 ${biasL2}`,
      "Remove its regularizer, or the bias.",
    );
  }
}
