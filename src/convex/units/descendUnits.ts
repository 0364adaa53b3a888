/**
 * Polynomial units under a smooth loss: descent in directions and output weights together, and prices of all units between.
 *
 * With p = r u, r = |p| and |alpha| = r^2 a unit gives +-(a (x p)^2 + b r x p + c r^2) and is charged beta |p|^2: smooth wherever
 * the loss is, without constraints. It is the low-rank form of the semidefinite program of Bartan and Pilanci (2021), and where a
 * descent ends the prices say whether it is the optimum, or which units are missing. A few rounds are enough, where inserting
 * units that stay as they are takes tens.
 */

import { bestScale, relativeGap } from "../certificate/index.js";
import type { Kernels } from "../kernels/types.js";
import { descend, type Objective } from "../linear/lbfgs.js";
import { concatenated, dot, norm } from "../linear/vectors.js";
import { biasAlone, dualPointAt } from "../operators/dualPoint.js";
import { Clock } from "../solvers/clock.js";
import { advice, type SolveBudget } from "../solvers/solution.js";
import type { Gap, Loss, Matrix, OutputBias, Status } from "../types.js";
import { decompose } from "./decompose.js";
import type { Polynomial } from "./hiddenUnits.js";
import { PolynomialOracle, type PricedUnit } from "./polynomialOracle.js";
import type { SolvedUnit, UnitNetwork, UnitSolution } from "./problem.js";

/** Steps of a descent a round. */
const STEPS = 100;
/** Units that are inserted a round at most, for each output. */
const TOGETHER = 4;
/** Rounds in a row that together take less than this share off the gap end it: rounding is reached. */
const STALL_ROUNDS = 20;
const STALL_SHARE = 0.05;
/** Units with less than this share of the largest output weight are dropped between rounds, and eigenvalues in the end. */
const DEAD = 1e-8;
/** What fewer units in the end may add to the objective, of the gap that is asked for. */
const SPENT = 1e-3;
/** Of the tolerance: how far above beta a unit is worth inserting. */
const WORTH_SHARE = 0.1;

interface Posed {
  readonly X: Matrix; // [n x d]
  readonly loss: Loss;
  readonly outputBias: OutputBias | null;
}

interface Best {
  readonly point: Point;
  readonly primal: number;
  readonly N: Float64Array;
  readonly largest: number; // worth of a unit at N
}

/** Units that each feed one output: vectors p [m x d], their signs and outputs, and the output bias [C]. */
interface Point {
  readonly P: Float64Array;
  readonly signs: readonly (1 | -1)[];
  readonly outputs: readonly number[];
  readonly bias: Float64Array;
}

export async function descendUnits(
  problem: Posed,
  activation: Polynomial,
  beta: number,
  kernels: Kernels,
  budget: SolveBudget,
  start: UnitNetwork | null = null,
): Promise<UnitSolution> {
  const { X, loss } = problem;
  const clock = new Clock(budget.seconds, budget.stopped ?? (() => false));
  const oracle = new PolynomialOracle(X, loss.outputs, activation);
  let point = pointOf(start ?? { units: [], bias: biasAlone(problem) });
  let best: Best | null = null;
  let bound = Number.NEGATIVE_INFINITY;
  let steps = 0;
  const gaps: number[] = [];
  for (let round = 1; ; round++) {
    const network = new Network(problem, activation, beta, kernels, point);
    const { value: primal, Z } = network.outputs();
    const N = dualPointAt(problem, Z);
    const dual = bestScale(problem, N, beta / oracle.ceiling(N)).value;
    bound = Math.max(dual, bound);
    const [dearest] = oracle.above(N, Number.NEGATIVE_INFINITY);
    const held: Best =
      best === null || !(primal > best.primal) ? { point, primal, N, largest: Math.max(0, dearest.value) } : best;
    best = held;
    bound = Math.min(bound, held.primal); // above it only by rounding
    const gap: Gap = { primal: held.primal, dual: bound, relative: relativeGap(held.primal, bound, problem) };
    gaps.push(gap.relative);
    const paused = await clock.pause();
    const status = statusOf(gap, gaps, budget, paused, clock, steps);
    if (status !== null) {
      const few = fewer(held, problem, activation, beta, kernels, budget.tolerance);
      return {
        ...networkOf(few.point, X.cols, loss.outputs),
        status,
        advice: advice[status],
        gap: { primal: few.primal, dual: bound, relative: relativeGap(few.primal, bound, problem) },
        exact: true,
        bestRatio: held.largest / beta,
        dualPoint: held.N,
        rounds: round,
        seconds: clock.seconds,
      };
    }
    const missing = oracle.above(N, beta * (1 + WORTH_SHARE * budget.tolerance)).slice(0, TOGETHER * loss.outputs);
    const wider = withUnits(point, missing, beta, problem, activation, N);
    const posed = new Network(problem, activation, beta, kernels, wider);
    const descent = await descend(posed.objective, posed.start, STEPS, () => clock.pause());
    steps += descent.steps;
    point = compacted(pruned(posed.pointAt(descent.x), X.cols), X.cols);
  }
}

