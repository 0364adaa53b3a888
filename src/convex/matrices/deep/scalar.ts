/**
 * Deep linear networks with one output, every layer decayed: a search over one number.
 *
 * The least charge of a product w is L g |w|^(2/L), attained by layers of rank one, so that the program is the least over r of
 * g(r) + L g r^(2/L) with g(r) = min over |w| <= r of |X w - y|^2 / n. That is convex and falls, and is one secular equation,
 * w = (X'X + mu I)^-1 X'y, |w| = r; the sum is not convex from L = 3 on, and is bounded by branch and bound over r.
 */

import { power } from "../../linear/elementary.js";
import type { Matrix } from "../../types.js";
import { leastAlongPower } from "./leastAlongPower.js";
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
} from "./problem.js";

export const deepScalar: DeepFormulation = {
  name: "deep linear network with one output",
  source: "layers of rank one cost L g |w|^(2/L); two layers: Ergen and Pilanci 2021, section 2",

  refuses(problem) {
    const refusal = refusesDeep(problem);
    if (refusal !== null) return refusal;
    return problem.Y.cols === 1 ? null : `expected one output, got ${problem.Y.cols}`;
  },

  build: (problem) => ({ solve: async (_, { tolerance }) => solveScalar(problem, tolerance) }),
  recover: layersOfDeep,
};

/** Of the tolerance: what the search over |w| may leave open. */
const SEARCH = 1e-2;
const ROUNDING = 1e-13;

function solveScalar(problem: DeepProblem, tolerance: number): DeepSolution {
  const began = performance.now();
  const { X, Y, scale, power, charge, biasOf } = deepData(problem);
  const { values, left, right } = spectrum(X);
  const b = projections(left, Y); // of y on the left singular vectors
  const rest = Math.max(0, squares(Y) - b.reduce((sum, value) => sum + value * value, 0));
  const ball = new LengthPath(values, b);
  const { at: length, bound } = leastAlongPower(
    (r) => {
      const mu = ball.multiplier(r);
      return { value: scale * (rest + ball.loss(mu)), slope: -2 * scale * ball.pull(mu, r) };
    },
    ball.longest,
    charge,
    power,
    Math.max(SEARCH * tolerance, ROUNDING),
  );
  const w = ball.vector(ball.multiplier(length), right);
  const rank = length > 0 ? 1 : 0;
  const unit = { rows: rank, cols: X.cols, data: w.map((value) => value / length).subarray(0, rank * X.cols) };
  const one = { rows: rank, cols: 1, data: new Float64Array(rank).fill(1) };
  const kernels = asLayers({ sizes: new Float64Array(rank).fill(length), left: unit, right: one }, problem);
  const found = {
    ...{ kernels, rank, dual: bound },
    bias: biasOf({ rows: X.cols, cols: 1, data: rank === 0 ? new Float64Array(X.cols) : w }),
    assumption: "one output; nothing is asked of x",
    among: `${problem.charges.length} linear layers of any widths`,
  };
  return deepSolution(problem, found, "linear", tolerance, began);
}

function projections(left: Matrix, Y: Matrix): Float64Array {
  return Float64Array.from({ length: left.rows }, (_, k) => {
    let sum = 0;
    for (let i = 0; i < left.cols; i++) sum += left.data[k * left.cols + i] * Y.data[i];
    return sum;
  });
}

/** w(mu) = (X'X + mu I)^-1 X'y in the singular vectors of X. */
class LengthPath {
  /** The length of the shortest w of least loss. */
  readonly longest: number;
  private readonly reach: number; // |X'y|

  constructor(
    private readonly s: Float64Array, // singular values of X, above 0
    private readonly b: Float64Array, // u_k'y
  ) {
    this.longest = this.length(0);
    this.reach = Math.sqrt(s.reduce((sum, value, k) => sum + (value * b[k]) ** 2, 0));
  }

  /** mu with |w(mu)| = r; Infinity at r = 0. Newton on 1 / |w|, which is nearly linear, from where it can't overshoot. */
  multiplier(r: number): number {
    if (!(r > 0)) return Number.POSITIVE_INFINITY;
    if (r >= this.longest) return 0;
    let low = 0;
    let high = this.reach / r;
    let mu = 0;
    for (let step = 0; step < 100; step++) {
      const length = this.length(mu);
      if (length > r) low = mu;
      else high = mu;
      const next = mu + ((length - r) / r) * ((length * length) / this.steepness(mu));
      const kept = next > low && next < high ? next : 0.5 * (low + high);
      if (Math.abs(kept - mu) <= 4 * Number.EPSILON * kept) return kept;
      mu = kept;
    }
    return mu;
  }

  /** |X w(mu) - y|^2 in the range of X. */
  loss(mu: number): number {
    return this.sum((s, b) => (mu === Number.POSITIVE_INFINITY ? b * b : ((mu * b) / (s * s + mu)) ** 2));
  }

  /** mu r, which is |X'y| at r = 0. */
  pull(mu: number, r: number): number {
    return mu === Number.POSITIVE_INFINITY ? this.reach : mu * r;
  }

  vector(mu: number, right: Matrix): Float64Array {
    const w = new Float64Array(right.cols);
    if (mu === Number.POSITIVE_INFINITY) return w;
    for (let k = 0; k < this.s.length; k++) {
      const weight = (this.s[k] * this.b[k]) / (this.s[k] ** 2 + mu);
      for (let p = 0; p < w.length; p++) w[p] += weight * right.data[k * right.cols + p];
    }
    return w;
  }

  private length(mu: number): number {
    return Math.sqrt(this.sum((s, b) => ((s * b) / (s * s + mu)) ** 2));
  }

  /** -|w| d|w| / d mu. */
  private steepness(mu: number): number {
    return this.sum((s, b) => (s * b) ** 2 / power(s * s + mu, 3));
  }

  private sum(term: (s: number, b: number) => number): number {
    let sum = 0;
    for (let k = 0; k < this.s.length; k++) sum += term(this.s[k], this.b[k]);
    return sum;
  }
}
