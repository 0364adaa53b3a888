/** The one judge of all networks of a contest, whoever trained them: plain loops in float64. */

import type { Contest } from "../data/contests.js";

/** loss((X W')_+ A) + beta / 2 (|W|^2 + |A|^2) of W [m x d] and A [m x C], with the mean over the patches of an image. */
export function judgedNetwork(contest: Contest, W: Float64Array, A: Float64Array): number {
  let square = 0;
  for (const value of W) square += value * value;
  for (const value of A) square += value * value;
  return judgedLoss(contest, W, A) + 0.5 * contest.beta * square;
}

/** The loss alone. */
export function judgedLoss({ X, Y, loss }: Contest, W: Float64Array, A: Float64Array): number {
  const [n, d, C] = [Y.rows, X.cols, Y.cols];
  const patches = X.rows / n;
  const m = W.length / d;
  let total = 0;
  const z = new Float64Array(C);
  for (let k = 0; k < n; k++) {
    z.fill(0);
    for (let j = 0; j < m; j++) {
      let mean = 0;
      for (let row = k * patches; row < (k + 1) * patches; row++) {
        let sum = 0;
        for (let p = 0; p < d; p++) sum += W[j * d + p] * X.data[row * d + p];
        mean += Math.max(0, sum) / patches;
      }
      for (let c = 0; c < C; c++) z[c] += A[j * C + c] * mean;
    }
    total += lossOf(loss, z, Y.data.subarray(k * C, (k + 1) * C)) / n;
  }
  return total;
}

/** Of one row: means over outputs, but for classes of which there is one. */
function lossOf(loss: Contest["loss"], z: Float64Array, y: Float64Array): number {
  const C = z.length;
  if (loss === "categoricalCrossentropy") {
    const top = z.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    const sum = z.reduce((all, value) => all + Math.exp(value - top), 0);
    return y.reduce((all, label, c) => all + label * (top + Math.log(sum) - z[c]), 0);
  }
  let total = 0;
  for (let c = 0; c < C; c++) {
    if (loss === "meanSquaredError") total += (z[c] - y[c]) ** 2 / C;
    else total += (Math.max(z[c], 0) - y[c] * z[c] + Math.log1p(Math.exp(-Math.abs(z[c])))) / C;
  }
  return total;
}
