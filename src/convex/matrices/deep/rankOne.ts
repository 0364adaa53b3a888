/**
 * Deep ReLU networks without biases on rows c_i a, c_i >= 0, every layer decayed (Ergen and Pilanci 2021, theorem 3, with decay in place
 * of exact fit).
 *
 * Such a network is positively homogeneous, f(c_i a) = c_i f(a), and |f(a)| <= |a| prod |W_l|, so that outputs c b' cost at least
 * L g (|b| / |a|)^(2/L), attained by one unit a layer. What is left is one number: b lies along Y'c. Rows that are so only nearly are within
 * epsilon = |E| prod |W_l| of that, which the bound allows for. Of c_i with both signs two units are needed, and from three layers
 * on what they cost is open.
 */

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

export const deepRankOne: DeepFormulation = {
  name: "deep ReLU network on rows along one direction",
  source: "Ergen and Pilanci 2021 (arXiv:2002.09773), theorem 3, with the loss in place of exact fit",

  refuses(problem) {
    const refusal = refusesDeep(problem) ?? refusesBias(problem);
    if (refusal !== null) return refusal;
    const ray = rayOf(problem.X);
    if (ray === null) return "expected rows along one direction, got zeros only";
    if (!(ray.beside <= ALONG * ray.length)) {
      return `expected rows c_i a along one direction, a share of at most ${ALONG} beside it, got ${(ray.beside / ray.length).toPrecision(3)}`;
    }
    if (ray.off <= 2 * ALONG * ray.length) return null;
    return (
      "expected rows c_i a with c_i of one sign, got both (two units are needed then: of two layers ConvexReLUTrainer finds " +
      "them; from three on no closed form is known)"
    );
  },

  build: (problem) => ({ solve: async (_, { tolerance }) => solveRankOne(problem, tolerance) }),
  recover: layersOfDeep,
};

/** A bias makes a network not homogeneous. */
export function refusesBias({ outputBias }: DeepProblem): string | null {
  return outputBias === null ? null : "expected no biases (the theorem is about networks without), got an output bias";
}

/** What float32 leaves beside one direction, relative to |X|, with room. */
const ALONG = 1e-5;

/** X = c a' + E with |a| = 1 and c >= 0. */
interface Ray {
  readonly a: Float64Array; // [d]
  readonly c: Float64Array; // [n]
  readonly length: number; // |X a|
  readonly beside: number; // |X - X a a'|
  readonly off: number; // |E|
}

function rayOf(X: Matrix): Ray | null {
  const { values, left, right } = spectrum(X);
  if (values.length === 0) return null;
  const sign = left.data.subarray(0, X.rows).reduce((sum, value) => sum + value, 0) < 0 ? -1 : 1;
  const a = right.data.slice(0, X.cols).map((value) => sign * value);
  const along = times(X, { rows: X.cols, cols: 1, data: a }).data;
  const c = along.map((value) => Math.max(0, value));
  const rest = (kept: Float64Array) =>
    Math.sqrt(X.data.reduce((sum, x, k) => sum + (x - kept[Math.floor(k / X.cols)] * a[k % X.cols]) ** 2, 0));
  return {
    a,
    c,
    length: Math.sqrt(squares({ rows: 1, cols: X.rows, data: along })),
    beside: rest(along),
    off: rest(c),
  };
}

function solveRankOne(problem: DeepProblem, tolerance: number): DeepSolution {
  const began = performance.now();
  const { Y, scale, power, charge } = deepData(problem);
  const { a, c, off } = rayOf(problem.X) as Ray;
  const C = Y.cols;
  const square = c.reduce((sum, value) => sum + value * value, 0);
  const b = times({ rows: 1, cols: c.length, data: c }, Y).data.map((value) => value / square); // best outputs at a
  const far = Math.sqrt(b.reduce((sum, value) => sum + value * value, 0));
  const t = shrinkByPower(scale * square, far, charge, power);
  const rank = t > 0 ? 1 : 0;
  const right = { rows: rank, cols: C, data: b.map((value) => value / far).subarray(0, rank * C) };
  const left = { rows: rank, cols: a.length, data: a.subarray(0, rank * a.length) };
  const kernels = asLayers({ sizes: new Float64Array(rank).fill(t), left, right }, problem);
  const rest = Math.max(0, squares(Y) - square * far * far);
  const exact = scale * (rest + square * (t - far) ** 2) + charge * realPower(t, power);
  const found = {
    ...{ kernels, bias: new Float64Array(C), rank, dual: exact },
    assumption: `rows c_i a with c_i >= 0; beside that ${off.toExponential(1)} of ${Math.sqrt(square).toPrecision(4)}`,
    among: `${problem.charges.length} ReLU layers of any widths without biases`,
  };
  const { gap } = deepSolution(problem, found, "relu", tolerance, began);
  // Networks above this objective need no bound; those below have prod |W_l| at most (objective / charge)^(L/2).
  const epsilon = off * realPower(gap.primal / charge, 1 / power);
  const dual = exact - 2 * scale * epsilon * (Math.sqrt(gap.primal / scale) + epsilon);
  return deepSolution(problem, { ...found, dual }, "relu", tolerance, began);
}