function statusOf(
  { primal, relative }: Gap,
  gaps: readonly number[],
  { tolerance, maxIterations }: SolveBudget,
  paused: boolean,
  clock: Clock,
  steps: number,
): Status | null {
  if (!Number.isFinite(primal)) return "nonFinite";
  if (relative <= tolerance) return "solved";
  if (paused) return clock.stopped() ? "cancelled" : "timeLimit";
  if (steps >= maxIterations) return "iterationLimit";
  const before = gaps[gaps.length - 1 - STALL_ROUNDS];
  return before !== undefined && relative > (1 - STALL_SHARE) * before ? "stalled" : null;
}

/** The same network with as few units as its matrices have eigenvalues, unless that costs more than it may. */
function fewer(
  { point, primal }: Best,
  problem: Posed,
  activation: Polynomial,
  beta: number,
  kernels: Kernels,
  tolerance: number,
): { readonly point: Point; readonly primal: number } {
  const few = compacted(point, problem.X.cols, DEAD);
  const { value } = new Network(problem, activation, beta, kernels, few).outputs();
  return value <= primal + SPENT * tolerance * Math.abs(primal) ? { point: few, primal: value } : { point, primal };
}

/** The objective of units at a point, as a function of the vectors and the bias. */
class Network {
  readonly start: Float64Array; // [m d + C]
  private readonly T: Float64Array; // [m x n]
  private readonly Z: Float64Array;
  private readonly N: Float64Array;

  constructor(
    private readonly problem: Posed,
    private readonly activation: Polynomial,
    private readonly beta: number,
    private readonly kernels: Kernels,
    private readonly point: Point,
  ) {
    const { X, loss } = problem;
    this.start = new Float64Array(point.P.length + loss.outputs);
    this.start.set(point.P);
    this.start.set(point.bias, point.P.length);
    this.T = new Float64Array(point.signs.length * X.rows);
    this.Z = new Float64Array(X.rows * loss.outputs);
    this.N = new Float64Array(this.Z.length);
  }

  outputs(): { value: number; Z: Float64Array } {
    const { value } = this.forward(this.start);
    return { value, Z: this.Z };
  }

  pointAt(theta: Float64Array): Point {
    const size = this.point.P.length;
    return { ...this.point, P: theta.slice(0, size), bias: theta.slice(size) };
  }

  readonly objective: Objective = (theta, gradient) => {
    const { X, loss, outputBias } = this.problem;
    const { rows: n, cols: d, data } = X;
    const { signs, outputs } = this.point;
    const { a, b, c } = this.activation;
    const { T, Z, N } = this;
    const C = loss.outputs;
    const m = signs.length;
    const { value, lengths } = this.forward(theta);
    loss.gradient(Z, N);
    const along = new Float64Array(m); // what p itself is multiplied by
    for (let j = 0; j < m; j++) {
      const r = lengths[j];
      let turned = 0;
      let total = 0;
      for (let k = 0; k < n; k++) {
        const nu = N[k * C + outputs[j]];
        const t = T[j * n + k];
        turned += nu * t;
        total += nu;
        T[j * n + k] = signs[j] * nu * (2 * a * t + b * r);
      }
      along[j] = 2 * this.beta + signs[j] * (2 * c * total + (r > 0 ? (b * turned) / r : 0));
    }
    if (m > 0) this.kernels.multiply(T, data, gradient.subarray(0, m * d), m, n, d);
    for (let j = 0; j < m * d; j++) gradient[j] += along[Math.floor(j / d)] * theta[j];
    for (let o = 0; o < C; o++) {
      let sum = 0;
      if (outputBias !== null) {
        for (let k = o; k < n * C; k += C) sum += N[k];
        sum += 2 * outputBias.ridge * theta[m * d + o];
      }
      gradient[m * d + o] = sum;
    }
    return value;
  };

  /** T = P X', Z, and the objective at theta. */
  private forward(theta: Float64Array): { value: number; lengths: Float64Array } {
    const { X, loss, outputBias } = this.problem;
    const { rows: n, cols: d, data } = X;
    const { signs, outputs } = this.point;
    const { a, b, c } = this.activation;
    const { T, Z } = this;
    const C = loss.outputs;
    const m = signs.length;
    const lengths = new Float64Array(m);
    if (m > 0) this.kernels.multiplyTransposed(theta.subarray(0, m * d), data, T, m, d, n);
    for (let k = 0; k < n * C; k++) Z[k] = theta[m * d + (k % C)];
    let value = 0;
    for (let j = 0; j < m; j++) {
      const r = norm(theta.subarray(j * d, (j + 1) * d));
      lengths[j] = r;
      value += this.beta * r * r;
      for (let k = 0; k < n; k++) {
        const t = T[j * n + k];
        Z[k * C + outputs[j]] += signs[j] * (a * t * t + b * r * t + c * r * r);
      }
    }
    if (outputBias !== null) for (let o = 0; o < C; o++) value += outputBias.ridge * theta[m * d + o] ** 2;
    return { value: value + loss.value(Z), lengths };
  }
}

