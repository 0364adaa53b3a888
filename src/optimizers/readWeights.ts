/** Layer weights -> network weights in float64: the way back of writeWeights. */

import type * as tf from "@tensorflow/tfjs";
import type { NetworkWeights } from "../convex/network.js";
import type { Matrix } from "../convex/types.js";
import { ConvexError } from "../errors.js";
import type { NetworkSpec } from "./readModel.js";

/**
 * The weights of a model of `spec`; hidden biases become the last row of the kernels, over `biasColumn`, the constant that
 * stands in the data for them.
 *
 * @throws ConvexError "model/weights" for weights that are no numbers.
 */
export async function readWeights(
  model: tf.Sequential,
  spec: NetworkSpec,
  biasColumn: number,
): Promise<NetworkWeights> {
  const layers = model.layers.filter((layer) => layer.getClassName() !== "InputLayer");
  const [first, last] = await Promise.all(layers.map(valuesOf));
  const [kernel, bias, gates, gateBias] = spec.hiddenBias ? first : [first[0], null, first[1], null];
  const { inputs, units, outputs } = spec;
  return {
    kernel: stacked(kernel, bias, inputs, units, biasColumn),
    gates: spec.formulation === "gated" ? stacked(gates, gateBias, inputs, units, biasColumn) : null,
    output: { rows: units, cols: outputs, data: last[0] },
    bias: spec.outputBias ? last[1] : new Float64Array(outputs),
  };
}

async function valuesOf(layer: tf.layers.Layer): Promise<Float64Array[]> {
  const values = await Promise.all(layer.getWeights().map(async (weight) => Float64Array.from(await weight.data())));
  if (values.every((array) => array.every(Number.isFinite))) return values;
  throw new ConvexError(
    "model/weights",
    `certify: expected finite weights, got NaN or infinite ones in layer "${layer.name}". The training that made them diverged.`,
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
    data[inputs * units + j] = value / biasColumn;
  });
  return { rows, cols: units, data };
}
