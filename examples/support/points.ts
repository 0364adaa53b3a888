/** Rows with one target each, and what both kinds of unit networks ask of them. */

import * as tf from "@tensorflow/tfjs";

/** Rows with their targets, as float32 numbers. */
export interface Points {
  readonly n: number;
  readonly d: number;
  readonly x: Float32Array; // [n x d]
  readonly y: Float32Array; // [n]
}

export function tensorsOf({ n, d, x, y }: Points): { x: tf.Tensor2D; y: tf.Tensor2D } {
  return { x: tf.tensor2d(x, [n, d]), y: tf.tensor2d(y, [n, 1]) };
}

/** Share of points on the wrong side of zero. */
export function errorOf(model: tf.Sequential, points: Points): number {
  return tf.tidy(() => {
    const { x, y } = tensorsOf(points);
    return tf
      .lessEqual(tf.mul(model.predict(x) as tf.Tensor, y), 0)
      .mean()
      .dataSync()[0];
  });
}
