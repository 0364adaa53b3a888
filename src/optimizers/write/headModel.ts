/** The head of a model as a model of its own, which a worker can be sent. */

import * as tf from "@tensorflow/tfjs";
import { registerLayers } from "../../layers/index.js";
import { anatomyOf, type Cut } from "../read/anatomy.js";
import type { Side } from "../read/graph.js";
import { givenLoss, givenMetrics } from "../read/loss.js";
import { ownOptimizer, rebuilt } from "./width.js";

/** A compiled model of the head's layers with their weights, a tf.Sequential unless ways part and meet. The caller disposes. */
export function headModel(model: tf.LayersModel, cut: Cut = "hidden"): tf.LayersModel {
  const { layers, headShape, side } = anatomyOf(model, "write", cut);
  if (side !== null) return compiledLike(model, besideModel(layers, side, headShape));
  const copies = layers.map((layer, k) =>
    rebuilt(layer, (_, config) => {
      if (k === 0) config.batchInputShape = [null, ...headShape];
    }),
  );
  const head = tf.sequential({ layers: copies });
  for (const [k, layer] of layers.entries()) {
    if (layer.weights.length > 0) copies[k].setWeights(layer.getWeights());
  }
  return compiledLike(model, head);
}

function compiledLike<M extends tf.LayersModel>(model: tf.LayersModel, head: M): M {
  head.compile({
    optimizer: tf.train.sgd(0.01),
    loss: givenLoss(model) as string,
    metrics: givenMetrics(model),
  });
  return ownOptimizer(head);
}

/** The head of a model with a linear layer beside the hidden one; `layers` are those of both ways and the sum. */
function besideModel(
  layers: readonly tf.layers.Layer[],
  { steps, sum, after }: Side,
  headShape: readonly (number | null)[],
): tf.LayersModel {
  registerLayers();
  const copies = new Map(layers.map((layer) => [layer, rebuilt(layer, () => undefined)]));
  const copy = (layer: tf.layers.Layer) => copies.get(layer) as tf.layers.Layer;
  const through = (from: tf.SymbolicTensor, list: readonly tf.layers.Layer[]) =>
    list.reduce((tensor, layer) => copy(layer).apply(tensor) as tf.SymbolicTensor, from);
  const straight = steps.map(({ layer }) => layer);
  const way = layers.filter((layer) => layer !== sum && !straight.includes(layer));
  const inputs = tf.input({ shape: [...headShape] });
  const branches = [through(inputs, way.slice(0, after)), through(inputs, straight)];
  const met = copy(sum).apply(branches) as tf.SymbolicTensor;
  const head = tf.model({ inputs, outputs: through(met, way.slice(after)) });
  for (const layer of layers) if (layer.weights.length > 0) copy(layer).setWeights(layer.getWeights());
  return head;
}

/** The layers of a model's head in the order in which a head model has their weights. */
function layersInOrder(model: tf.LayersModel, cut: Cut): readonly tf.layers.Layer[] {
  const { layers, side } = anatomyOf(model, "read", cut);
  if (side === null) return layers;
  const head = headModel(model, cut);
  try {
    return head.layers.flatMap(({ name }) => layers.filter((layer) => layer.name === name));
  } finally {
    head.dispose();
  }
}

/** Weights in the order of a head model's own -> the layers of a model's head. */
export function writeHead(model: tf.LayersModel, weights: readonly tf.Tensor[], cut: Cut = "hidden"): void {
  const layers = layersInOrder(model, cut);
  const own = [
    ...layers.flatMap((layer) => layer.trainableWeights),
    ...layers.flatMap((layer) => layer.nonTrainableWeights),
  ];
  own.forEach((weight, k) => {
    weight.write(weights[k]);
  });
}
