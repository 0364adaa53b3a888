/**
 * Deep ReLU networks without biases on whitened rows (X X' = s^2 I) with one-hot targets, every layer decayed.
 *
 * One unit a layer for each class: the column of outputs of a class of n_k rows has length t s, t minimising
 * (s t - sqrt n_k)^2 / (n C) + L g t^(2/L). Of two layers that is the optimum, a soft threshold, as Ergen and Pilanci 2021 (theorem 4)
 * have it; from three layers on the printed threshold belongs to decay on the last two layers alone, and this is the best network whose
 * classes share no unit. Networks whose classes share units may be below it (docs/claims.md, 9: five layers, six classes).
 *
 * The bound: |relu(H W)| <= |H| |W| and the nuclear norm of H W_L is at most |H| |W_L|, so that outputs F cost at least
 * L g (|F|_* / s)^(2/L), s the largest singular value of X. Its least sum with the loss is a search over |F|_*; it is the value itself
 * for two layers or one class.
 */

import { counted } from "../../../arguments.js";
import { realPower } from "../../linear/elementary.js";
import type { Matrix } from "../../types.js";
import { leastAlongPower, shrinkByPower } from "./leastAlongPower.js";
import { deepSolution, layersOfDeep } from "./network.js";
import {
  asLayers,
  type DeepFormulation,
  type DeepProblem,
  type DeepSolution,
  deepData,
  refusesDeep,
  spectrum,
} from "./problem.js";
import { refusesBias } from "./rankOne.js";

export const deepOneHot: DeepFormulation = {
  name: "deep ReLU network on whitened rows with one-hot targets",
  source: "Ergen and Pilanci 2021 (arXiv:2002.09773), theorem 4, with t^(2/L) in place of t from three layers on",

  refuses(problem) {
    const refusal = refusesDeep(problem) ?? refusesBias(problem);
    if (refusal !== null) return refusal;
    const wrong = notOneHot(problem.Y);
    if (wrong !== null) return `expected one-hot targets, got ${wrong}`;
    const { rows, cols } = problem.X;
    const { values } = spectrum(problem.X);
    if (values.length < rows) {
      return `expected orthogonal rows of one length, at most as many as columns, got ${counted(rows, "row")} of rank ${values.length} in ${counted(cols, "column")}`;
    }
    const [most, least] = [values[0], values[rows - 1]];
    if (most <= (1 + WHITE) * least) return null;
    return `expected orthogonal rows of one length: singular values of x equal to within ${WHITE}, got ${most.toPrecision(4)} to ${least.toPrecision(4)}`;
  },

  build: (problem) => ({ solve: async (_, { tolerance }) => solveOneHot(problem, tolerance) }),
  recover: layersOfDeep,
};

/** How far the largest singular value may be above the least, relatively. */
const WHITE = 1e-3;
/** Of the tolerance: what the search for the bound may leave open. */
const SEARCH = 1e-2;
const ROUNDING = 1e-13;
const OPEN =
  "The gap is not the solver's: the network is the best whose classes share no unit, and the bound allows for ones that share. It closes " +
  "for two layers, or one class.";

function notOneHot({ rows, cols, data }: Matrix): string | null {
  for (let i = 0; i < rows; i++) {
    const row = data.subarray(i * cols, (i + 1) * cols);
    if (row.every((value) => value === 0 || value === 1) && row.reduce((sum, value) => sum + value, 0) === 1) continue;
    return `${Array.from(row.subarray(0, 8)).join(", ")} in row ${i}`;
  }
  return null;
}

function solveOneHot(problem: DeepProblem, tolerance: number): DeepSolution {
  const began = performance.now();
  const { X, Y, scale, power, charge } = deepData(problem);
  const { cols: C } = Y;
  const s = spectrum(X).values[0];
  const counts = new Float64Array(C);
  for (let k = 0; k < Y.data.length; k++) counts[k % C] += Y.data[k];
  const roots = counts.map(Math.sqrt); // singular values of Y
  const classes = Array.from(counts.keys())
    .map((c) => ({ c, t: shrinkByPower(scale * s * s, roots[c] / s, charge, power) }))
    .filter(({ t }) => t > 0)
    .sort((one, other) => counts[other.c] - counts[one.c])
    .slice(0, Math.min(...problem.widths));
  const rank = classes.length;
  const left = { rows: rank, cols: X.cols, data: new Float64Array(rank * X.cols) };
  const right = { rows: rank, cols: C, data: new Float64Array(rank * C) };
  classes.forEach(({ c }, k) => {
    const mean = left.data.subarray(k * X.cols, (k + 1) * X.cols);
    for (let i = 0; i < X.rows; i++) {
      for (let p = 0; p < X.cols; p++) mean[p] += Y.data[i * C + c] * X.data[i * X.cols + p];
    }
    const length = Math.sqrt(mean.reduce((sum, value) => sum + value * value, 0));
    for (let p = 0; p < X.cols; p++) mean[p] /= length;
    right.data[k * C + c] = 1;
  });
  const kernels = asLayers({ sizes: Float64Array.from(classes, ({ t }) => t), left, right }, problem);
  const { bound: dual } = leastAlongPower(
    (tau) => withinNuclear(roots, tau, scale),
    roots.reduce((sum, root) => sum + root, 0),
    charge * realPower(s, -power),
    power,
    Math.max(SEARCH * tolerance, ROUNDING),
  );
  const found = {
    ...{ kernels, bias: new Float64Array(C), rank, dual, open: OPEN },
    assumption: `${counted(X.rows, "orthogonal row")} of one length, and one-hot targets of ${counted(counts.filter((n) => n > 0).length, "class")}`,
    among: `${problem.charges.length} ReLU layers of any widths without biases`,
  };
  return deepSolution(problem, found, "relu", tolerance, began);
}

/** min scale |F - Y|^2 over |F|_* <= tau, and its slope in tau, from the singular values of Y: a soft threshold. */
function withinNuclear(roots: Float64Array, tau: number, scale: number): { value: number; slope: number } {
  const falling = roots.slice().sort((a, b) => b - a);
  let threshold = 0;
  let sum = 0;
  for (let k = 0; k < falling.length; k++) {
    sum += falling[k];
    const here = (sum - tau) / (k + 1);
    if (here >= (falling[k + 1] ?? 0)) {
      threshold = Math.max(0, here);
      break;
    }
  }
  const value = scale * falling.reduce((total, root) => total + Math.min(root, threshold) ** 2, 0);
  return { value, slope: -2 * scale * threshold };
}
