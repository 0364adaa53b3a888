/** Numbers of the host into dense layers that stand one behind the other. */

import * as tf from "@tensorflow/tfjs";
import type { LayerWeights } from "../../convex/matrices/index.js";

/**
 * Writes layers in float32; where a layer has a bias and the numbers have none it becomes zero. Every tensor exists before the first
 * layer is written, so that a device without room leaves the model as it was.
 */
export function writeDenseLayers(dense: readonly tf.layers.Layer[], layers: readonly LayerWeights[]): void {
  tf.tidy(() => {
    const weights = layers.map(({ kernel: { rows, cols, data }, bias }, l) => {
      const kernel = tf.tensor2d(Float32Array.from(data), [rows, cols]);
      if (dense[l].weights.length === 1) return [kernel];
      return [kernel, tf.tensor1d(Float32Array.from(bias ?? new Float64Array(cols)))];
    });
    for (const [l, parts] of weights.entries()) dense[l].setWeights(parts);
  });
}
