/** What layers make of rows, as a tensor. */

import * as tf from "@tensorflow/tfjs";
import { rowsTogether } from "../../read/trunk.js";
import type { Block } from "./chain.js";

/** As the layers predict, in batches; the caller disposes. */
export async function through(steps: Block, x: tf.Tensor): Promise<tf.Tensor> {
  const parts: tf.Tensor[] = [];
  try {
    const together = rowsTogether(x);
    for (let from = 0; from < x.shape[0]; from += together) {
      const count = Math.min(together, x.shape[0] - from);
      parts.push(
        tf.tidy(() =>
          steps.reduce<tf.Tensor>(
            (tensor, { layer }) => layer.apply(tensor, { training: false }) as tf.Tensor,
            tf.slice(x, from, count),
          ),
        ),
      );
      await parts[parts.length - 1].data();
    }
    return tf.concat(parts);
  } finally {
    tf.dispose(parts);
  }
}
