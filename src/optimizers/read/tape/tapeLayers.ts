/** The layer classes that the host has operations for, as the model predicts. A new one is an entry here. */

import type * as tf from "@tensorflow/tfjs";
import {
  activation,
  activationWith,
  averagePooling,
  contraction,
  convolution,
  dense,
  embedding,
  type Factor,
  maxPooling,
  multiplication,
  normalization,
  parametric,
  range,
  selection,
  softmax,
  sum,
  transposedConvolution,
} from "../../../convex/tape/index.js";
import { joined } from "./joined.js";
import { bidirectional, recurrent } from "./recurrentLayers.js";
import { broadcast, type Config, kept, outputShape, placesOfInput, product, windowsOf } from "./shapes.js";
import type { Place, TapeWriter } from "./tapeWriter.js";

/** Null: not in this form. `frames`: the first axes of the input, each of whose places the layer goes through alone. */
type Write = (
  writer: TapeWriter,
  layer: tf.layers.Layer,
  inputs: readonly Place[],
  config: Config,
  frames?: readonly number[],
) => Place | null;

const same: Write = (_, __, [input]) => input;

const reshaped: Write = (_, layer, [input], __, frames) => ({ ...input, shape: framedShape(layer, input, frames) });

const CLASSES: Readonly<Record<string, Write>> = {
  Dense: (writer, layer, [input], config) => activated(writer, affine(writer, layer, input), config.activation),
  Conv1D: convolved,
  Conv2D: convolved,
  Conv2DTranspose: convolvedBack,
  MaxPooling1D: pooled(maxPooling),
  MaxPooling2D: pooled(maxPooling),
  AveragePooling1D: pooled(averagePooling),
  AveragePooling2D: pooled(averagePooling),
  GlobalMaxPooling1D: pooled(maxPooling),
  GlobalMaxPooling2D: pooled(maxPooling),
  GlobalAveragePooling1D: pooled(averagePooling),
  GlobalAveragePooling2D: pooled(averagePooling),
  BatchNormalization: normalized,
  Activation: (writer, _, [input], config) => activated(writer, input, config.activation),
  ReLU: (writer, _, [input], { maxValue }) =>
    maxValue == null ? activated(writer, input, "relu") : activatedWith(writer, input, "ReLU", maxValue),
  LeakyReLU: (writer, _, [input], { alpha }) => activatedWith(writer, input, "LeakyReLU", alpha),
  ThresholdedReLU: (writer, _, [input], { theta }) => activatedWith(writer, input, "ThresholdedReLU", theta),
  PReLU: parametrized,
  Softmax: (writer, _, [input], { axis = -1 }) =>
    axis === -1 || axis === input.shape.length ? activated(writer, input, "softmax") : null,
  ELU: (writer, layer, [input]) =>
    (layer as unknown as { alpha: number }).alpha === 1 ? activated(writer, input, "elu") : null,
  Add: (writer, _, inputs) => added(writer, inputs),
  Average: (writer, _, inputs) => added(writer, inputs, 1 / inputs.length),
  Multiply: (writer, _, inputs) => {
    const [{ shape }] = inputs;
    return areAlike(inputs) ? writer.add(multiplication(product(shape), inputs.length), inputs, shape, []) : null;
  },
  Dot: contracted,
  Concatenate: (writer, layer, inputs, { axis }) => {
    const { length } = inputs[0].shape;
    return axis === -1 || axis === length ? joined(writer, inputs, outputShape(layer, inputs)) : null;
  },
  Flatten: (writer, layer, inputs, config, frames) =>
    config.dataFormat === "channelsFirst" ? null : reshaped(writer, layer, inputs, config, frames),
  Reshape: reshaped,
  Permute: (writer, layer, [input], { dims }) => {
    const axes = dims as number[]; // the first one is 1
    return moved(writer, layer, input, (place) => {
      const from = place.slice();
      axes.forEach((axis, k) => {
        from[axis - 1] = place[k];
      });
      return from;
    });
  },
  UpSampling2D: (writer, layer, [input], { size, interpolation, dataFormat }) => {
    if (interpolation !== "nearest" || dataFormat === "channelsFirst") return null;
    const [high, wide] = size as number[];
    return moved(writer, layer, input, ([i, j, c]) => [Math.floor(i / high), Math.floor(j / wide), c]);
  },
  ZeroPadding2D: (writer, layer, [input], { padding, dataFormat }) => {
    if (dataFormat === "channelsFirst") return null;
    const [[top], [left]] = padding as number[][];
    return moved(writer, layer, input, ([i, j, c]) => [i - top, j - left, c]);
  },
  Cropping2D: (writer, layer, [input], { cropping, dataFormat }) => {
    if (dataFormat === "channelsFirst") return null;
    const [[top], [left]] = cropping as number[][];
    return moved(writer, layer, input, ([i, j, c]) => [i + top, j + left, c]);
  },
  Dropout: same,
  SpatialDropout1D: same,
  AlphaDropout: same,
  GaussianDropout: same,
  GaussianNoise: same,
  Embedding: embedded,
  RepeatVector: (writer, _, [input], { n }) => {
    const inputs = Array.from({ length: n as number }, () => input);
    return joined(writer, inputs, [inputs.length, ...input.shape]);
  },
  SimpleRNN: recurrent,
  LSTM: recurrent,
  GRU: recurrent,
  ConvLSTM2D: recurrent,
  Bidirectional: bidirectional,
  TimeDistributed: distributed,
};

