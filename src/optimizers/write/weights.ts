/** Network weights -> layer weights, all or nothing. */

import * as tf from "@tensorflow/tfjs";
import type { NetworkWeights } from "../../convex/network.js";
import type { Matrix } from "../../convex/types.js";
import type { NetworkSpec } from "../read/model.js";

/**
 * Writes the weights into a model of `spec`. The last row of the kernels holds the hidden bias over `biasColumn`, the constant
 * that stood in the data for it.
 */
export function writeWeights(
  model: tf.Sequential,
  spec: NetworkSpec,
  weights: NetworkWeights,
  biasColumn: number,
): void {
  const layers = model.layers.filter((layer) => layer.getClassName() !== "InputLayer");
  const last = layers[layers.length - 1];
  const kernelShape = layers[0].getWeights()[0].shape; // ends in the units, or filters
  const upper = (matrix: Matrix) => {
    const values = matrix.data.subarray(0, spec.inputs * matrix.cols);
    return tf.tensor(Float32Array.from(values), kernelShape);
  };
  const { kernel, gates } = weights;
  tf.tidy(() => {
    const first: tf.Tensor[] = [upper(kernel)];
    if (spec.hiddenBias) first.push(lastRow(kernel, biasColumn));
    if (gates !== null) {
      first.push(upper(gates));
      if (spec.hiddenBias) first.push(lastRow(gates, biasColumn));
    }
    const second: tf.Tensor[] = [readOut(weights, spec)];
    if (spec.outputBias) second.push(tf.tensor1d(Float32Array.from(weights.bias)));
    // Every tensor exists before the first is written; setWeights checks all shapes of a layer before it assigns.
    layers[0].setWeights(first);
    last.setWeights(second);
  });
}

/** Takes down the weights of a model; the answer writes them back, for when what comes after the writing fails. */
export async function weightsBefore(model: tf.Sequential): Promise<() => void> {
  const kept = await Promise.all(
    model.getWeights().map(async (weight) => ({
      shape: weight.shape,
      dtype: weight.dtype,
      values: (await weight.data()).slice() as Float32Array,
    })),
  );
  return () => tf.tidy(() => model.setWeights(kept.map(({ values, shape, dtype }) => tf.tensor(values, shape, dtype))));
}

/** The kernel of the last layer [A m x C]: unit j at position a stands in row a m + j, or j A + a where patches run faster. */
function readOut({ output }: NetworkWeights, { outputs: C, convolution }: NetworkSpec): tf.Tensor2D {
  const m = output.rows;
  const positions = output.cols / C;
  const patchesFastest = convolution?.readOut === "patchesFastest";
  const data = new Float32Array(output.data.length);
  for (let j = 0; j < m; j++) {
    for (let a = 0; a < positions; a++) {
      const row = patchesFastest ? j * positions + a : a * m + j;
      for (let c = 0; c < C; c++) data[row * C + c] = output.data[j * output.cols + a * C + c];
    }
  }
  return tf.tensor2d(data, [positions * m, C]);
}

function lastRow(matrix: Matrix, scale: number): tf.Tensor1D {
  const row = matrix.data.subarray((matrix.rows - 1) * matrix.cols);
  return tf.tensor1d(Float32Array.from(row, (value) => value * scale));
}
