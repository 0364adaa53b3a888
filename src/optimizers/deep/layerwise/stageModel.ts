/** The two-layer model of a stage: copies of a hidden layer, of what joins its places, and of the read-out. */

import * as tf from "@tensorflow/tfjs";
import { givenLoss, givenMetrics } from "../../read/loss.js";
import { ownOptimizer, rebuilt } from "../../write/width.js";
import type { Block } from "./chain.js";

/** A stage: its model, and which of its layers are copies of which. */
export interface StageModel {
  /** Without weights of its own until it is fitted. */
  readonly model: tf.Sequential;
  /** Layers of the whole model whose weights the stage finds, beside their copies. */
  readonly hidden: readonly (readonly [own: tf.layers.Layer, copy: tf.layers.Layer])[];
  readonly readOut: readonly [own: tf.layers.Layer, copy: tf.layers.Layer];
  /** Whether the copy computes what the model's own layers do up to the next block: not where maxima are means. */
  readonly same: boolean;
  readonly block: Block;
}

/**
 * The hidden layer of a block under a read-out of its own: the auxiliary problem of Belilovsky et al. 2019. Maxima of places, which no
 * program has, are means in it. `decay`: what is charged for both kernels where the layers charge nothing.
 */
export function stageModel(model: tf.LayersModel, block: Block, end: Block, decay: number | null): StageModel {
  let same = true;
  const charged = (config: tf.serialization.ConfigDict) => {
    if (decay !== null) config.kernelRegularizer = { className: "L1L2", config: { l1: 0, l2: decay } };
  };
  const copies = new Map<tf.layers.Layer, tf.layers.Layer>();
  const layers: tf.layers.Layer[] = [];
  const copied = (layer: tf.layers.Layer, change: (config: tf.serialization.ConfigDict) => void) => {
    const copy = rebuilt(layer, (_, config) => change(config));
    copies.set(layer, copy);
    layers.push(copy);
  };
  for (const [k, { layer, inputShape }] of block.entries()) {
    const mean = meanInPlaceOf(layer);
    if (mean !== null) {
      same = false;
      layers.push(mean);
      continue;
    }
    copied(layer, (config) => {
      if (k === 0) config.batchInputShape = [...inputShape];
      if (k === 0) charged(config);
    });
  }
  const { outputShape } = block[block.length - 1];
  if (outputShape.length > 2) layers.push(tf.layers.flatten());
  for (const [k, { layer }] of end.entries()) copied(layer, (config) => (k === 0 ? charged(config) : undefined));
  const pairOf = (layer: tf.layers.Layer) => [layer, copies.get(layer) as tf.layers.Layer] as const;
  return {
    model: compiled(model, layers),
    hidden: block.flatMap(({ layer }) => (layer.weights.length > 0 ? [pairOf(layer)] : [])),
    readOut: pairOf(end[0].layer),
    same,
    block,
  };
}

/** The read-out alone, on what the last block computes. */
export function readOutModel(model: tf.LayersModel, end: Block, decay: number | null): StageModel {
  const layers = end.map(({ layer, inputShape }, k) =>
    rebuilt(layer, (_, config) => {
      if (k > 0) return;
      config.batchInputShape = [...inputShape];
      if (decay !== null) config.kernelRegularizer = { className: "L1L2", config: { l1: 0, l2: decay } };
    }),
  );
  return { model: compiled(model, layers), hidden: [], readOut: [end[0].layer, layers[0]], same: true, block: end };
}

function compiled(model: tf.LayersModel, layers: tf.layers.Layer[]): tf.Sequential {
  const stage = tf.sequential({ layers });
  stage.compile({ optimizer: tf.train.sgd(0.01), loss: givenLoss(model) as string, metrics: givenMetrics(model) });
  return ownOptimizer(stage);
}

/** Null for what is no maximum over places. */
function meanInPlaceOf(layer: tf.layers.Layer): tf.layers.Layer | null {
  const { poolSize, strides, padding, dataFormat } = layer.getConfig() as {
    poolSize: number;
    strides: number;
    padding: "valid" | "same";
    dataFormat: "channelsLast" | "channelsFirst";
  };
  const windows = { poolSize, strides, padding };
  switch (layer.getClassName()) {
    case "MaxPooling1D":
      return tf.layers.averagePooling1d(windows);
    case "MaxPooling2D":
      return tf.layers.averagePooling2d({ ...windows, dataFormat });
    case "GlobalMaxPooling1D":
      return tf.layers.globalAveragePooling1d({});
    case "GlobalMaxPooling2D":
      return tf.layers.globalAveragePooling2d({ dataFormat });
    default:
      return null;
  }
}
