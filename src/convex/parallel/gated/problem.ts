/** What is asked of the program of gated branches, and what it answers. */

import type { MatrixProblem, MatrixSolution } from "../../matrices/index.js";
import type { BranchCharge } from "../branch.js";
import type { BranchGates } from "./gates.js";

export interface GatedBranchProblem extends MatrixProblem {
  readonly gates: BranchGates;
  readonly charge: BranchCharge;
}

/** A branch of the paths of one tail, D sum_j D_1kj X z_j with D the product of the tail's gates, which feeds the outputs by o. */
export interface GatedBranch {
  readonly owner: number; // k T + t: whose gates it has, and the tail; of three layers k
  readonly Z: Float64Array; // [m_1 x d]
  readonly output: Float64Array; // o [C], of length 1
}

export interface GatedBranchSolution extends MatrixSolution {
  readonly branches: readonly GatedBranch[]; // those that are not zero, by owner
  readonly bias: Float64Array; // [C]
  readonly masks: number; // gates of the program
  readonly solver: string;
  readonly contradicted: boolean; // where neither the branches nor the bound can be trusted
}
