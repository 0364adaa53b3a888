/** Network weights -> layer weights, all or nothing. */

import * as tf from "@tensorflow/tfjs";
import type { NetworkWeights } from "../convex/network.js";
import type { Matrix } from "../convex/types.js";
import type { NetworkSpec } from "./readModel.js";

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
  const d = spec.inputs;
  const { kernel, gates, output } = weights;
  tf.tidy(() => {
    const first: tf.Tensor[] = [upper(kernel, d)];
    if (spec.hiddenBias) first.push(lastRow(kernel, biasColumn));
    if (gates !== null) {
      first.push(upper(gates, d));
      if (spec.hiddenBias) first.push(lastRow(gates, biasColumn));
    }
    const second: tf.Tensor[] = [tf.tensor2d(Float32Array.from(output.data), [output.rows, output.cols])];
    if (spec.outputBias) second.push(tf.tensor1d(Float32Array.from(weights.bias)));
    // Every tensor exists before the first is written; setWeights checks all shapes of a layer before it assigns.
    layers[0].setWeights(first);
    layers[1].setWeights(second);
  });
}

function upper(matrix: Matrix, rows: number): tf.Tensor2D {
  return tf.tensor2d(Float32Array.from(matrix.data.subarray(0, rows * matrix.cols)), [rows, matrix.cols]);
}

function lastRow(matrix: Matrix, scale: number): tf.Tensor1D {
  const row = matrix.data.subarray((matrix.rows - 1) * matrix.cols);
  return tf.tensor1d(Float32Array.from(row, (value) => value * scale));
}