/** Those that may go through frames. */
const FRAMED: ReadonlySet<string> = new Set([
  ...["Dense", "Conv1D", "Conv2D", "MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"],
  ...["GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D"],
  ...["Activation", "ReLU", "LeakyReLU", "ELU", "Flatten", "Dropout", "GaussianDropout", "GaussianNoise"],
]);

/** What the layers of a model add to a tape. */
export const partOfLayer = {
  any(writer: TapeWriter, layer: tf.layers.Layer, inputs: readonly Place[]): Place | null {
    const name = layer.getClassName();
    return Object.hasOwn(CLASSES, name) ? CLASSES[name](writer, layer, inputs, layer.getConfig()) : null;
  },
  affine,
  sum: added,
  behind,
  /** Inputs that stand one behind the other in the rows. */
  inputs(writer: TapeWriter, shapes: readonly (readonly number[])[]): Place[] {
    const rows = { index: 0, shape: [] };
    if (shapes.length === 1) return [{ ...rows, shape: shapes[0] }];
    let from = 0;
    return shapes.map((shape) => {
      from += product(shape);
      return writer.add(range(from - product(shape), product(shape)), [rows], shape, []);
    });
  },
};

/** A dense layer without its activation; where there are several axes, over the last one. */
function affine(writer: TapeWriter, layer: tf.layers.Layer, input: Place): Place {
  const { units } = layer.getConfig() as { units: number };
  const [kernel, bias = null] = layer.weights.map((weight) => writer.weight(weight));
  const places = input.shape.slice(0, -1);
  const d = input.shape[places.length];
  return writer.add(dense(d, units, kernel, bias, product(places)), [input], [...places, units], kept(kernel, bias));
}

function embedded(
  writer: TapeWriter,
  layer: tf.layers.Layer,
  [input]: readonly Place[],
  { maskZero, outputDim }: Config,
): Place | null {
  if (maskZero) return null;
  const table = writer.weight(layer.weights[0]);
  const units = outputDim as number;
  return writer.add(embedding(product(input.shape), units, table), [input], [...input.shape, units], [table]);
}

/** A layer at each time alone. */
function distributed(writer: TapeWriter, layer: tf.layers.Layer, inputs: readonly Place[]): Place | null {
  const { layer: inner } = layer as unknown as { layer: tf.layers.Layer };
  const name = inner.getClassName();
  if (!FRAMED.has(name)) return null;
  return CLASSES[name](writer, inner, inputs, inner.getConfig(), inputs[0].shape.slice(0, 1));
}

function added(writer: TapeWriter, inputs: readonly Place[], factor = 1): Place | null {
  const [{ shape }] = inputs;
  return areAlike(inputs) ? writer.add(sum(product(shape), inputs.length, factor), inputs, shape, []) : null;
}

function areAlike([{ shape }, ...others]: readonly Place[]): boolean {
  return others.every((each) => each.shape.join() === shape.join());
}

/** Inner products of vectors, or of those of two matrices along an axis of each; axis 0 is that of the rows. */
function contracted(
  writer: TapeWriter,
  _: tf.layers.Layer,
  inputs: readonly Place[],
  { axes, normalize }: Config,
): Place | null {
  const ranks = inputs.map(({ shape }) => shape.length);
  if (normalize || inputs.length !== 2 || ranks[0] !== ranks[1] || ranks[0] > 2) return null;
  const factors: Factor[] = [];
  for (const [k, { shape }] of inputs.entries()) {
    const given = Array.isArray(axes) ? axes[k] : (axes as number);
    const axis = (given < 0 ? given + ranks[k] + 1 : given) - 1;
    if (axis < 0) return null;
    const other = shape[1 - axis] ?? 1;
    const [apart, stride] = axis === 0 ? [1, other] : [shape[1], 1];
    factors.push({ count: other, length: shape[axis], apart, stride });
  }
  const counts = factors.map(({ count }) => count);
  return writer.add(contraction(factors[0], factors[1]), inputs, ranks[0] === 1 ? [1] : counts, []);
}

