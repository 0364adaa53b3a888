/**
 * Units a t^2 + b t + c of length one with an l1 charge on the output weights (Bartan and Pilanci 2021, "neural spectrahedra").
 *
 * min over u_j, |u_j| = 1, and alpha   L(sum_j h(X u_j) alpha_j' + 1 c') + beta sum_j |alpha_j|_1, whose convex form is semidefinite
 * with a matrix [d + 1 x d + 1] for each output and sign. It is not solved as one: units are priced exactly, and under a smooth loss
 * they move; under one with kinks they are inserted, and output weights solved again. The bound is over all units in both.
 */

import type { Kernels } from "../kernels/types.js";
import type { SolveBudget } from "../solvers/solution.js";
import { descendUnits } from "../units/descendUnits.js";
import type { Polynomial } from "../units/hiddenUnits.js";
import { unitsOf } from "../units/incremental.js";
import { insertUnits } from "../units/insertUnits.js";
import type { UnitNetwork, UnitSolution } from "../units/problem.js";
import type { LayerWeights, MatrixFormulation, MatrixProblem } from "./formulation.js";

export interface PolynomialProblem extends MatrixProblem {
  readonly activation: Polynomial;
}

/** Above this an eigendecomposition a round takes tens of seconds. */
const MOST_FEATURES = 1200;

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
  const { activation, loss, beta } = problem;
  const searched = { ...problem, radius: 1 };
  const units = unitsOf(searched, kernels, { starts: 1, together: 1, seed: 1 });
  if (!Number.isFinite(loss.curvature)) return insertUnits(problem, beta, kernels, budget, units);
  const moved = await descendUnits(problem, activation, beta, kernels, budget);
  if (moved.status !== "stalled") return moved;
  // Where rounding ends the descents the output weights alone may still close the gap.
  const left = { ...budget, seconds: budget.seconds - moved.seconds };
  const start = moved.units.map(({ weights }) => weights);
  const solved = await insertUnits(problem, beta, kernels, left, { ...units, start });
  const seconds = moved.seconds + solved.seconds;
  return solved.gap.relative <= moved.gap.relative ? { ...solved, seconds } : { ...moved, seconds };
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
