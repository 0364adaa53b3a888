/** Shapes of what layers see and make, of a sample. */

import type * as tf from "@tensorflow/tfjs";
import type { Windows } from "../../../convex/tape/index.js";
import type { Place } from "./tapeWriter.js";

/** A layer's configuration, as it is saved. */
export type Config = Readonly<Record<string, unknown>>;

/** For each entry of a sample its place among those of a tensor that is stretched along axes of length 1. */
export function broadcast(from: readonly number[], to: readonly number[]): Int32Array {
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

/**
 * Null for what is not of one or two axes with channels last, padded "same" or not at all. The axes before these are frames, all gone
 * through alike.
 */
export function windowsOf(
  kernel: unknown,
  strides: unknown,
  dilation: unknown,
  { padding = "valid", dataFormat }: Config,
  input: readonly number[],
  output: readonly number[],
  axes = input.length - 1,
): Windows | null {
  if (dataFormat === "channelsFirst" || axes < 1 || axes > 2) return null;
  if (padding !== "valid" && padding !== "same") return null;
  const pair = (given: unknown, one: number): [number, number] => {
    const sizes = [given ?? one].flat() as number[];
    return axes === 1 ? [1, sizes[0]] : [sizes[0], sizes[1] ?? sizes[0]];
  };
  const image = (shape: readonly number[]) => [1, ...shape.slice(-axes - 1, -1)].slice(-2);
  const [[height, width], [outHeight, outWidth]] = [image(input), image(output)];
  return {
    ...{ frames: product(input.slice(0, -axes - 1)), height, width, outHeight, outWidth, padding },
    ...{ kernel: pair(kernel, 1), strides: pair(strides, 1), dilation: pair(dilation, 1) },
  };
}

/** For each entry of an output the one of the input that it is, by their places; -1 where that is beside it. */
export function placesOfInput(
  input: readonly number[],
  output: readonly number[],
  from: (place: readonly number[]) => readonly number[],
): Int32Array {
  return Int32Array.from({ length: product(output) }, (_, k) => {
    const place = output.map((size, axis) => Math.floor(k / product(output.slice(axis + 1))) % size);
    const found = from(place);
    if (found.some((at, axis) => at < 0 || at >= input[axis])) return -1;
    return found.reduce((at, own, axis) => at * input[axis] + own, 0);
  });
}

/** Of a sample. */
export function outputShape(layer: tf.layers.Layer, inputs: readonly Place[]): number[] {
  const shapes = inputs.map(({ shape }) => [null, ...shape]);
  return (layer.computeOutputShape(shapes.length === 1 ? shapes[0] : shapes) as number[]).slice(1);
}

export function kept<T>(...given: readonly (T | null)[]): T[] {
  return given.filter((each) => each !== null);
}

export function product(shape: readonly number[]): number {
  return shape.reduce((all, size) => all * size, 1);
}
