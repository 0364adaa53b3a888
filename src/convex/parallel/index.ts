/** Parallel branches of three ReLU layers and more: the program, and the way back to a network. */

export { type Branch, type BranchCharge, widthsOf } from "./branch.js";
export { hasTails, noBranch, parallelNetworks } from "./formulation.js";
export type { ParallelProblem, ParallelSolution } from "./problem.js";
export { enumerationRefusal } from "./work.js";
