/** What is asked of the program of parallel branches, and what it answers. */

import type { Arrangements } from "../arrangements/index.js";
import type { MatrixProblem, MatrixSolution } from "../matrices/index.js";
import type { Branch, BranchCharge } from "./branch.js";

export interface ParallelProblem extends MatrixProblem {
  readonly hidden: readonly number[]; // m_1, .., m_L-2: neurons of a layer that feed each of the next
  readonly charge: BranchCharge;
  /** All blocks, or so many that Gaussian branches have. */
  readonly blocks: Extract<Arrangements, { kind: "enumerate" }> | { readonly kind: "sample"; readonly count: number };
  readonly seed: number;
}

export interface ParallelSolution extends MatrixSolution {
  readonly branches: readonly Branch[]; // those that are not zero
  readonly bias: Float64Array; // [1]
  /** Blocks that the bound is about. */
  readonly blocks: number;
  readonly inserted: number; // blocks that the program was solved over in the end
}
