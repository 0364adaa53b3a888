/**
 * Convex neural networks (Bengio, Le Roux, Vincent, Delalleau and Marcotte 2006): units are inserted one after another, each the
 * one that the residual prices highest, and all output weights are solved again; it ends when none is worth more than beta.
 *
 *   min over a, c   L(sum_j a_j h(X w_j) + 1 c') + beta sum_j |a_j|_1
 *
 * over all units w_j. A dual point N is feasible when |N_c' h(X w)| <= beta for every unit, and the largest of these values, or
 * an upper bound of it, scales any N until it is. With the hinge loss every solve is a linear program.
 */

import type { Kernels } from "../kernels/types.js";
import { dualPointAtZero } from "../operators/dualPoint.js";
import type { SolveBudget } from "../solvers/solution.js";
import { BoundedOracle } from "./boundedOracle.js";
import { outputsOfUnit, type Polynomial } from "./hiddenUnits.js";
import { insertUnits } from "./insertUnits.js";
import { onePlace, outputsAtPlace } from "./places.js";
import { PolynomialOracle } from "./polynomialOracle.js";
import type { PlacedData, UnitClass, UnitOptions, UnitProblem, UnitSolution } from "./problem.js";

/** The smallest beta at which no unit helps that the oracle knows. */
export async function trivialUnitBeta(
  problem: UnitProblem,
  kernels: Kernels,
  options: UnitOptions,
  pause: () => Promise<boolean>,
): Promise<number> {
  const { oracle } = unitsOf(problem, kernels, options);
  // An exact search is one round of the solve, and says nothing until its end.
  const breathe = async () => {
    await pause();
    return false;
  };
  const exact = typeof problem.activation === "object";
  return (await oracle.dearest(dualPointAtZero(problem), [], exact ? breathe : pause)).largest;
}

export async function solveIncrementally(
  problem: UnitProblem,
  beta: number,
  kernels: Kernels,
  budget: SolveBudget,
  options: UnitOptions,
): Promise<UnitSolution> {
  return insertUnits(problem, beta, kernels, budget, unitsOf(problem, kernels, options));
}

/** The units of an activation, and what prices them. */
export function unitsOf(problem: UnitProblem, kernels: Kernels, options: UnitOptions): UnitClass {
  const { X, activation } = problem;
  if (typeof activation === "object") return polynomialUnits({ ...problem, places: onePlace(X) }, activation);
  const outputsOf = (weights: Float64Array) => [outputsOfUnit(activation, X, weights)];
  return { outputsOf, places: 1, oracle: new BoundedOracle({ ...problem, activation }, kernels, options) };
}

/** Polynomial units at any place. */
export function polynomialUnits({ places, loss }: PlacedData, activation: Polynomial): UnitClass {
  return {
    outputsOf: (weights) => places.list.map((place) => outputsAtPlace(activation, place, weights)),
    places: places.list.length,
    oracle: new PolynomialOracle(places, loss.outputs, activation),
  };
}
