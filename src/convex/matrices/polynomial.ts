/**
 * Units a t^2 + b t + c of length one with an l1 charge on the output weights (Bartan and Pilanci 2021, "neural spectrahedra").
 *
 * min over u_j, |u_j| = 1, and alpha   L(sum_j h(X u_j) alpha_j' + 1 c') + beta sum_j |alpha_j|_1, whose convex form is semidefinite
 * with a matrix [d + 1 x d + 1] for each output and sign. It is not solved as one: units are priced exactly, and under a smooth loss
 * they move, from where an interior method ends if rows are few; under one with kinks, which is
 * rounded off for that, they are inserted in the end, and output weights solved again. The
 * bound is over all units in both.
 */

import { relativeGap } from "../certificate/index.js";
import type { Kernels } from "../kernels/types.js";
import { concatenated } from "../linear/vectors.js";
import { smoothed } from "../losses/smoothed.js";
import { Clock } from "../solvers/clock.js";
import { advice, type SolveBudget } from "../solvers/solution.js";
import type { Loss } from "../types.js";
import {
  decomposeMatrix,
  descendUnits,
  insertUnits,
  networkOf,
  outputsOfUnit,
  type Polynomial,
  type UnitNetwork,
  type UnitSolution,
  unitsOf,
  withFewUnits,
} from "../units/index.js";
import type { LayerWeights, MatrixFormulation, MatrixProblem } from "./formulation.js";
import { type InteriorPoint, interiorTakes, solveInterior } from "./interior.js";
import { signForms } from "./signForms.js";

export interface PolynomialProblem extends MatrixProblem {
  readonly activation: Polynomial;
}

/** Above this an eigendecomposition a round takes tens of seconds. */
const MOST_FEATURES = 1200;

/** Of the tolerance: the gap at which the interior method may end, and what is cut off there. */
const INTERIOR = 0.5;
const CUT = 0.1;

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

async function solvePolynomial(
  problem: PolynomialProblem,
  kernels: Kernels,
  budget: SolveBudget,
): Promise<UnitSolution> {
  const { activation, X, loss, beta } = problem;
  const clock = new Clock(budget.seconds, budget.stopped ?? (() => false));
  const left = (tolerance: number) => ({
    ...budget,
    tolerance,
    seconds: Math.max(0, budget.seconds - clock.seconds),
  });
  const smooth = Number.isFinite(loss.curvature);
  let best: UnitSolution | null = null;
  let near: UnitNetwork | null = await nearOptimum(problem, kernels, budget.tolerance, () => clock.pause());
  for (const stage of smooth ? [loss] : envelopesOf(loss)) {
    const tolerance = smooth ? budget.tolerance : Math.max(budget.tolerance / 10, STAGE_TOLERANCE);
    const moved = await descendUnits({ ...problem, loss: stage }, activation, beta, kernels, left(tolerance), near);
    near = moved;
    best = better(problem, best, moved, smooth ? moved.gap.primal : objectiveAt(problem, moved));
    if (best.gap.relative <= budget.tolerance) return { ...best, ...SOLVED, seconds: clock.seconds };
    if (moved.status !== "solved" && moved.status !== "stalled") return { ...best, seconds: clock.seconds };
  }
  // Where rounding or a kink ends the descents the output weights alone may still close the gap.
  const units = unitsOf({ ...problem, radius: 1 }, kernels, { starts: 1, together: 1, seed: 1 });
  const start = best?.units.map(({ weights }) => weights) ?? [];
  const given = start.length > 0 ? { ...units, start } : units;
  const solved = await insertUnits(problem, beta, kernels, left(budget.tolerance), given);
  const few = withFewUnits(solved, X.cols, loss.outputs);
  const last = few.units.length < solved.units.length ? { ...solved, ...few } : solved;
  best = better(problem, best, last, objectiveAt(problem, last));
  const status = best.gap.relative <= budget.tolerance ? SOLVED : { status: solved.status, advice: solved.advice };
  return { ...best, ...status, seconds: clock.seconds };
}

