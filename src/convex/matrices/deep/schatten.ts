/**
 * Deep linear networks with a Schatten charge: gamma / L (|X W_1|^L + |W_2|^L + ... + |W_L|^L), each the sum of the L-th powers of
 * the singular values (Zhang, Shao and Salakhutdinov 2019).
 *
 * The least charge of outputs Z = X W_1 ... W_L is gamma times their nuclear norm, so that Z is what a truncated soft threshold
 * leaves of the projection Y~ of Y on the range of X: singular values (b_k - theta)_+, theta = gamma n C / 2, of the largest as many as the
 * narrowest layer has units. The dual at U diag(min(b, theta)) V' has the same value, for every gamma >= 0: that gamma be below the least
 * singular value, as is printed, is not needed. For L > 2 the charge is no weight decay.
 */

import { singularVectors } from "../../linear/eigen/index.js";
import { power } from "../../linear/elementary.js";
import type { Matrix } from "../../types.js";
import { deepSolution, layersOfDeep } from "./network.js";
import {
  asLayers,
  type DeepFormulation,
  type DeepProblem,
  type DeepSolution,
  refusesDeep,
  spectrum,
  squares,
  times,
} from "./problem.js";

/** `beta` is gamma, and every layer's charge too. */
export const deepSchatten: DeepFormulation = {
  name: "deep linear network with a Schatten charge",
  source: "Zhang, Shao and Salakhutdinov 2019 (PMLR 89:1099), without its condition on gamma",

  refuses(problem) {
    const refusal = refusesDeep(problem);
    if (refusal !== null) return refusal;
    return problem.outputBias === null
      ? null
      : "expected no biases: the charge is on x W_1 as it is, got an output bias";
  },

  build: (problem) => ({ solve: async (_, { tolerance }) => solveSchatten(problem, tolerance) }),
  recover: layersOfDeep,
};

function solveSchatten(problem: DeepProblem, tolerance: number): DeepSolution {
  const began = performance.now();
  const { X, Y, charges, widths, beta: gamma } = problem;
  const scale = 1 / (Y.rows * Y.cols);
  const { values, left, right } = spectrum(X);
  const { values: b, left: P, right: Q } = singularVectors(times(left, Y)); // of U'Y
  const theta = gamma / (2 * scale);
  const most = Math.min(b.length, ...widths);
  const dropped = (k: number) => (k < most ? Math.min(b[k], theta) : b[k]);
  const rank = b.filter((size, k) => k < most && size > theta).length;
  // 1/2 |Y|^2 less half the squares of the largest singular values of Y~ - Lambda, here times 2 scale.
  let dual = squares(Y);
  for (let k = 0; k < most; k++) dual -= (b[k] - Math.min(b[k], theta)) ** 2;
  dual *= scale;
  const sizes = Float64Array.from({ length: rank }, (_, k) => b[k] - dropped(k));
  const inverse = { rows: rank, cols: right.cols, data: new Float64Array(rank * right.cols) };
  for (let k = 0; k < rank; k++) {
    for (let i = 0; i < right.rows; i++) {
      const weight = P.data[k * P.cols + i] / values[i];
      for (let p = 0; p < right.cols; p++) inverse.data[k * right.cols + p] += weight * right.data[i * right.cols + p];
    }
  }
  const above: Matrix = { rows: rank, cols: Q.cols, data: Q.data.subarray(0, rank * Q.cols) };
  const kernels = asLayers({ sizes, left: inverse, right: above }, problem);
  const found = {
    ...{ kernels, bias: new Float64Array(Y.cols), rank, dual, charge: schattenCharge(X, kernels, gamma) },
    assumption: "nothing is asked of x; the charge is a Schatten one on x W_1 and the other kernels",
    among: `${charges.length} linear layers of these widths, charged so,`,
  };
  return deepSolution(problem, found, "linear", tolerance, began);
}

/** gamma / L (|X W_1|^L + |W_2|^L + ...), by the definition. */
export function schattenCharge(X: Matrix, kernels: readonly Matrix[], gamma: number): number {
  const L = kernels.length;
  const powers = (M: Matrix) => singularVectors(M).values.reduce((sum, size) => sum + power(size, L), 0);
  return (gamma / L) * kernels.reduce((sum, kernel, l) => sum + powers(l === 0 ? times(X, kernel) : kernel), 0);
}
