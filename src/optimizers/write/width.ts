/** Which model takes the weights: the given one, or a new one of the width that is needed. */

import * as tf from "@tensorflow/tfjs";
import { ConvexError } from "../../errors.js";
import type { NetworkSpec } from "../read/model.js";

/** L2 factors that a new model is to carry in its layers; 0 for none. */
export interface LayerDecay {
  readonly hidden: number;
  readonly hiddenBias: number;
  readonly output: number;
  readonly outputBias: number;
}

/**
 * Units of the model that takes the weights.
 *
 * @throws ConvexError "model/units" when the width is to be kept and a network that can't be narrowed needs more; it says how many.
 */
export function unitsFor(
  { units, convolution }: Pick<NetworkSpec, "units" | "convolution">,
  needed: number,
  width: "keep" | "resize",
): number {
  const noun = convolution === null ? "units" : "filters";
  if (width === "resize") return needed;
  if (needed <= units) return units;
  throw new ConvexError(
    "model/units",
    `fit: expected a first layer of at least ${needed} ${noun}, which the optimum needs, got ${units}. ` +
      `Build it with ${noun}: ${needed}, raise the regularization, or set width: "resize" to get a model of that width.`,
  );
}

/**
 * A new model of the same layers and compile arguments, `units` wide, with other regularizers where they are given. Without
 * an optimizer it gets one of the same kind and settings. The caller disposes the model, which disposes its optimizer.
 */
export function resized(
  model: tf.Sequential,
  units: number,
  decay: LayerDecay | null = null,
  optimizer: string | null = null,
): tf.Sequential {
  const layers = model.layers.filter((layer) => layer.getClassName() !== "InputLayer");
  const wider = tf.sequential();
  layers.forEach((layer, k) => {
    const config: tf.serialization.ConfigDict = { ...layer.getConfig() };
    const hidden = k === 0;
    if (hidden) {
      config["units" in config ? "units" : "filters"] = units;
      config.batchInputShape = layer.batchInputShape ?? [null, layer.weights[0].shape[0]];
    }
    if (decay !== null && (hidden || k === layers.length - 1)) {
      config.kernelRegularizer = l2(hidden ? decay.hidden : decay.output);
      config.biasRegularizer = l2(hidden ? decay.hiddenBias : decay.outputBias);
    }
    const kind = layer.constructor as unknown as tf.serialization.SerializableConstructor<tf.layers.Layer>;
    wider.add(kind.fromConfig(kind, config));
  });
  wider.compile({
    optimizer: optimizer ?? freshOptimizer(model),
    loss: model.loss,
    metrics: model.metrics as string[],
  });
  return ownOptimizer(wider);
}

/** Lets the model dispose its optimizer, as tfjs does only with those that it made from a name. */
export function ownOptimizer(model: tf.Sequential): tf.Sequential {
  (model as unknown as { isOptimizerOwned: boolean }).isOptimizerOwned = true;
  return model;
}

/** An optimizer of the same kind and settings, without the state that belongs to another model's weights. */
function freshOptimizer(model: tf.Sequential): tf.Optimizer {
  const kind = model.optimizer.constructor as unknown as tf.serialization.SerializableConstructor<tf.Optimizer>;
  return kind.fromConfig(kind, model.optimizer.getConfig());
}

function l2(factor: number): tf.serialization.ConfigDict | null {
  return factor > 0 ? { className: "L1L2", config: { l1: 0, l2: factor } } : null;
}
