/** Parallel branches of three layers or more behind gates: the program, and the way back to layers. */

export { type BranchGates, behindSizes, branchCount, distinctGates, drawBranchGates, pathCount } from "./gates.js";
export { branchLayerCharge, branchLayerOutputs, judging } from "./judge.js";
export { type BranchLayers, branchLayers } from "./layers.js";
export type { GatedBranch, GatedBranchProblem, GatedBranchSolution } from "./problem.js";
export { branchProgram } from "./program.js";
export { branchesOf, refusesGated, solveGatedBranches } from "./solve.js";
