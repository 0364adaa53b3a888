/** Synthetic classification data of the scnn paper (Mishkin, Sahiner and Pilanci 2022, section 5), from our own seeded source. */

import { gaussianSource } from "../../src/convex/linear/random.js";
import type { Matrix } from "../../src/convex/types.js";

const CONDITION = 10;
const PLANTED = 100;

/**
 * X [rows x features] with a covariance of condition number 10 and labels -1, 1 of a planted network of 100 ReLU units, by the
 * recipe of the paper's generator: the same distribution, not the same draws. Fewer rows are the first rows of more.
 */
export function planted(rows: number, features: number, seed: number): { X: Matrix; Y: Matrix } {
  const draw = gaussianSource(seed);
  const d = features;
  const uniform = () => phi(draw());
  const W = Float64Array.from({ length: PLANTED * d }, uniform);
  const a = Float64Array.from({ length: PLANTED }, uniform);
  const Q = orthogonal(d, draw);
  const scales = Float64Array.from({ length: d }, (_, k) =>
    Math.sqrt(k === 0 ? CONDITION : k === 1 ? 1 : 1 + (CONDITION - 1) * uniform()),
  );
  const X = new Float64Array(rows * d);
  const y = new Float64Array(rows);
  for (let k = 0; k < rows; k++) {
    for (let e = 0; e < d; e++) {
      const size = scales[e] * draw();
      for (let p = 0; p < d; p++) X[k * d + p] += size * Q[e * d + p];
    }
    let output = 0;
    for (let j = 0; j < PLANTED; j++) {
      let pre = 0;
      for (let p = 0; p < d; p++) pre += W[j * d + p] * X[k * d + p];
      output += a[j] * Math.max(0, pre);
    }
    y[k] = output > 0 ? 1 : -1;
  }
  return { X: { rows, cols: d, data: X }, Y: { rows, cols: 1, data: y } };
}

/** A random orthogonal matrix [d x d]: Gram-Schmidt, twice, on Gaussian rows. */
function orthogonal(d: number, draw: () => number): Float64Array {
  const Q = Float64Array.from({ length: d * d }, draw);
  for (let i = 0; i < d; i++) {
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        let product = 0;
        for (let p = 0; p < d; p++) product += Q[i * d + p] * Q[j * d + p];
        for (let p = 0; p < d; p++) Q[i * d + p] -= product * Q[j * d + p];
      }
    }
    const length = Math.hypot(...Q.subarray(i * d, (i + 1) * d));
    for (let p = 0; p < d; p++) Q[i * d + p] /= length;
  }
  return Q;
}

/** The normal distribution function, which turns Gaussian draws into uniform ones (Abramowitz and Stegun 1964, 26.2.17). */
function phi(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const tail =
    Math.exp((-x * x) / 2) *
    t *
    (0.127414796 + t * (-0.142248368 + t * (0.7107068705 + t * (-0.7265760135 + t * 0.5307027145))));
  return x >= 0 ? 1 - tail : tail;
}
