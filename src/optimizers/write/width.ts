/** Which model takes the weights: the given one, or a new one of the width that is needed. */

import * as tf from "@tensorflow/tfjs";
import { ConvexError } from "../../errors.js";
import { registerLayers } from "../../layers/index.js";
import { anatomyOf } from "../read/anatomy.js";
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
export function resized<M extends tf.LayersModel>(
  model: M,
  units: number,
  decay: LayerDecay | null = null,
  optimizer: string | null = null,
): M {
  const { head } = anatomyOf(model, "read");
  const wider = rebuilt(model, (layer, config) => {
    if (layer === head.hidden) config["units" in config ? "units" : "filters"] = units;
    if (decay === null) return;
    if (layer === head.hidden) charge(config, decay.hidden, decay.hiddenBias);
    if (layer === head.output) charge(config, decay.output, decay.outputBias);
  }) as M;
  return recompiled(model, wider, optimizer);
}

/** The same where the hidden layer is known, with all regularizers that there are. The caller disposes the model. */
export function widened<M extends tf.LayersModel>(model: M, hidden: tf.layers.Layer, units: number): M {
  const wider = rebuilt(model, (layer, config) => {
    if (layer === hidden) config["units" in config ? "units" : "filters"] = units;
  }) as M;
  return recompiled(model, wider, null);
}

function recompiled<M extends tf.LayersModel>(model: M, wider: M, optimizer: string | null): M {
  carryOver(model, wider);
  wider.compile({
    optimizer: optimizer ?? freshOptimizer(model),
    loss: model.loss,
    metrics: model.metrics as string[],
  });
  return ownOptimizer(wider);
}

type Config = tf.serialization.ConfigDict;
type LayerClass = tf.serialization.SerializableConstructor<tf.layers.Layer>;

/** A layer of the same kind and name, or a model with all its layers, each from its config as it was changed. */
export function rebuilt(
  layer: tf.layers.Layer,
  change: (layer: tf.layers.Layer, config: Config) => void,
): tf.layers.Layer {
  const kind = layer.constructor as unknown as LayerClass;
  if (layer instanceof tf.Sequential) {
    const { name } = layer;
    return tf.sequential({ name, layers: layer.layers.map((inner) => rebuilt(inner, change)) });
  }
  const config: Config = { ...layer.getConfig() };
  if (!(layer instanceof tf.LayersModel)) {
    change(layer, config);
    return kind.fromConfig(kind, config);
  }
  // A graph is put together by tfjs, which has to know this library's own layers for it.
  registerLayers();
  changeWithin(layer, config, change);
  return kind.fromConfig(kind, config);
}

/** Changes the configs of the layers in that of a model. That of a tf.Sequential may be the list of its layers itself. */
function changeWithin(
  model: tf.LayersModel,
  config: Config,
  change: (layer: tf.layers.Layer, config: Config) => void,
): void {
  const entries = (Array.isArray(config) ? config : config.layers) as unknown as { config: Config }[];
  for (const entry of entries) {
    const inner = model.layers.find(({ name }) => name === entry.config.name);
    if (inner === undefined) continue;
    entry.config = { ...entry.config };
    if (inner instanceof tf.LayersModel) changeWithin(inner, entry.config, change);
    else change(inner, entry.config);
  }
}

function charge(config: Config, kernel: number, bias: number): void {
  config.kernelRegularizer = l2(kernel);
  config.biasRegularizer = l2(bias);
}

/** Gives layers of the same names the weights that fit them, those of a trunk among them, and freezes what was frozen. */
function carryOver(from: tf.LayersModel, to: tf.LayersModel): void {
  for (const layer of from.layers) {
    const copy = to.layers.find(({ name }) => name === layer.name);
    if (copy === undefined) continue;
    if (layer instanceof tf.LayersModel) {
      carryOver(layer, copy as tf.LayersModel);
    } else {
      // Whether a model froze them or their layer did: what counts is what is said of the weights.
      weightsOf(copy).forEach((weight, k) => {
        weight.trainable = weightsOf(layer)[k].trainable;
      });
      copy.weights.forEach((weight, k) => {
        const own = layer.weights[k];
        if (String(own.shape) === String(weight.shape)) weight.write(own.read());
      });
    }
  }
}

function weightsOf(layer: tf.layers.Layer): { trainable: boolean }[] {
  return (layer as unknown as { _trainableWeights: { trainable: boolean }[] })._trainableWeights;
}

/** Lets the model dispose its optimizer, as tfjs does only with those that it made from a name. */
export function ownOptimizer<M extends tf.LayersModel>(model: M): M {
  (model as unknown as { isOptimizerOwned: boolean }).isOptimizerOwned = true;
  return model;
}

/** An optimizer of the same kind and settings, without the state that belongs to another model's weights. */
function freshOptimizer(model: tf.LayersModel): tf.Optimizer {
  const kind = model.optimizer.constructor as unknown as tf.serialization.SerializableConstructor<tf.Optimizer>;
  return kind.fromConfig(kind, model.optimizer.getConfig());
}

function l2(factor: number): tf.serialization.ConfigDict | null {
  return factor > 0 ? { className: "L1L2", config: { l1: 0, l2: factor } } : null;
}
