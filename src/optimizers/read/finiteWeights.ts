/** Weights that are no finite numbers, of layers that no program writes: a training that diverged has left them, and no row is to blame. */

import * as tf from "@tensorflow/tfjs";
import { refuseModel } from "./layers/layer.js";

/** @throws ConvexError "model/weights" naming the first layer and weight that holds NaN or infinity. */
export async function refuseNonFiniteWeights(layers: { readonly layers: readonly tf.layers.Layer[] }): Promise<void> {
  for (const layer of layers.layers) {
    if (layer instanceof tf.LayersModel) await refuseNonFiniteWeights(layer);
    else for (const weight of layer.weights) await refuseWeight(layer, weight);
  }
}

async function refuseWeight(layer: tf.layers.Layer, weight: tf.layers.Layer["weights"][number]): Promise<void> {
  const tensor = weight.read();
  const values = await tensor.data();
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  refuseModel(
    "model/weights",
    "finite weights in the layers below the head",
    `${values[at]} in weight "${weight.name}" of layer "${layer.name}" (entry ${at} of ${values.length}, shape [${tensor.shape.join(", ")}])`,
    "The training that made them diverged: build that layer anew, or load weights from before.",
  );
}
