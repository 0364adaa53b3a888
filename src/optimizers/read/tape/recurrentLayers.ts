/** Recurrent layers as steps of a tape, as the model predicts, from states of zero. */

import * as tf from "@tensorflow/tfjs";
import {
  convolution,
  dense,
  entryActivation,
  gatedCell,
  type Make,
  memoryCell,
  type Order,
  recurrence,
  simpleCell,
  sum,
  type Units,
  type WeightPlace,
} from "../../../convex/tape/index.js";
import { layersOf } from "../graph.js";
import { joined } from "./joined.js";
import { type Config, kept, outputShape, product, windowsOf } from "./shapes.js";
import type { Place, TapeWriter } from "./tapeWriter.js";

/** The units of each class, and how many numbers each of them is given. */
const CELLS = {
  SimpleRNN: { make: simpleCell, numbers: 1 },
  GRU: { make: gatedCell, numbers: 3 },
  LSTM: { make: memoryCell, numbers: 4 },
  ConvLSTM2D: { make: memoryCell, numbers: 4 },
};

/** The layers of a model, and of models within, that go through times, each with what came of the one before. */
export function recurrentLayersOf(model: tf.LayersModel): tf.layers.Layer[] {
  return layersOf(model).filter((layer) => layer instanceof tf.RNN || layer.getClassName() === "Bidirectional");
}

/** Products with the layer's kernel, of all times, and with the recurrent one, of a turn. */
interface Products {
  readonly units: number;
  readonly places: number;
  readonly given: (features: number, kernel: WeightPlace, bias: WeightPlace | null) => Make;
  readonly before: Units["product"];
}

export function recurrent(
  writer: TapeWriter,
  layer: tf.layers.Layer,
  inputs: readonly Place[],
  config: Config,
): Place | null {
  return unrolled(writer, layer, inputs, config, config.returnSequences ? "inTurn" : "last");
}

/** A layer and its like that goes backwards, side by side or summed. */
export function bidirectional(
  writer: TapeWriter,
  layer: tf.layers.Layer,
  inputs: readonly Place[],
  { mergeMode }: Config,
): Place | null {
  const { forwardLayer, backwardLayer } = layer as unknown as Record<string, tf.layers.Layer>;
  const ways = [forwardLayer, backwardLayer].map((each) => {
    const config = each.getConfig();
    const back = each === backwardLayer;
    if ((config.goBackwards === true) !== back) return null;
    return unrolled(writer, each, inputs, config, !config.returnSequences ? "last" : back ? "inTime" : "inTurn");
  });
  const both = kept(...ways);
  if (both.length < ways.length) return null;
  const shape = outputShape(layer, inputs);
  if (mergeMode === "sum") return writer.add(sum(product(shape), both.length), both, shape, []);
  return mergeMode === "concat" ? joined(writer, both, shape) : null;
}

/** Null where a state is given or asked for, or stays from rows to rows. */
function unrolled(
  writer: TapeWriter,
  layer: tf.layers.Layer,
  inputs: readonly Place[],
  config: Config,
  outputs: Order["outputs"],
): Place | null {
  const name = layer.getClassName();
  if (!isCell(name) || inputs.length !== 1 || config.stateful || config.returnState) return null;
  const [input] = inputs;
  const activation = entryActivation(String(config.activation));
  const gate = entryActivation(String(config.recurrentActivation ?? "linear"));
  const products = productsOf(layer, input, config);
  if (activation === null || gate === null || products === null) return null;
  const { given, units, places, before } = products;
  const { make, numbers } = CELLS[name];
  const [kernel, own, bias = null] = layer.weights.map((weight) => writer.weight(weight));
  const times = input.shape[0];
  const features = numbers * units;
  const made = given(features, kernel, bias);
  const sums = writer.add(made, [input], [times, places * features], kept(kernel, bias));
  const cell = make({ units, places, activation, gate, recurrent: own, product: before });
  const order = { times, backwards: config.goBackwards === true, outputs };
  return writer.add(recurrence(cell, order), [sums], outputShape(layer, [input]), [own]);
}

function isCell(name: string): name is keyof typeof CELLS {
  return Object.hasOwn(CELLS, name);
}

/** Null for images that are not as `windowsOf` takes them. */
function productsOf(layer: tf.layers.Layer, { shape }: Place, config: Config): Products | null {
  const channels = shape[shape.length - 1];
  if (layer.getClassName() !== "ConvLSTM2D") {
    const units = config.units as number;
    return {
      ...{ units, places: 1 },
      given: (features, kernel, bias) => dense(channels, features, kernel, bias, shape[0]),
      before: (kernel, features) => dense(units, features, kernel, null),
    };
  }
  const { kernelSize, strides, dilationRate } = config;
  const units = config.filters as number;
  const image = (layer.computeOutputShape([null, ...shape]) as number[]).slice(-3);
  const windows = windowsOf(kernelSize, strides, dilationRate, config, shape, image, 2);
  const around = windowsOf(kernelSize, 1, 1, { padding: "same" }, image, image, 2);
  if (windows === null || around === null) return null;
  return {
    ...{ units, places: image[0] * image[1] },
    given: (features, kernel, bias) => convolution(windows, channels, features, kernel, bias),
    before: (kernel, features) => convolution(around, units, features, kernel, null),
  };
}