/** Entries of the input elsewhere: which one each place of the output has. */
function moved(
  writer: TapeWriter,
  layer: tf.layers.Layer,
  input: Place,
  from: (place: readonly number[]) => readonly number[],
): Place {
  const shape = outputShape(layer, [input]);
  return writer.add(selection(placesOfInput(input.shape, shape, from)), [input], shape, []);
}

/** All entries, one behind the other. */
function behind(writer: TapeWriter, inputs: readonly Place[]): Place {
  const flat = inputs.map(({ index, shape }) => ({ index, shape: [product(shape)] }));
  return joined(writer, flat, [flat.reduce((all, { shape }) => all + shape[0], 0)]);
}

function activated(writer: TapeWriter, input: Place, name: unknown): Place | null {
  if (name === "linear" || name === undefined || name === null) return input;
  if (name === "softmax") {
    const classes = input.shape[input.shape.length - 1];
    return writer.add(softmax(product(input.shape) / classes, classes), [input], input.shape, []);
  }
  const make = activation(String(name), product(input.shape));
  return make && writer.add(make, [input], input.shape, []);
}

function activatedWith(
  writer: TapeWriter,
  input: Place,
  name: Parameters<typeof activationWith>[0],
  given: unknown,
): Place | null {
  return writer.add(activationWith(name, product(input.shape), given as number), [input], input.shape, []);
}

function parametrized(writer: TapeWriter, layer: tf.layers.Layer, [input]: readonly Place[]): Place | null {
  const [weight] = layer.weights;
  const factor = writer.weight(weight);
  return writer.add(parametric(factor, broadcast(weight.shape as number[], input.shape)), [input], input.shape, [
    factor,
  ]);
}

function convolved(
  writer: TapeWriter,
  layer: tf.layers.Layer,
  [input]: readonly Place[],
  config: Config,
  frames: readonly number[] = [],
): Place | null {
  const shape = framedShape(layer, input, frames);
  const axes = input.shape.length - frames.length - 1;
  const windows = windowsOf(config.kernelSize, config.strides, config.dilationRate, config, input.shape, shape, axes);
  if (windows === null) return null;
  const [kernel, bias = null] = layer.weights.map((weight) => writer.weight(weight));
  const [channels, filters] = [input.shape, shape].map((sizes) => sizes[sizes.length - 1]);
  const made = writer.add(convolution(windows, channels, filters, kernel, bias), [input], shape, kept(kernel, bias));
  return activated(writer, made, config.activation);
}

function convolvedBack(
  writer: TapeWriter,
  layer: tf.layers.Layer,
  [input]: readonly Place[],
  config: Config,
): Place | null {
  const shape = outputShape(layer, [input]);
  // Of the convolution from its output to its input.
  const windows = windowsOf(config.kernelSize, config.strides, 1, config, shape, input.shape);
  if (windows === null) return null;
  const [kernel, bias = null] = layer.weights.map((weight) => writer.weight(weight));
  const [filters, channels] = [input.shape[2], shape[2]];
  const made = transposedConvolution(windows, channels, filters, kernel, bias);
  return activated(writer, writer.add(made, [input], shape, kept(kernel, bias)), config.activation);
}

function pooled(make: typeof maxPooling): Write {
  return (writer, layer, [input], config, frames = []) => {
    const shape = framedShape(layer, input, frames);
    const inner = input.shape.slice(frames.length, -1);
    const global = layer.getClassName().startsWith("Global");
    const one = [...frames, ...inner.map(() => 1), ...shape.slice(-1)];
    const windows = global
      ? windowsOf(inner, 1, 1, { ...config, padding: "valid" }, input.shape, one, inner.length)
      : windowsOf(config.poolSize, config.strides ?? config.poolSize, 1, config, input.shape, shape, inner.length);
    return windows && writer.add(make(windows, input.shape[input.shape.length - 1]), [input], shape, []);
  };
}

function normalized(
  writer: TapeWriter,
  layer: tf.layers.Layer,
  [input]: readonly Place[],
  { axis, scale, center, epsilon }: Config,
): Place | null {
  if (axis !== -1 && axis !== input.shape.length) return null;
  const places = layer.weights.map((weight) => writer.weight(weight));
  const gamma = scale === false ? null : (places.shift() ?? null);
  const beta = center === false ? null : (places.shift() ?? null);
  // Those that are trained come first, as do those that are frozen with them.
  const [mean, variance] = places;
  const how = { gamma, beta, mean, variance, epsilon: epsilon as number };
  return writer.add(normalization(product(input.shape), how), [input], input.shape, kept(gamma, beta));
}

/** What a layer makes of each frame, behind the axes of these. */
function framedShape(layer: tf.layers.Layer, input: Place, frames: readonly number[] = []): number[] {
  return [...frames, ...outputShape(layer, [{ ...input, shape: input.shape.slice(frames.length) }])];
}
