/**
 * Means of I equal branches under one budget, where losses add up: how far a branch is from convex, and what that costs (Zhang, Shao and
 * Salakhutdinov 2019, by the theorem of Shapley and Folkman).
 *
 * A branch is one of finitely many candidates, each with a loss and a cost. v(c) is the least loss of a branch of cost c or less, a
 * staircase; mixtures of candidates have its convex envelope. I branches have sup D <= inf P <= sup D + 2 Delta / I, Delta the largest
 * distance between the two.
 */

export { type BestBranches, bestBranches } from "./choose.js";
export { farthestStep, type Staircase, staircaseOf, type Tangent, tangentAt } from "./staircase.js";
