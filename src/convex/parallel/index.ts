/** Parallel branches of three layers: the program, and the way back to a network. */

export type { Branch, BranchCharge } from "./branch.js";
export { parallelNetworks } from "./formulation.js";
export type { ParallelProblem, ParallelSolution } from "./problem.js";
export { enumerationRefusal } from "./work.js";
