/** Digits of some kinds, so many of each, as pictures for a convolution. */

import * as tf from "@tensorflow/tfjs";
import { readDigits } from "../support/mnist.js";

export const SIDE = 14;

/** Pictures with pixels in [0, 1] and their kinds; the caller disposes. */
export interface Pictures {
  readonly x: tf.Tensor4D; // [n x 14 x 14 x 1]
  readonly y: tf.Tensor2D; // one-hot in the order of `digits`
}

/** The first `each` pictures of each of these digits, in the order of the data set. */
export function picturesOf(part: "train" | "t10k", digits: readonly number[], each: number): Pictures {
  // A tenth of the digits are of each kind, some a fifth fewer.
  const all = readDigits(part, Math.min(part === "train" ? 60_000 : 10_000, 12 * each + 200));
  const labels = tf.tidy(() => all.y.argMax(1).dataSync());
  const pixels = all.x.dataSync();
  tf.dispose([all.x, all.y]);
  const size = SIDE * SIDE;
  const left = digits.map(() => each);
  const x: number[] = [];
  const kinds: number[] = [];
  for (let k = 0; k < labels.length; k++) {
    const kind = digits.indexOf(labels[k]);
    if (kind < 0 || left[kind] === 0) continue;
    left[kind] -= 1;
    kinds.push(kind);
    for (let p = 0; p < size; p++) x.push(pixels[k * size + p]);
  }
  return {
    x: tf.tensor4d(x, [kinds.length, SIDE, SIDE, 1]),
    y: tf.tidy(() => tf.oneHot(tf.tensor1d(kinds, "int32"), digits.length).toFloat() as tf.Tensor2D),
  };
}