/** The network that the interior method ends at, and its dual point, output by output; null where the problem is none for it. */
async function nearOptimum(
  problem: PolynomialProblem,
  kernels: Kernels,
  tolerance: number,
  pause: () => Promise<boolean>,
): Promise<(UnitNetwork & { readonly N: Float64Array }) | null> {
  const { X, loss, outputBias, beta, activation } = problem;
  const { cols: d } = X;
  const D = d + 1;
  if (!interiorTakes(loss, D)) return null;
  // <J, W> = 0, J = diag(1, ..., 1, -1), is |p| = r of all units; half of it in the charge makes zero a point inside.
  const diagonals = new Float64Array(D).fill(1);
  diagonals[d] = -1;
  const cones = { forms: signForms(activation, X), outputBias, signs: [1, -1], diagonals } as const;
  const charge = new Float64Array(D).fill(beta / 2);
  const networks: UnitNetwork[] = [];
  const N = new Float64Array(loss.rows * loss.outputs);
  for (let output = 0; output < loss.outputs; output++) {
    const own = { ...cones, charge, loss: loss.outputs === 1 ? loss : loss.output(output) };
    const point = await solveInterior(own, kernels, INTERIOR * tolerance, pause);
    if (point === null) return null;
    for (let k = 0; k < loss.rows; k++) N[k * loss.outputs + output] = point.N[k];
    networks.push(networkAt(point, d, (CUT * tolerance * point.primal) / beta));
  }
  const units = networks.flatMap((network, output) =>
    network.units.map(({ weights, outputs: [alpha] }) => {
      const outputs = new Float64Array(loss.outputs);
      outputs[output] = alpha;
      return { weights, outputs };
    }),
  );
  if (outputBias !== null && outputBias.ridge === 0) loss.balance(N);
  return { units, bias: concatenated(...networks.map(({ bias }) => bias)), N };
}

/** Units of both matrices, without eigenvalues that together are no more than `spare`. */
function networkAt({ matrices, bias }: InteriorPoint, d: number, spare: number): UnitNetwork {
  const parts = matrices.map((W) =>
    decomposeMatrix(W, d, (values) => {
      let cut = 0;
      for (let sum = values[0]; cut < values.length && sum <= spare; sum += values[cut]) cut += 1;
      return values.length - cut;
    }),
  );
  const signs = parts.flatMap((P, s) => Array<1 | -1>(P.length / d).fill(s === 0 ? 1 : -1));
  const outputs = signs.map(() => 0);
  return networkOf({ P: concatenated(...parts), signs, outputs, bias: Float64Array.of(bias) }, d, 1);
}

const SOLVED = { status: "solved", advice: advice.solved } as const;

/** The network with the lower objective, and the higher of both bounds. */
function better(
  program: PolynomialProblem,
  best: UnitSolution | null,
  next: UnitSolution,
  primal: number,
): UnitSolution {
  const bound = Math.max(best?.gap.dual ?? Number.NEGATIVE_INFINITY, next.gap.dual);
  const kept = best !== null && best.gap.primal <= primal ? best : next;
  const value = kept === next ? primal : kept.gap.primal;
  const dual = Math.min(bound, value); // above it only by rounding
  return { ...kept, gap: { primal: value, dual, relative: relativeGap(value, dual, program) }, exact: true };
}

/** Loss and charge of a network, by the definition. */
function objectiveAt({ X, loss, activation, beta }: PolynomialProblem, { units, bias }: UnitNetwork): number {
  const C = loss.outputs;
  const Z = Float64Array.from({ length: loss.rows * C }, (_, k) => bias[k % C]);
  let charge = 0;
  for (const { weights, outputs } of units) {
    const h = outputsOfUnit(activation, X, weights);
    for (let k = 0; k < Z.length; k++) Z[k] += outputs[k % C] * h[Math.floor(k / C)];
    for (const alpha of outputs) charge += beta * Math.abs(alpha);
  }
  return loss.value(Z) + charge;
}

/** The loss rounded off, ever less: at first over one unit of the outputs. */
function envelopesOf(loss: Loss): Loss[] {
  return SMOOTHING.map((share) => smoothed(loss, share * loss.rows * loss.outputs));
}

/** Kernels [d x m] and [m x C] of units, and the output bias. */
export function layersOf({ units, bias }: UnitNetwork, d: number, C: number, outputBias: boolean): LayerWeights[] {
  const m = units.length;
  const hidden = new Float64Array(d * m);
  const output = new Float64Array(m * C);
  units.forEach(({ weights, outputs }, j) => {
    for (let p = 0; p < d; p++) hidden[p * m + j] = weights[p];
    output.set(outputs, j * C);
  });
  return [
    { kernel: { rows: d, cols: m, data: hidden }, bias: null },
    { kernel: { rows: m, cols: C, data: output }, bias: outputBias ? bias : null },
  ];
}
