/** What the regularizers of layers charge, as numbers: l1 |w| + l2 w^2 of each weight. */

import * as tf from "@tensorflow/tfjs";
import { usesOf } from "../../read/frozenCharge.js";
import type { Weight } from "../../read/graph.js";

export interface LayerCharge {
  readonly weight: Weight;
  readonly l1: number;
  readonly l2: number;
  /** How often the layer stands in the model: it is charged as often. */
  readonly times: number;
}

/** Which regularizer is whose, by the names of weights. */
const REGULARIZERS = ["kernel", "bias", "gamma", "beta", "alpha", "embeddings"];

/** Null where one is of another kind. */
export function layerCharges(model: tf.LayersModel): LayerCharge[] | null {
  const found: LayerCharge[] = [];
  for (const layer of model.layers) {
    const times = usesOf(layer, model);
    const own = layer instanceof tf.LayersModel ? layerCharges(layer) : chargesOf(layer);
    if (own === null) return null;
    found.push(...own.map((charge) => ({ ...charge, times: charge.times * times })));
  }
  return found;
}

function chargesOf(layer: tf.layers.Layer): LayerCharge[] | null {
  // TensorFlow.js keeps regularizers of recurrent layers, and charges nothing for them.
  if (tf.tidy(() => layer.calculateLosses().length) === 0) return [];
  if (layer.getClassName() === "TimeDistributed")
    return chargesOf((layer as unknown as { layer: tf.layers.Layer }).layer);
  const config = layer.getConfig();
  const found: LayerCharge[] = [];
  for (const [name, value] of Object.entries(config)) {
    if (!name.endsWith("Regularizer") || value == null) continue;
    const { className, config: factors } = value as { className?: string; config?: { l1?: number; l2?: number } };
    const of = name.slice(0, -"Regularizer".length);
    const weight = layer.weights.find((each) => each.originalName.split("/").pop() === of);
    if (className !== "L1L2" || !REGULARIZERS.includes(of) || weight === undefined) return null;
    found.push({ weight, l1: factors?.l1 ?? 0, l2: factors?.l2 ?? 0, times: 1 });
  }
  return found;
}
