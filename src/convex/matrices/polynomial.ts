/**
 * Units a t^2 + b t + c of length one with an l1 charge on the output weights (Bartan and Pilanci 2021, "neural spectrahedra").
 *
 * min over u_j, |u_j| = 1, and alpha   L(sum_j h(X u_j) alpha_j' + 1 c') + beta sum_j |alpha_j|_1, whose convex form is semidefinite
 * with a matrix [d + 1 x d + 1] for each output and sign. Where rows are patches of images, h is averaged over those under each place
 * of a read-out, and there is a matrix for each place as well (the same, on convolutions). It is not solved as one: units are priced exactly, and under a smooth loss
 * they move, from where an interior method ends if rows are few; under one with kinks, which is
 * rounded off for that, they are inserted in the end, and output weights solved again. The
 * bound is over all units in both.
 */

import { bestScale, relativeGap } from "../certificate/index.js";
import type { Kernels } from "../kernels/types.js";
import { inTurns } from "../linear/pieces.js";
import { smoothed } from "../losses/smoothed.js";
import { biasAlone, dualPointAtZero } from "../operators/dualPoint.js";
import { Clock } from "../solvers/clock.js";
import { advice, type SolveBudget } from "../solvers/solution.js";
import type { Loss, Pooling } from "../types.js";
import {
  descendUnits,
  insertUnits,
  onePlace,
  outputsAtPlace,
  type Places,
  type Polynomial,
  placesOf,
  placesOfRows,
  polynomialUnits,
  type UnitNetwork,
  type UnitSolution,
  withFewUnits,
} from "../units/index.js";
import type { LayerWeights, MatrixFormulation, MatrixProblem } from "./formulation.js";
import { nearOptimum } from "./polynomialStart.js";

export interface PolynomialProblem extends MatrixProblem {
  readonly activation: Polynomial;
  /** Where it is there, rows of X are patches, n K of them. */
  readonly pooling?: Pooling | null;
}

type Placed = Omit<PolynomialProblem, "pooling"> & { readonly places: Places };

/** Above this an eigendecomposition a round takes tens of seconds. */
const MOST_FEATURES = 1200;

/** Of a loss with kinks: how wide they are rounded off, in units of the outputs, and the gap at which the next stage begins. */
const SMOOTHING = [1, 0.1, 0.01, 0.001, 0.0001];
const STAGE_TOLERANCE = 1e-5;

export const polynomialNetworks: MatrixFormulation<PolynomialProblem, UnitSolution> = {
  name: "polynomial",

  refuses({ X, beta }) {
    if (!(beta > 0)) return `expected a charge on the output weights, beta above 0, got ${beta}`;
    if (X.cols > MOST_FEATURES) return `expected at most ${MOST_FEATURES} features, bias included, got ${X.cols}`;
    return null;
  },

  build: (problem) => ({ solve: (kernels, budget) => solvePolynomial(problem, kernels, budget) }),

  recover: ({ X, loss, outputBias }, { units, bias }) =>
    layersOf({ units, bias }, X.cols, loss.outputs, outputBias !== null),
};

async function solvePolynomial(given: PolynomialProblem, kernels: Kernels, budget: SolveBudget): Promise<UnitSolution> {
  const { activation, X, loss, beta, pooling = null } = given;
  const clock = new Clock(budget.seconds, budget.stopped ?? (() => false));
  const pause = () => clock.pause();
  const places = pooling === null ? onePlace(X) : await inTurns(placesOf(X, pooling, kernels), pause);
  if (places === null) return withoutUnits(given, clock);
  const problem: Placed = { ...given, places };
  let [iterations, rounds] = [0, 0];
  const left = (tolerance: number) => ({
    ...budget,
    tolerance,
    maxIterations: Math.max(0, budget.maxIterations - iterations),
    seconds: clock.left,
  });
  const ended = (best: UnitSolution) => ({ ...best, rounds, iterations, seconds: clock.seconds });
  const smooth = Number.isFinite(loss.curvature);
  let best: UnitSolution | null = null;
  const inside = pooling !== null ? null : await nearOptimum(problem, kernels, budget.tolerance, pause);
  let near: UnitNetwork | null = inside?.network ?? null;
  for (const stage of inside !== null ? [inside.loss] : smooth ? [loss] : envelopesOf(loss)) {
    const tolerance = smooth ? budget.tolerance : Math.max(budget.tolerance / 10, STAGE_TOLERANCE);
    const moved = await descendUnits({ ...problem, loss: stage }, activation, beta, kernels, left(tolerance), near);
    near = moved;
    iterations += moved.iterations;
    rounds += moved.rounds;
    best = better(problem, best, moved, smooth ? moved.gap.primal : objectiveAt(problem, moved));
    if (best.gap.relative <= budget.tolerance) return { ...ended(best), ...SOLVED };
    const { status, advice } = moved;
    if (status !== "solved" && status !== "stalled") return { ...ended(best), status, advice };
    if (iterations >= budget.maxIterations) return { ...ended(best), ...CUT };
  }
  // Where rounding or a kink ends the descents the output weights alone may still close the gap.
  const units = polynomialUnits(problem, activation);
  const start = best?.units.map(({ weights }) => weights) ?? [];
  const known = start.length > 0 ? { ...units, start } : units;
  const solved = await insertUnits(problem, beta, kernels, left(budget.tolerance), known);
  iterations += solved.iterations;
  rounds += solved.rounds;
  const few = withFewUnits(solved, X.cols, loss.outputs * places.list.length);
  const last = few.units.length < solved.units.length ? { ...solved, ...few } : solved;
  best = better(problem, best, last, objectiveAt(problem, last));
  const status = best.gap.relative <= budget.tolerance ? SOLVED : { status: solved.status, advice: solved.advice };
  return { ...ended(best), ...status };
}

