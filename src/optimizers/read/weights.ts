/** Layer weights -> network weights in float64: the way back of writeWeights. */

import * as tf from "@tensorflow/tfjs";
import { type NetworkWeights, overColumn } from "../../convex/network.js";
import type { Matrix } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import { anatomyOf, type Cut } from "./anatomy.js";
import { refuseModel } from "./layers/layer.js";
import { type NetworkSpec, poolingOf } from "./model.js";
import { foldedUnits, normalizedLayersOf, whiteUnits } from "./normalization/index.js";

/**
 * The weights of a model of `spec`; hidden biases become the last row of the kernels, over `biasColumn`, the constant that
 * stands in the data for them.
 *
 * @throws ConvexError "model/weights" for weights that are no numbers.
 */
export async function readWeights(
  model: tf.LayersModel,
  spec: NetworkSpec,
  biasColumn: number,
): Promise<NetworkWeights> {
  const { head } = anatomyOf(model, "read", spec.cut);
  const [first, last] = await Promise.all([head.hidden, head.output].map(valuesOf));
  const [kernel, bias, gates, gateBias] = spec.hiddenBias ? first : [first[0], null, first[1], null];
  const { inputs, units, outputs } = spec;
  if (head.normalization !== null && spec.normalization !== null) {
    const layers = normalizedLayersOf(first, await valuesOf(head.normalization), spec.normalization.epsilon);
    const folded = foldedUnits(layers);
    const seen = spec.whitening === null ? folded : whiteUnits(folded, spec.whitening, spec.hiddenBias);
    return {
      kernel: stacked(seen.kernel, spec.hiddenBias ? seen.bias : null, inputs, units, biasColumn),
      gates: null,
      output: readOut(last[0], spec),
      bias: spec.outputBias ? last[1] : new Float64Array(outputs),
      pooling: poolingOf(spec),
      biasColumn: spec.hiddenBias ? biasColumn : 0,
    };
  }
  if (spec.formulation === "affine") return affineWeights(last, spec);
  const skip = head.skip === null ? null : skipWeights(last, await valuesOf(head.skip), spec);
  return {
    kernel: stacked(kernel, bias, inputs, units, biasColumn),
    gates: gatesOf(spec, () => stacked(gates, gateBias, inputs, units, biasColumn)),
    output: readOut(last[0], spec),
    ...(skip ?? { bias: spec.outputBias ? last[1] : new Float64Array(outputs) }),
    pooling: poolingOf(spec),
    biasColumn: spec.hiddenBias ? biasColumn : 0,
  };
}

/** The squares of gamma and of beta, which is what layers charge; null without batch normalisation. */
export async function normalizationSquares(
  model: tf.LayersModel,
  cut: Cut = "hidden",
): Promise<{ readonly gamma: number; readonly beta: number } | null> {
  const { normalization } = anatomyOf(model, "read", cut).head;
  if (normalization === null) return null;
  const [gamma, beta] = (await valuesOf(normalization)).slice(0, -2);
  const square = (values: Float64Array) => values.reduce((sum, value) => sum + value * value, 0);
  return { gamma: square(gamma), beta: beta === undefined ? 0 : square(beta) };
}

/**
 * What the layers charge for the biases of the read-out and of a linear layer beside the hidden one, a and b, over what their sum
 * costs at the least: r |a|^2 + s |b|^2 - r s / (r + s) |a + b|^2 = (r + s) |e|^2, where a = s / (r + s) (a + b) + e.
 */
export async function unsharedBias(model: tf.LayersModel, { skip, cut }: NetworkSpec): Promise<number> {
  if (skip === null || !skip.biases.readOut || !skip.biases.skip) return 0;
  const { head } = anatomyOf(model, "read", cut);
  if (head.skip === null) return 0;
  const [[, readOut], [, own]] = await Promise.all([head.output, head.skip].map(valuesOf));
  const off = readOut.map((value, c) => value - skip.readOutShare * (value + own[c]));
  return skip.biasL2 * off.reduce((sum, value) => sum + value * value, 0);
}