/** The point with units that it lacks, each with the output weight of a Newton step of its own, shared among all. */
function withUnits(
  { P, signs, outputs, bias }: Point,
  missing: readonly PricedUnit[],
  beta: number,
  { X, loss }: Posed,
  { a, b, c }: Polynomial,
  N: Float64Array,
): Point {
  const { rows: n, cols: d, data } = X;
  const C = loss.outputs;
  const wider = new Float64Array(P.length + missing.length * d);
  wider.set(P);
  const reach = norm(N) / loss.curvature; // how far the outputs are from where the gradient is zero, at least
  missing.forEach(({ u, value }, i) => {
    let square = 0;
    for (let k = 0; k < n; k++) {
      const t = dot(data.subarray(k * d, (k + 1) * d), u);
      square += ((a * t + b) * t + c) ** 2;
    }
    const step = (value - beta) / (loss.curvature * square * missing.length);
    const alpha = Math.min(step, reach / Math.sqrt(square));
    for (let p = 0; p < d; p++) wider[P.length + i * d + p] = Math.sqrt(alpha) * u[p];
  });
  return {
    P: wider,
    // A unit worth sign N'h > 0 lowers the loss with an output weight of the other sign.
    signs: [...signs, ...missing.map(({ sign }) => (sign > 0 ? -1 : 1) as 1 | -1)],
    outputs: [...outputs, ...missing.map(({ output }) => output)].map((o) => o % C),
    bias,
  };
}

/** Without the units whose output weight has vanished. */
function pruned({ P, signs, outputs, bias }: Point, d: number): Point {
  const weights = signs.map((_, j) => dot(P.subarray(j * d, (j + 1) * d), P.subarray(j * d, (j + 1) * d)));
  const floor = DEAD * weights.reduce((most, weight) => Math.max(most, weight), 0);
  const kept = signs.map((_, j) => j).filter((j) => weights[j] > floor);
  const left = new Float64Array(kept.length * d);
  kept.forEach((j, to) => {
    left.set(P.subarray(j * d, (j + 1) * d), to * d);
  });
  return { P: left, signs: kept.map((j) => signs[j]), outputs: kept.map((j) => outputs[j]), bias };
}

/** The same network with at most d + 1 units of an output and sign; with `rank`, with as few as that many eigenvalues take. */
function compacted({ P, signs, outputs, bias }: Point, d: number, rank: number | null = null): Point {
  const groups = new Map<string, number[]>();
  signs.forEach((sign, j) => {
    const key = `${outputs[j]} ${sign}`;
    groups.set(key, [...(groups.get(key) ?? []), j]);
  });
  const parts = [...groups.values()].map((list) => {
    const given = concatenated(...list.map((j) => P.subarray(j * d, (j + 1) * d)));
    const fewer = rank !== null || list.length > d + 1 ? decompose(given, d, rank ?? 0) : given;
    return { vectors: fewer, count: fewer.length / d, sign: signs[list[0]], output: outputs[list[0]] };
  });
  return {
    P: concatenated(...parts.map(({ vectors }) => vectors)),
    signs: parts.flatMap(({ sign, count }) => Array<1 | -1>(count).fill(sign)),
    outputs: parts.flatMap(({ output, count }) => Array<number>(count).fill(output)),
    bias,
  };
}

/** The same network with as few units as its matrices have eigenvalues, up to rounding. */
export function withFewUnits(network: UnitNetwork, d: number, C: number): UnitNetwork {
  return networkOf(compacted(pointOf(network), d, DEAD), d, C);
}

function pointOf({ units, bias }: UnitNetwork): Point {
  const entries = units.flatMap(({ weights, outputs }) =>
    Array.from(outputs, (alpha, output) => ({ weights, alpha, output })).filter(({ alpha }) => alpha !== 0),
  );
  return {
    P: concatenated(...entries.map(({ weights, alpha }) => weights.map((value) => Math.sqrt(Math.abs(alpha)) * value))),
    signs: entries.map(({ alpha }) => (alpha < 0 ? -1 : 1)),
    outputs: entries.map(({ output }) => output),
    bias,
  };
}

function networkOf({ P, signs, outputs, bias }: Point, d: number, C: number): UnitNetwork {
  const units = signs.map((sign, j): SolvedUnit => {
    const p = P.slice(j * d, (j + 1) * d);
    const r = norm(p);
    const alpha = new Float64Array(C);
    alpha[outputs[j]] = sign * r * r;
    return { weights: p.map((value) => value / r), outputs: alpha };
  });
  return { units, bias };
}
