/** Digits or clothes by generators in closed form, and descent-ascent on the game that they solve. */

import * as tf from "@tensorflow/tfjs";
import type { ImageSource } from "../support/images.js";

/** Images of one class [count x 28 x 28 x 1] with values in [0, 1]; the caller disposes. */
export function readClass(source: ImageSource, label: number, count: number): tf.Tensor4D {
  const { x, y } = source.read("train", count, [label]);
  y.dispose();
  const images = tf.tidy(() => tf.add(x, 0.5) as tf.Tensor4D);
  x.dispose();
  return images;
}

/** Means of 2 x 2 pixels, flat: [count x 196]; the caller disposes. */
export function halved(images: tf.Tensor4D): tf.Tensor2D {
  return tf.tidy(() => tf.reshape(tf.avgPool(images, 2, 2, "valid"), [images.shape[0], -1]) as tf.Tensor2D);
}

/** How hard the discriminator may punish: above 1 the game has the value and the solutions of the constraint. */
const REACH = 2;

/** The game after some steps. */
export interface Look {
  readonly step: number;
  /** Mean square of generated rows and REACH times what all eigenvalues of the difference of second moments exceed beta by. */
  readonly objective: number;
}

/**
 * Descent-ascent with Adam: a linear generator z W against sum_j a_j (x u_j)^2, |u_j| = 1, |a_j| at most REACH, charged beta sum |a_j|, both
 * on rows less their means. `judge` gives the objective, the discriminator's part exactly, of generated rows.
 */
export async function descentAscent(
  latents: tf.Tensor2D,
  images: tf.Tensor2D,
  options: {
    readonly beta: number;
    readonly neurons: number;
    readonly steps: number;
    readonly every: number;
    readonly rate: number;
    readonly seed: number;
  },
  judge: (generated: Float32Array) => number,
  look: (look: Look) => void,
): Promise<void> {
  const { beta, neurons, steps, every, rate, seed } = options;
  const [k, d] = [latents.shape[1], images.shape[1]];
  const [z, x] = tf.tidy(() => [tf.sub(latents, tf.mean(latents, 0)), tf.sub(images, tf.mean(images, 0))]);
  const W = tf.variable(tf.randomNormal([k, d], 0, 0.05, "float32", seed), true);
  const U = tf.variable(tf.randomNormal([d, neurons], 0, 1, "float32", seed + 1), true);
  const a = tf.variable(tf.zeros([neurons]), true);
  const [down, up] = [tf.train.adam(rate), tf.train.adam(rate)];
  const payoff = (): tf.Scalar => {
    const g = tf.matMul(z, W);
    const units = tf.div(U, tf.norm(U, 2, 0, true));
    const seen = (rows: tf.Tensor) => tf.mean(tf.square(tf.matMul(rows, units)), 0);
    const gain = tf.sum(tf.mul(a, tf.sub(seen(x), seen(g))));
    const size = tf.mean(tf.sum(tf.square(g), 1));
    return tf.sub(tf.add(size, gain), tf.mul(beta, tf.sum(tf.abs(a)))) as tf.Scalar;
  };
  for (let step = 0; step <= steps; step++) {
    if (step % every === 0) {
      const g = tf.tidy(() => tf.matMul(z, W));
      look({ step, objective: judge((await g.data()) as Float32Array) });
      g.dispose();
    }
    down.minimize(payoff, false, [W]);
    up.minimize(() => tf.neg(payoff()) as tf.Scalar, false, [U, a]);
    tf.tidy(() => {
      a.assign(tf.clipByValue(a, -REACH, REACH));
    });
  }
  tf.dispose([z, x, W, U, a]);
  for (const optimizer of [down, up]) optimizer.dispose();
}

/** The objective of `descentAscent`, by eigenvalues: of generated rows less their means, and of images [n x d] likewise. */
export function judgeOf(
  secondMoments: Float64Array,
  d: number,
  beta: number,
  eigenvalues: (A: Float64Array, d: number) => ArrayLike<number>,
): (generated: Float32Array) => number {
  return (generated) => {
    const rows = generated.length / d;
    const S = secondMoments.slice();
    let size = 0;
    for (let i = 0; i < rows; i++) {
      const row = generated.subarray(i * d, (i + 1) * d);
      for (let p = 0; p < d; p++) {
        size += row[p] ** 2 / rows;
        for (let q = 0; q < d; q++) S[p * d + q] -= (row[p] * row[q]) / rows;
      }
    }
    let over = 0;
    const values = eigenvalues(S, d);
    for (let k = 0; k < d; k++) over += Math.max(0, Math.abs(values[k]) - beta);
    return size + REACH * over;
  };
}

/** Second moments [d x d] of rows less their means. */
export function momentsOf(images: tf.Tensor2D): Float64Array {
  const S = tf.tidy(() => {
    const x = tf.sub(images, tf.mean(images, 0));
    return tf.div(tf.matMul(x, x, true), images.shape[0]);
  });
  const values = Float64Array.from(S.dataSync());
  S.dispose();
  return values;
}

/** The first `count` rows of what a model generates from its first latents. */
export function samples(model: tf.Sequential, latents: tf.Tensor2D, count: number): Float32Array[] {
  const made = tf.tidy(() => {
    const rows = model.predict(latents.slice([0, 0], [count, -1])) as tf.Tensor;
    return rows.reshape([count, -1]);
  });
  const [values, size] = [made.dataSync(), made.shape[1] as number];
  made.dispose();
  return Array.from({ length: count }, (_, k) => Float32Array.from(values.subarray(k * size, (k + 1) * size)));
}