/** One layer as a network of a linear unit for each output, whose read-out is I. */
function affineWeights(
  [kernel, bias]: readonly Float64Array[],
  { inputs, outputs: C, outputBias }: NetworkSpec,
): NetworkWeights {
  const output = new Float64Array(C * C);
  for (let c = 0; c < C; c++) output[c * C + c] = 1;
  return {
    kernel: { rows: inputs, cols: C, data: kernel },
    gates: { rows: inputs, cols: C, data: new Float64Array(inputs * C) },
    output: { rows: C, cols: C, data: output },
    bias: outputBias ? bias : new Float64Array(C),
    pooling: null,
  };
}

/** The kernel of a linear layer beside the hidden one, and the bias that it and the read-out add up to. */
function skipWeights(
  [, readOut]: readonly Float64Array[],
  [kernel, own]: readonly Float64Array[],
  { inputs, outputs: C }: NetworkSpec,
): Pick<NetworkWeights, "skip" | "bias"> {
  const bias = Float64Array.from({ length: C }, (_, c) => (readOut?.[c] ?? 0) + (own?.[c] ?? 0));
  return { skip: { rows: inputs, cols: C, data: kernel }, bias };
}

/** Linear units have gates of zero, which are open on every row. */
function gatesOf({ formulation, hiddenBias, inputs, units }: NetworkSpec, own: () => Matrix): Matrix | null {
  if (formulation === "relu") return null;
  if (formulation === "gated") return own();
  const rows = inputs + (hiddenBias ? 1 : 0);
  return { rows, cols: units, data: new Float64Array(rows * units) };
}

/** The kernel of the last layer [A m x C] as [m x A C]: the way back of what `writeWeights` does. */
function readOut(kernel: Float64Array, { units, outputs: C, convolution }: NetworkSpec): Matrix {
  const positions = convolution?.pooling.positions ?? 1;
  const patchesFastest = convolution?.readOut === "patchesFastest";
  const data = new Float64Array(kernel.length);
  for (let j = 0; j < units; j++) {
    for (let a = 0; a < positions; a++) {
      const row = patchesFastest ? j * positions + a : a * units + j;
      data.set(kernel.subarray(row * C, (row + 1) * C), (j * positions + a) * C);
    }
  }
  return { rows: units, cols: positions * C, data };
}

async function valuesOf(layer: tf.layers.Layer): Promise<Float64Array[]> {
  const values = await Promise.all(layer.getWeights().map(async (weight) => Float64Array.from(await weight.data())));
  if (values.every((array) => array.every(Number.isFinite))) return values;
  throw new ConvexError(
    "model/weights",
    `readWeights: expected finite weights, got NaN or infinite ones in layer "${layer.name}". The training that made them diverged.`,
  );
}

function stacked(
  kernel: Float64Array,
  bias: Float64Array | null,
  inputs: number,
  units: number,
  biasColumn: number,
): Matrix {
  const rows = inputs + (bias === null ? 0 : 1);
  const data = new Float64Array(rows * units);
  data.set(kernel);
  bias?.forEach((value, j) => {
    data[inputs * units + j] = overColumn(value, biasColumn);
  });
  return { rows, cols: units, data };
}

/** @throws ConvexError "model/weights" naming the first layer and weight that holds NaN or infinity. */
export async function refuseNonFiniteWeights(layers: { readonly layers: readonly tf.layers.Layer[] }): Promise<void> {
  for (const layer of layers.layers) {
    if (layer instanceof tf.LayersModel) await refuseNonFiniteWeights(layer);
    else for (const weight of layer.weights) await refuseWeight(layer, weight);
  }
}

async function refuseWeight(layer: tf.layers.Layer, weight: tf.layers.Layer["weights"][number]): Promise<void> {
  const tensor = weight.read();
  const values = await tensor.data();
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  refuseModel(
    "model/weights",
    "finite weights in the layers below the head",
    `${values[at]} in weight "${weight.name}" of layer "${layer.name}" (entry ${at} of ${values.length}, shape [${tensor.shape.join(", ")}])`,
    "The training that made them diverged: build that layer anew, or load weights from before.",
  );
}
