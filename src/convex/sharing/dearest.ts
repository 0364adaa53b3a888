/**
 * What no neuron that feeds all outputs is dearer than, whatever its gate: an upper bound of |N' S (X u)_+| over all unit u.
 *
 * With x_i = m + y_i, m the mean row, (x_i' u)_+ = (m' u)_+ + t_i y_i' u for some t_i in [0, 1], and t_i is 1/2 and at most 1/2 more or
 * less; with a slope a for negative sums it is between a and 1. So by Cauchy and Schwarz, with any weights w_i > 0,
 *
 *   |N'(X u)_+|  <=  |N'1| |m|  +  |N'Y|_2 / 2  +  |diag(w)^1/2 N|_2 |diag(w)^-1/2 Y|_2 / 2,
 *
 * of which the first two are small where a network's linear neurons are at rest. Patches have the pull of their sample each. Beside it stands
 * |N| |X|, which needs no weights.
 */

import type { Kernels } from "../kernels/types.js";
import { eigenSymmetric } from "../linear/eigen/index.js";
import { dotAt, norm } from "../linear/vectors.js";
import { ONE_PATCH, slopeOf, steepest } from "../network.js";
import { meanSquaredNorm } from "../operators/blocks.js";
import { penalties } from "../penalties/index.js";
import type { ConvexProgram } from "../types.js";

/** Multiplications up to which it takes a moment: some 30 ms. */
const MOMENT = 2 ** 26;
/** Of an eigenvalue decomposition, for each cube of its size. */
const EIGEN = 20;
/** Of the root mean square, what lengths count for at least where they are divided by: w_i = |y_i| / |N_i|. */
const LEAST_LENGTH = 0.1;
/** Rows that are scaled together. */
const TOGETHER = 1024;

/** The lesser of the two bounds, where the finer one takes no more than a moment. */
export function dearestAtMost(program: ConvexProgram, N: Float64Array, kernels: Kernels): number {
  const { X, loss, pooling } = program;
  const plain = norm(N) * Math.sqrt(loss.rows * meanSquaredNorm(program));
  const work = X.rows * X.cols * (X.cols + loss.outputs) + EIGEN * X.cols * X.cols * X.cols;
  if ((pooling?.positions ?? 1) > 1 || work > MOMENT || !(plain > 0)) return plain;
  // Sums and differences that cancel are as wrong as what they are made of says, and the bound may be far below that.
  const finer = aroundMean(program, N, kernels) + (X.rows + X.cols) * Number.EPSILON * plain;
  return finer < plain ? finer : plain; // NaN where squares overflow
}

function aroundMean({ X, loss, pooling }: ConvexProgram, N: Float64Array, kernels: Kernels): number {
  const [n, C, d] = [loss.rows, loss.outputs, X.cols];
  const { patches: K, scale } = pooling ?? ONE_PATCH;
  const { data } = X;
  const mean = new Float64Array(d);
  for (let k = 0; k < data.length; ) for (let p = 0; p < d; p++, k++) mean[p] += data[k] / X.rows;
  const spread = Math.max(0, dotAt(data, 0, data, 0, data.length) / X.rows - dotAt(mean, 0, mean, 0, d));
  const [leastRow, leastPull] = [LEAST_LENGTH ** 2 * spread, (LEAST_LENGTH * norm(N)) ** 2 / n];
  const ofRows = new Float64Array(d * d); // Y' diag(1 / w) Y
  const ofPulls = new Float64Array(C * C); // N' diag(w) N
  const pull = new Float64Array(C * d); // N'Y
  const sums = new Float64Array(C); // N'1
  const samples = Math.max(1, Math.floor(TOGETHER / K));
  const rows = new Float64Array(samples * K * d); // diag(w)^-1/2 Y
  const pulls = new Float64Array(samples * C); // diag(w)^1/2 N
  const ofSample = new Float64Array(d); // the sum of its rows of Y
  for (let first = 0; first < n; first += samples) {
    const count = Math.min(samples, n - first);
    for (let s = 0; s < count; s++) {
      const mine = (first + s) * C;
      const square = dotAt(N, mine, N, mine, C);
      ofSample.fill(0);
      let weights = 0;
      for (let k = 0; k < K; k++) {
        const at = (s * K + k) * d;
        const from = ((first + s) * K + k) * d;
        let length = 0;
        for (let p = 0; p < d; p++) {
          const y = data[from + p] - mean[p];
          ofSample[p] += y;
          length += y * y;
        }
        const weight = spread > 0 ? Math.sqrt((length + leastRow) / (square + leastPull)) : 1;
        const root = 1 / Math.sqrt(weight);
        for (let p = 0; p < d; p++) rows[at + p] = root * (data[from + p] - mean[p]);
        weights += weight;
      }
      for (let c = 0; c < C; c++) {
        const entry = N[mine + c];
        sums[c] += K * entry;
        pulls[s * C + c] = Math.sqrt(weights) * entry;
        for (let p = 0; p < d; p++) pull[c * d + p] += entry * ofSample[p];
      }
    }
    kernels.addOuter(ofRows, rows.subarray(0, count * K * d), d, count * K, 1);
    kernels.addOuter(ofPulls, pulls.subarray(0, count * C), C, count, 1);
  }
  const slope = slopeOf(pooling);
  const [middle, wide] = [Math.abs(1 + slope) / 2, Math.abs(1 - slope) / 2];
  const together = Math.sqrt(largestEigenvalue(ofRows, d) * largestEigenvalue(ofPulls, C));
  const linear = penalties.nuclear.dualNorm(pull, C, d);
  return scale * (steepest(pooling) * norm(sums) * norm(mean) + middle * linear + wide * together);
}

function largestEigenvalue(A: Float64Array, d: number): number {
  return Math.max(0, eigenSymmetric(A, d).values[d - 1]);
}
