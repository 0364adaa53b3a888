/** The layer classes that the host has operations for, as the model predicts. A new one is an entry here. */

import type * as tf from "@tensorflow/tfjs";
import {
  activation,
  activationWith,
  averagePooling,
  concatenation,
  convolution,
  dense,
  maxPooling,
  normalization,
  parametric,
  range,
  softmax,
  sum,
  type Windows,
} from "../../../convex/tape/index.js";
import type { Place, TapeWriter } from "./tapeWriter.js";

type Config = Readonly<Record<string, unknown>>;
/** A layer that does to each place of a sample what another one does to a sample. */
interface Wrapper {
  readonly layer: tf.layers.Layer;
}

/** Null: not in this form. */
type Write = (writer: TapeWriter, layer: tf.layers.Layer, inputs: readonly Place[], config: Config) => Place | null;

const same: Write = (_, __, [input]) => input;

const reshaped: Write = (_, layer, [input]) => ({ ...input, shape: outputShape(layer, [input]) });

const CLASSES: Readonly<Record<string, Write>> = {
  Dense: (writer, layer, [input], config) => {
    const made = affine(writer, layer, input);
    return made && activated(writer, made, config.activation);
  },
  Conv1D: convolved,
  Conv2D: convolved,
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
  Concatenate: (writer, _, inputs) => (inputs.every(({ shape }) => shape.length === 1) ? joined(writer, inputs) : null),
  TimeDistributed: (writer, layer, inputs) => {
    const { layer: inner } = layer as unknown as Wrapper;
    return inner.getClassName() === "Dense" ? partOfLayer.any(writer, inner, inputs) : null;
  },
  Flatten: (writer, layer, inputs, config) =>
    config.dataFormat === "channelsFirst" ? null : reshaped(writer, layer, inputs, config),
  Reshape: reshaped,
  Dropout: same,
  SpatialDropout1D: same,
  AlphaDropout: same,
  GaussianDropout: same,
  GaussianNoise: same,
};

/** What the layers of a model add to a tape. */
export const partOfLayer = {
  any(writer: TapeWriter, layer: tf.layers.Layer, inputs: readonly Place[]): Place | null {
    const name = layer.getClassName();
    return Object.hasOwn(CLASSES, name) ? CLASSES[name](writer, layer, inputs, layer.getConfig()) : null;
  },
  affine,
  sum: added,
  joined,
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

/** A dense layer without its activation. */
function affine(writer: TapeWriter, layer: tf.layers.Layer, input: Place): Place | null {
  const { units } = layer.getConfig() as { units: number };
  const [kernel, bias = null] = layer.weights.map((weight) => writer.weight(weight));
  const inputs = input.shape[input.shape.length - 1];
  const outer = input.shape.slice(0, -1);
  if (outer.length === 0) return writer.add(dense(inputs, units, kernel, bias), [input], [units], kept(kernel, bias));
  // At each place: a convolution of one entry.
  const windows = windowsOf(1, 1, 1, {}, [product(outer), inputs], [product(outer), units]);
  return (
    windows &&
    writer.add(convolution(windows, inputs, units, kernel, bias), [input], [...outer, units], kept(kernel, bias))
  );
}

function added(writer: TapeWriter, inputs: readonly Place[]): Place | null {
  const [{ shape }] = inputs;
  const alike = inputs.every((each) => each.shape.join() === shape.join());
  return alike ? writer.add(sum(product(shape), inputs.length), inputs, shape, []) : null;
}

/** All features, one behind the other. */
function joined(writer: TapeWriter, inputs: readonly Place[]): Place {
  const sizes = inputs.map(({ shape }) => product(shape));
  return writer.add(concatenation(sizes), inputs, [sizes.reduce((all, size) => all + size, 0)], []);
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

/** For each entry of a sample its place among those of a tensor that is stretched along axes of length 1. */
function broadcast(from: readonly number[], to: readonly number[]): Int32Array {
  return Int32Array.from({ length: product(to) }, (_, k) => {
    let [at, stride, left] = [0, 1, k];
    for (let axis = to.length - 1; axis >= 0; axis--) {
      const place = left % to[axis];
      left = (left - place) / to[axis];
      if (from[axis] !== 1) at += place * stride;
      stride *= from[axis];
    }
    return at;
  });
}

function convolved(
  writer: TapeWriter,
  layer: tf.layers.Layer,
  [input]: readonly Place[],
  config: Config,
): Place | null {
  const shape = outputShape(layer, [input]);
  const windows = windowsOf(config.kernelSize, config.strides, config.dilationRate, config, input.shape, shape);
  if (windows === null) return null;
  const [kernel, bias = null] = layer.weights.map((weight) => writer.weight(weight));
  const [channels, filters] = [input.shape, shape].map((sizes) => sizes[sizes.length - 1]);
  const made = writer.add(convolution(windows, channels, filters, kernel, bias), [input], shape, kept(kernel, bias));
  return activated(writer, made, config.activation);
}

function pooled(make: typeof maxPooling): Write {
  return (writer, layer, [input], config) => {
    const shape = outputShape(layer, [input]);
    const inner = input.shape.slice(0, -1);
    const global = layer.getClassName().startsWith("Global");
    const windows = global
      ? windowsOf(inner, 1, 1, { ...config, padding: "valid" }, input.shape, [...inner.map(() => 1), ...shape])
      : windowsOf(config.poolSize, config.strides ?? config.poolSize, 1, config, input.shape, shape);
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

/** Null for what is not of one or two axes with channels last, padded "same" or not at all. */
function windowsOf(
  kernel: unknown,
  strides: unknown,
  dilation: unknown,
  { padding = "valid", dataFormat }: Config,
  input: readonly number[],
  output: readonly number[],
): Windows | null {
  const axes = input.length - 1;
  if (dataFormat === "channelsFirst" || axes < 1 || axes > 2) return null;
  if (padding !== "valid" && padding !== "same") return null;
  const pair = (given: unknown, one: number): [number, number] => {
    const sizes = [given ?? one].flat() as number[];
    return axes === 1 ? [1, sizes[0]] : [sizes[0], sizes[1] ?? sizes[0]];
  };
  const [height, width] = axes === 1 ? [1, input[0]] : input;
  const [outHeight, outWidth] = axes === 1 ? [1, output[0]] : output;
  return {
    ...{ height, width, outHeight, outWidth, padding },
    ...{ kernel: pair(kernel, 1), strides: pair(strides, 1), dilation: pair(dilation, 1) },
  };
}

/** Of a sample. */
function outputShape(layer: tf.layers.Layer, inputs: readonly Place[]): number[] {
  const shapes = inputs.map(({ shape }) => [null, ...shape]);
  return (layer.computeOutputShape(shapes.length === 1 ? shapes[0] : shapes) as number[]).slice(1);
}

function kept<T>(...given: readonly (T | null)[]): T[] {
  return given.filter((each) => each !== null);
}

function product(shape: readonly number[]): number {
  return shape.reduce((all, size) => all * size, 1);
}
