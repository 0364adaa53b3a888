import type { Penalty } from "../types.js";

/**
 * sum over outputs of the Euclidean norm: each (gate, output) vector is a group of its own.
 *
 * Exact for weight decay with one output; with several it is the weight decay of networks whose neurons each feed one output
 * (an upper bound of the nuclear norm, Sahiner et al. 2021).
 */
export const perOutput: Penalty = {
  name: "perOutput",
  separable: true,

  value(block, outputs, width) {
    let sum = 0;
    for (let c = 0; c < outputs; c++) sum += rowNorm(block, c, width);
    return sum;
  },

  prox(block, outputs, width, threshold) {
    let sum = 0;
    for (let c = 0; c < outputs; c++) {
      const norm = rowNorm(block, c, width);
      const share = norm > threshold ? 1 - threshold / norm : 0;
      for (let p = c * width; p < (c + 1) * width; p++) block[p] *= share;
      sum += share * norm;
    }
    return sum;
  },

  dualNorm(block, outputs, width) {
    let largest = 0;
    for (let c = 0; c < outputs; c++) largest = Math.max(largest, rowNorm(block, c, width));
    return largest;
  },
};

function rowNorm(block: Float64Array, row: number, width: number): number {
  let sum = 0;
  for (let p = row * width; p < (row + 1) * width; p++) sum += block[p] * block[p];
  return Math.sqrt(sum);
}
