/** The layers of a whole model, and what a descent over all of them does not keep. */

import * as tf from "@tensorflow/tfjs";
import { isRecord } from "../../arguments.js";
import { ConvexError } from "../../errors.js";
import { layersOf } from "../read/graph.js";
import { refuseState } from "../read/trunk.js";

/** @throws ConvexError "model/layer" naming a layer whose state rows that come before would change. */
export function refuseStates(model: tf.LayersModel): void {
  for (const layer of layersOf(model)) refuseState(layer);
}

/** The layers that are trained and have regularizers for which TensorFlow.js 4.22 charges nothing: recurrent ones. */
export function unchargedLayers(model: tf.LayersModel): tf.layers.Layer[] {
  return layersOf(model).filter(
    (layer) =>
      layer.trainableWeights.length > 0 &&
      hasRegularizer(layer.getConfig()) &&
      tf.tidy(() => layer.calculateLosses().length === 0),
  );
}

/** Of a layer's configuration, or of those within it. */
function hasRegularizer(config: unknown): boolean {
  if (!isRecord(config)) return false;
  return Object.entries(config).some(
    ([name, value]) => (value ?? null) !== null && (name.endsWith("Regularizer") || hasRegularizer(value)),
  );
}

/**
 * TensorFlow.js 4.22 predicts as if channels were last, whatever the axis, and its gradient throws. `below`: whether a layer before the
 * model is trained.
 *
 * @throws ConvexError "model/layer" naming a layer of batch normalisation over another axis that is trained, or stands after one that is.
 */
export function refuseNormalizedAxes(model: tf.LayersModel, below = false): void {
  for (const layer of model.layers) {
    const after = below || isTrainedBefore(layer);
    if (layer instanceof tf.LayersModel) refuseNormalizedAxes(layer, after);
    if (layer.getClassName() !== "BatchNormalization" || !(after || layer.trainableWeights.length > 0)) continue;
    const { axis } = layer.getConfig() as { axis: number };
    const rank = [layer.outputShape].flat(2).length;
    if (axis === -1 || axis === rank - 1) continue;
    throw new ConvexError(
      "model/layer",
      `fit: expected batch normalisation over the last axis, the one that TensorFlow.js predicts and trains right, got axis ${axis} in layer ` +
        `"${layer.name}". Put channels last, or leave it out.`,
    );
  }
}

/** Whether a layer whose outputs a layer sees, from near or far, is trained. */
function isTrainedBefore({ inboundNodes }: tf.layers.Layer, seen = new Set<tf.layers.Layer>()): boolean {
  return inboundNodes
    .flatMap(({ inboundLayers }) => inboundLayers)
    .some((layer) => {
      if (seen.has(layer)) return false;
      seen.add(layer);
      return layer.trainableWeights.length > 0 || isTrainedBefore(layer, seen);
    });
}
