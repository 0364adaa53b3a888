/** Units on white rows -> a dense layer and the batch normalisation after it. */

import * as tf from "@tensorflow/tfjs";
import type { Matrix } from "../../convex/types.js";
import type { Whitening } from "../read/layers/batchNormalization.js";

/** What the layer's units have as deviation: so large that the epsilon beside the variance changes the charge by 1e-7 at most. */
const DEVIATION = 100;

/** The tensors of both layers, in the order of their weights. */
export interface Normalized {
  readonly kernel: tf.Tensor;
  readonly bias: tf.Tensor;
  readonly normalization: readonly tf.Tensor[]; // gamma, beta where it is, moving mean and variance
}

/**
 * A unit u, b on white rows is gamma = |u|, beta = b, and a kernel along map u whose outputs have the deviation above. To be
 * called inside tf.tidy.
 */
export function normalizedLayers(
  kernel: Matrix, // [r x m], or [r + 1 x m] with the bias over `biasColumn`
  { mean, map, epsilon }: Whitening,
  biasColumn: number,
): Normalized {
  const { rows: d, cols: r } = map;
  const m = kernel.cols;
  const W = new Float32Array(d * m);
  const means = new Float32Array(m);
  const gamma = new Float32Array(m);
  for (let j = 0; j < m; j++) {
    let square = 0;
    for (let i = 0; i < r; i++) square += kernel.data[i * m + j] ** 2;
    const size = Math.sqrt(square);
    if (size === 0) continue;
    let moved = 0;
    for (let p = 0; p < d; p++) {
      let value = 0;
      for (let i = 0; i < r; i++) value += map.data[p * r + i] * kernel.data[i * m + j];
      W[p * m + j] = (value * DEVIATION) / size;
      moved += W[p * m + j] * mean[p];
    }
    means[j] = moved;
    gamma[j] = size * Math.sqrt(1 + epsilon / DEVIATION ** 2);
  }
  const offset = Float32Array.from({ length: m }, (_, j) => kernel.data[r * m + j] * biasColumn);
  const shift = kernel.rows > r ? [tf.tensor1d(offset)] : [];
  return {
    kernel: tf.tensor2d(W, [d, m]),
    bias: tf.zeros([m]),
    normalization: [tf.tensor1d(gamma), ...shift, tf.tensor1d(means), tf.fill([m], DEVIATION ** 2)],
  };
}
