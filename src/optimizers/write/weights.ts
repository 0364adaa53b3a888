/** Network weights -> layer weights, all or nothing. */

import * as tf from "@tensorflow/tfjs";
import type { NetworkWeights } from "../../convex/network.js";
import type { Matrix } from "../../convex/types.js";
import { anatomyOf } from "../read/anatomy.js";
import type { NetworkSpec } from "../read/model.js";
import { normalizedLayers } from "./normalization.js";

/**
 * Writes the weights into a model of `spec`. The last row of the kernels holds the hidden bias over `biasColumn`, the constant
 * that stood in the data for it.
 */
export function writeWeights(
  model: tf.LayersModel,
  spec: NetworkSpec,
  weights: NetworkWeights,
  biasColumn: number,
): void {
  const { head } = anatomyOf(model, "read", spec.cut);
  const kernelShape = head.hidden.getWeights()[0].shape; // ends in the units, or filters
  const upper = (matrix: Matrix) => {
    const values = matrix.data.subarray(0, spec.inputs * matrix.cols);
    return tf.tensor(Float32Array.from(values), kernelShape);
  };
  const { kernel } = weights;
  const gates = spec.formulation === "gated" ? weights.gates : null;
  tf.tidy(() => {
    if (spec.whitening !== null && head.normalization !== null) {
      const parts = normalizedLayers(kernel, spec.whitening, biasColumn);
      const second = [
        readOut(weights, spec),
        ...(spec.outputBias ? [tf.tensor1d(Float32Array.from(weights.bias))] : []),
      ];
      head.hidden.setWeights(head.hidden.weights.length > 1 ? [parts.kernel, parts.bias] : [parts.kernel]);
      head.normalization.setWeights([...parts.normalization]);
      head.output.setWeights(second);
      return;
    }
    const first: tf.Tensor[] = [upper(kernel)];
    if (spec.hiddenBias) first.push(lastRow(kernel, biasColumn));
    if (gates !== null) {
      first.push(upper(gates));
      if (spec.hiddenBias) first.push(lastRow(gates, biasColumn));
    }
    const affine = spec.formulation === "affine";
    const second: tf.Tensor[] = [affine ? upper(kernel) : readOut(weights, spec)];
    const beside = skipTensors(weights, spec);
    if (beside !== null) second.push(...beside.readOut);
    else if (spec.outputBias) second.push(tf.tensor1d(Float32Array.from(weights.bias)));
    // Every tensor exists before the first is written; setWeights checks all shapes of a layer before it assigns.
    if (!affine) head.hidden.setWeights(first);
    head.output.setWeights(second);
    if (beside !== null) head.skip?.setWeights([...beside.skip]);
  });
}

/** The kernel and bias of a linear layer beside the hidden one, and the bias that is left to the read-out; null without such a layer. */
function skipTensors(
  { skip: kernel, bias }: NetworkWeights,
  { skip }: NetworkSpec,
): { readonly readOut: readonly tf.Tensor[]; readonly skip: readonly tf.Tensor[] } | null {
  if (skip === null || kernel === undefined) return null;
  const own = Float32Array.from(bias, (value) => value * skip.readOutShare);
  const rest = Float32Array.from(bias, (value, c) => value - own[c]);
  return {
    readOut: skip.biases.readOut ? [tf.tensor1d(own)] : [],
    skip: [
      tf.tensor2d(Float32Array.from(kernel.data), [kernel.rows, kernel.cols]),
      ...(skip.biases.skip ? [tf.tensor1d(rest)] : []),
    ],
  };
}

/** Takes down the weights of a model; the answer writes them back, for when what comes after the writing fails. */
export async function weightsBefore(model: tf.LayersModel): Promise<() => void> {
  const kept = await Promise.all(
    // One by one: models within models list their weights in another order than they set them.
    model.weights.map(async (weight) => {
      const tensor = weight.read();
      return {
        weight,
        shape: tensor.shape,
        dtype: tensor.dtype,
        values: (await tensor.data()).slice() as Float32Array,
      };
    }),
  );
  return () =>
    tf.tidy(() => {
      for (const { weight, values, shape, dtype } of kept) assign(weight, tf.tensor(values, shape, dtype));
    });
}

/** Puts numbers into a weight as they are: `weight.write` would hold them to its constraint, which first weights need not meet. */
export function assign(weight: tf.layers.Layer["weights"][number], values: tf.Tensor): void {
  (weight.read() as tf.Variable).assign(values);
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
