/**
 * Deep linear networks on whitened data, every layer decayed: each singular value by itself.
 *
 * Where all nonzero singular values of X are s (orthogonal columns or rows of one length), X = s U V', the program is that of
 * A = V'W, and of the singular values of B = U'Y alone: t_k minimises (s t - b_k)^2 / (n C) + L g t^(2/L) for the largest b_k, as many
 * as the narrowest layer has units. Of nearly whitened X, with singular values up to s, A' = diag(s_k / s) A has the same loss and no
 * larger charge, so that the value at s is a bound for X as it is.
 */

import { singularVectors } from "../../linear/eigen/index.js";
import { realPower } from "../../linear/elementary.js";
import type { Matrix } from "../../types.js";
import { shrinkByPower } from "./leastAlongPower.js";
import { deepSolution, layersOfDeep } from "./network.js";
import {
  asLayers,
  type DeepFormulation,
  type DeepProblem,
  type DeepSolution,
  deepData,
  refusesDeep,
  spectrum,
  squares,
  times,
} from "./problem.js";

export const deepWhitened: DeepFormulation = {
  name: "deep linear network on whitened data",
  source: "Ergen and Pilanci 2021 (arXiv:2002.09773) for the setting; t^(2/L) in place of t from three layers on",

  refuses(problem) {
    const refusal = refusesDeep(problem);
    if (refusal !== null) return refusal;
    const { values } = spectrum(deepData(problem).X);
    const [most, least] = [values[0] ?? 0, values.at(-1) ?? 0];
    if (most > 0 && most <= (1 + WHITE) * least) return null;
    const centred = problem.outputBias === null ? "" : ", less their means,";
    return (
      `expected whitened rows: all nonzero singular values of x${centred} equal to within ${WHITE}, got ${most.toPrecision(4)} to ` +
      `${least.toPrecision(4)} (for several outputs and other data no closed form is known from three layers on; two layers are what ConvexReLUTrainer solves for any x)`
    );
  },

  build: (problem) => ({ solve: async (_, { tolerance }) => solveWhitened(problem, tolerance) }),
  recover: layersOfDeep,
};

/** How far the largest singular value may be above the least, relatively: what float32 leaves of whitened data is 1e-6. */
const WHITE = 1e-3;

function solveWhitened(problem: DeepProblem, tolerance: number): DeepSolution {
  const began = performance.now();
  const { X, Y, scale, power, charge, biasOf } = deepData(problem);
  const { values, left, right } = spectrum(X);
  const s = values[0];
  const B = times(left, Y); // U'Y
  const { values: b, left: P, right: Q } = singularVectors(B);
  const most = Math.min(b.length, ...problem.widths);
  const sizes = b.map((size, k) => (k < most ? shrinkByPower(scale * s * s, size / s, charge, power) : 0));
  let dual = scale * Math.max(0, squares(Y) - squares(B));
  b.forEach((size, k) => {
    dual += scale * (s * sizes[k] - size) ** 2 + charge * realPower(sizes[k], power);
  });
  const W = productOf(sizes, P, Q, right, values);
  const whole = singularVectors(W);
  const rank = sizes.filter((size) => size > 0).length;
  const upper = ({ cols, data }: Matrix) => ({ rows: rank, cols, data: data.subarray(0, rank * cols) });
  const directions = { sizes: whole.values.subarray(0, rank), left: upper(whole.left), right: upper(whole.right) };
  const found = {
    ...{ kernels: asLayers(directions, problem), bias: biasOf(W), rank, dual },
    assumption: `x is whitened: its ${values.length} nonzero singular values are ${s.toPrecision(6)} to ${values[values.length - 1].toPrecision(6)}`,
    among: `${problem.charges.length} linear layers of these widths`,
  };
  return deepSolution(problem, found, "linear", tolerance, began);
}

/** W = V diag(s / s_k) sum_k t_k p_k q_k', which has the outputs of the whitened optimum on X as it is. */
function productOf(sizes: Float64Array, P: Matrix, Q: Matrix, right: Matrix, values: Float64Array): Matrix {
  const W = { rows: right.cols, cols: Q.cols, data: new Float64Array(right.cols * Q.cols) };
  for (let k = 0; k < sizes.length; k++) {
    if (sizes[k] === 0) continue;
    const u = new Float64Array(right.cols);
    for (let i = 0; i < right.rows; i++) {
      const weight = (P.data[k * P.cols + i] * values[0]) / values[i];
      for (let p = 0; p < u.length; p++) u[p] += weight * right.data[i * right.cols + p];
    }
    for (let p = 0; p < u.length; p++) {
      for (let c = 0; c < Q.cols; c++) W.data[p * Q.cols + c] += sizes[k] * u[p] * Q.data[k * Q.cols + c];
    }
  }
  return W;
}