const SOLVED = { status: "solved", advice: advice.solved } as const;
const CUT = { status: "iterationLimit", advice: advice.iterationLimit } as const;

/** The best outputs that are constant, where time did not suffice for patches; the bound is that of the dual point zero. */
function withoutUnits(problem: PolynomialProblem, clock: Clock): UnitSolution {
  const { loss, outputBias } = problem;
  const bias = biasAlone(problem);
  const Z = Float64Array.from({ length: loss.rows * loss.outputs }, (_, k) => bias[k % loss.outputs]);
  const primal = loss.value(Z) + bias.reduce((sum, value) => sum + (outputBias?.ridge ?? 0) * value ** 2, 0);
  const { value: dual } = bestScale(problem, dualPointAtZero(problem), 0);
  const status = clock.stopped() ? "cancelled" : "timeLimit";
  return {
    ...{ units: [], bias, status, advice: advice[status], exact: true },
    gap: { primal, dual, relative: relativeGap(primal, dual, problem) },
    bestRatio: Number.POSITIVE_INFINITY,
    dualPoint: dualPointAtZero(problem),
    ...{ rounds: 0, iterations: 0, seconds: clock.seconds },
  };
}

/** The network with the lower objective, and the higher of both bounds; what is NaN is neither. */
export function better(
  program: Pick<Placed, "loss" | "outputBias">,
  best: UnitSolution | null,
  next: UnitSolution,
  primal: number,
): UnitSolution {
  const bounds = [best?.gap.dual ?? Number.NaN, next.gap.dual].filter((value) => !Number.isNaN(value));
  const bound = Math.max(Number.NEGATIVE_INFINITY, ...bounds);
  const kept = best === null || primal < best.gap.primal || Number.isNaN(best.gap.primal) ? next : best;
  const value = kept === next ? primal : kept.gap.primal;
  const dual = Math.min(bound, value); // above it only by rounding
  return { ...kept, gap: { primal: value, dual, relative: relativeGap(value, dual, program) }, exact: true };
}

/** Loss and charge of a network, by the definition. */
export async function polynomialObjective(problem: PolynomialProblem, network: UnitNetwork) {
  const { X, pooling = null } = problem;
  const breath = new Clock(Number.POSITIVE_INFINITY, () => false);
  const places = pooling === null ? onePlace(X) : await inTurns(placesOfRows(X, pooling), () => breath.pause());
  if (places === null) throw new Error("nobody told it to end");
  const { loss, charge } = partsAt({ ...problem, places }, network);
  return { loss, regularization: charge, total: loss + charge };
}

function objectiveAt(problem: Placed, network: UnitNetwork): number {
  const { loss, charge } = partsAt(problem, network);
  return loss + charge;
}

function partsAt({ places, loss, outputBias, activation, beta }: Placed, { units, bias }: UnitNetwork) {
  const C = loss.outputs;
  const Z = Float64Array.from({ length: loss.rows * C }, (_, k) => bias[k % C]);
  let charge = bias.reduce((sum, value) => sum + (outputBias?.ridge ?? 0) * value ** 2, 0);
  for (const { weights, outputs } of units) {
    outputs.forEach((alpha, feed) => {
      if (alpha === 0) return;
      const h = outputsAtPlace(activation, places.list[Math.floor(feed / C)], weights);
      for (let k = 0; k < loss.rows; k++) Z[k * C + (feed % C)] += alpha * h[k];
      charge += beta * Math.abs(alpha);
    });
  }
  return { loss: loss.value(Z), charge };
}

/** The loss rounded off, ever less: at first over one unit of the outputs. */
function envelopesOf(loss: Loss): Loss[] {
  return SMOOTHING.map((share) => smoothed(loss, share * loss.rows * loss.outputs));
}

/** Kernels [d x m] and [A m x C] of units at A places, filters fastest, and the output bias. */
export function layersOf({ units, bias }: UnitNetwork, d: number, C: number, outputBias: boolean): LayerWeights[] {
  const m = units.length;
  const feeds = units.reduce((most, { outputs }) => Math.max(most, outputs.length), C);
  const hidden = new Float64Array(d * m);
  const output = new Float64Array(m * feeds);
  units.forEach(({ weights, outputs }, j) => {
    for (let p = 0; p < d; p++) hidden[p * m + j] = weights[p];
    outputs.forEach((alpha, feed) => {
      output[(Math.floor(feed / C) * m + j) * C + (feed % C)] = alpha;
    });
  });
  return [
    { kernel: { rows: d, cols: m, data: hidden }, bias: null },
    { kernel: { rows: (m * feeds) / C, cols: C, data: output }, bias: outputBias ? bias : null },
  ];
}
