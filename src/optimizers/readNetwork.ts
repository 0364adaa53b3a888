/** The weights in a model -> neurons: what it is as a network, whoever trained it. */

import type * as tf from "@tensorflow/tfjs";
import type { NetworkWeights } from "../convex/network.js";
import type { Matrix } from "../convex/types.js";
import type { NetworkSpec } from "./readModel.js";

/** The weights of a model of `spec`, its hidden bias (and the biases of gates) over the constant column `biasColumn`. */
export async function readNetwork(
  model: tf.Sequential,
  spec: NetworkSpec,
  biasColumn: number,
): Promise<NetworkWeights> {
  const [first, last] = model.layers.filter((layer) => layer.getClassName() !== "InputLayer");
  const hidden = await Promise.all(first.getWeights().map((weight) => weight.data()));
  const output = await Promise.all(last.getWeights().map((weight) => weight.data()));
  const { hiddenBias, units, outputs, inputs } = spec;
  const stacked = (kernel: ArrayLike<number>, bias: ArrayLike<number> | null): Matrix => {
    const rows = inputs + (bias === null ? 0 : 1);
    const data = new Float64Array(rows * units);
    data.set(Float64Array.from(kernel));
    if (bias !== null)
      data.set(
        Float64Array.from(bias, (value) => value / biasColumn),
        inputs * units,
      );
    return { rows, cols: units, data };
  };
  const gated = spec.formulation === "gated";
  return {
    kernel: stacked(hidden[0], hiddenBias ? hidden[1] : null),
    gates: gated ? stacked(hidden[hiddenBias ? 2 : 1], hiddenBias ? hidden[3] : null) : null,
    output: { rows: units, cols: outputs, data: Float64Array.from(output[0]) },
    bias: spec.outputBias ? Float64Array.from(output[1]) : new Float64Array(outputs),
  };
}
