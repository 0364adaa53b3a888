/**
 * Weights by which a hidden layer takes a read-out on, the function staying the same: two units for each output,
 * (H a)_+ - (-H a)_+ = H a, or, of features that are never negative, one for each of them, (H)_+ = H, at its own place.
 */

import * as tf from "@tensorflow/tfjs";
import { partOf } from "../../read/layers/index.js";
import type { Step } from "../../read/layers/layer.js";
import type { Block } from "./chain.js";

/** Squares below this are of no length that float32 has. */
const TINY = 1e-90;

/** A read-out as numbers. */
export interface ReadOut {
  readonly kernel: Float64Array; // [d x C]
  readonly bias: Float64Array | null; // [C]
  readonly outputs: number;
}

/** The weights of a hidden layer, and of the read-out after it. */
export interface Carried {
  readonly kernel: Float64Array; // [d x m], of a convolution [.. x channels x filters]
  readonly readOut: ReadOut;
}

interface Way extends Carried {
  readonly charge: number;
}

export async function readOutOf(layer: tf.layers.Layer): Promise<ReadOut> {
  const [kernel, bias] = await Promise.all(
    layer.getWeights().map(async (weight) => Float64Array.from(await weight.data())),
  );
  return { kernel, bias: bias ?? null, outputs: layer.weights[0].shape[1] as number };
}

/**
 * The cheaper way of those that the block has room for; null without any. `nonnegative`: whether what it sees is. Both layers are balanced
 * for the factors of their squares, so that the charge is least: 2 sqrt(g1 g2) times the length of every column of the read-out, twice,
 * or of all that belongs to a feature, once.
 */
export function carryOn(
  block: Block,
  readOut: ReadOut,
  factors: readonly [number, number],
  nonnegative: boolean,
): Carried | null {
  const slope = slopeOf(block);
  if (slope === null) return null;
  const shape = block[0].layer.weights[0].shape as number[];
  const rows = readOut.kernel.length / readOut.outputs;
  const ways = [
    shape.length === 2 && shape[0] === rows && slope > -1 ? doubled(shape[1], slope, readOut, factors) : null,
    nonnegative ? passedOn(shape, readOut, factors) : null,
  ].filter((way) => way !== null);
  return ways.length === 0 ? null : ways.reduce((best, way) => (way.charge < best.charge ? way : best));
}

/** Whether what a block computes is never negative, as after a ReLU. */
export function isNonnegative(block: Block): boolean {
  let bounded = false;
  for (const step of block) {
    const part = partOf(step);
    if (part === null || part.role === "normalization") bounded = false;
    else if (part.role === "kernel") bounded = part.activation === "relu";
    else if (part.role === "activation") bounded ||= part.activation === "relu";
  }
  return bounded;
}

function doubled(
  units: number,
  slope: number,
  { kernel, bias, outputs: C }: ReadOut,
  [first, second]: readonly [number, number],
): Way | null {
  if (2 * C > units) return null;
  const d = kernel.length / C;
  const W = new Float64Array(d * units);
  const A = new Float64Array(units * C);
  let charge = 0;
  for (let c = 0; c < C; c++) {
    let square = 0;
    for (let p = 0; p < d; p++) square += kernel[p * C + c] ** 2;
    // Of the unit s a and the weight 1 / ((1 + slope) s) after it.
    const ratio = first > 0 && second > 0 ? second / first : 1;
    const s = square > TINY ? Math.sqrt(Math.sqrt(ratio / square) / (1 + slope)) : 0;
    for (let p = 0; p < d; p++) {
      W[p * units + 2 * c] = s * kernel[p * C + c];
      W[p * units + 2 * c + 1] = -s * kernel[p * C + c];
    }
    if (s === 0) continue;
    const weight = 1 / ((1 + slope) * s);
    A[2 * c * C + c] = weight;
    A[(2 * c + 1) * C + c] = -weight;
    charge += 2 * (first * s * s * square + second * weight * weight);
  }
  return { kernel: W, readOut: { kernel: A, bias, outputs: C }, charge };
}

/** The kernel has one entry for each feature, in its middle. */
function passedOn(
  shape: readonly number[],
  { kernel, bias, outputs: C }: ReadOut,
  [first, second]: readonly [number, number],
): Way | null {
  const [channels, units] = shape.slice(-2);
  if (units < channels) return null;
  const middle = shape.slice(0, -2).reduce((at, size) => at * size + ((size - 1) >> 1), 0);
  const places = kernel.length / (channels * C);
  const W = new Float64Array(shape.reduce((all, size) => all * size, 1));
  const A = new Float64Array(places * units * C);
  const ratio = first > 0 && second > 0 ? second / first : 1;
  let charge = 0;
  for (let p = 0; p < channels; p++) {
    let square = 0;
    for (let at = p * C; at < kernel.length; at += channels * C)
      for (let c = 0; c < C; c++) square += kernel[at + c] ** 2;
    if (square <= TINY) continue;
    const s = Math.sqrt(Math.sqrt(ratio * square));
    W[(middle * channels + p) * units + p] = s;
    for (let place = 0; place < places; place++)
      for (let c = 0; c < C; c++) A[(place * units + p) * C + c] = kernel[(place * channels + p) * C + c] / s;
    charge += first * s * s + (second * square) / (s * s);
  }
  return { kernel: W, readOut: { kernel: A, bias, outputs: C }, charge };
}

/** What the activation of a block does to negative sums; null where the block is more than an activation of a layer that leaves every place where it is. */
function slopeOf(block: Block): number | null {
  let name = "linear";
  let slope = 0;
  for (const step of block) {
    const part = partOf(step);
    if (part === null || part.role === "normalization") return null;
    if (part.role === "places" && step.layer.getClassName() !== "Flatten") return null;
    if (part.role === "kernel" && part.kind !== "dense" && !keepsPlaces(step)) return null;
    if (part.role === "ignored" || part.role === "places" || part.activation === "linear") continue;
    if (name !== "linear") return null;
    name = part.activation;
    slope = (part.role === "activation" ? part.negativeSlope : undefined) ?? 0;
  }
  return name === "relu" || name === "leakyRelu" ? slope : null;
}

/** A convolution with as many places as it sees, channels last. */
function keepsPlaces({ layer, inputShape, outputShape }: Step): boolean {
  const { padding, strides, kernelSize, dataFormat } = layer.getConfig();
  const ones = (sizes: unknown) => [sizes].flat().every((size) => size === 1);
  return (
    ["Conv1D", "Conv2D"].includes(layer.getClassName()) &&
    dataFormat !== "channelsFirst" &&
    ones(strides) &&
    (padding === "same" || (padding === "valid" && ones(kernelSize))) &&
    inputShape.slice(1, -1).every((size, k) => size === outputShape[k + 1])
  );
}

/** Writes weights into a layer with a kernel; a bias without numbers is zero. */
export function writeKernel(layer: tf.layers.Layer, kernel: Float64Array, bias: Float64Array | null): void {
  tf.tidy(() => {
    const [first, second] = layer.weights;
    first.write(tf.tensor(Float32Array.from(kernel), first.shape as number[]));
    if (second === undefined) return;
    second.write(bias === null ? tf.zeros(second.shape as number[]) : tf.tensor1d(Float32Array.from(bias)));
  });
}
