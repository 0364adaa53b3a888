/** What a formulation here is: a network class whose convex program has a matrix for its variable, and the way back to layers. */

import type { Kernels } from "../kernels/types.js";
import type { Round, SolveBudget } from "../solvers/solution.js";
import type { Gap, Loss, Matrix, OutputBias, Status } from "../types.js";

/** What every program here is posed on; a formulation may ask for more. */
export interface MatrixProblem {
  readonly X: Matrix; // [n x d], with a column of ones where hidden units have a bias
  readonly loss: Loss; // of the outputs [n x C]
  readonly outputBias: OutputBias | null;
  readonly beta: number; // weight of the charge
}

/** Weights of a layer that has any, as tfjs holds them. */
export interface LayerWeights {
  readonly kernel: Matrix; // [inputs x units]
  readonly bias: Float64Array | null; // [units]
}

/** Where a solve ended; everything float64. A formulation adds its point. */
export interface MatrixSolution {
  readonly status: Status;
  readonly advice: string;
  /** The objective of the network at the point, and what no network of the class is below where `exact`. */
  readonly gap: Gap;
  /** True when the bound is over the whole class of networks, not over those that were looked at. */
  readonly exact: boolean;
  readonly rounds: number;
  readonly seconds: number;
}

/** When to stop, where a round has no blocks of gates to show. */
export interface MatrixBudget extends Omit<SolveBudget, "onRound"> {
  readonly onRound?: (round: Pick<Round, "index" | "seconds" | "gap">) => Promise<boolean> | boolean;
}

/** A program that is ready to be solved. */
export interface MatrixProgram<Solution> {
  solve(kernels: Kernels, budget: MatrixBudget): Promise<Solution>;
}

export interface MatrixFormulation<Problem, Solution extends MatrixSolution> {
  readonly name: string;
  /** Null, or what the problem would have to be: "expected ..., got ...". */
  refuses(problem: Problem): string | null;
  build(problem: Problem): MatrixProgram<Solution>;
  /** The layers with weights, from the input on, whose network attains `gap.primal`. */
  recover(problem: Problem, solution: Solution): readonly LayerWeights[];
}
