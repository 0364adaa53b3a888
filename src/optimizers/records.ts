/** The records that the parts of a fit hand to one another, from reading to the report. */

import type { Growth } from "../convex/arrangements/index.js";
import type { Formulation } from "../convex/formulations/index.js";
import type { Coordinates } from "../convex/operators/coordinates.js";
import type { Constraint } from "../convex/solvers/constrained.js";
import type { Solution } from "../convex/solvers/solution.js";
import type { AllGatesBound, ConvexProgram, Evidence, GateSet, Loss, Matrix, SparseBlocks } from "../convex/types.js";
import type { NetworkSpec } from "./read/model.js";

/** A program together with what it was made from. */
export interface Problem {
  readonly spec: NetworkSpec;
  readonly program: ConvexProgram;
  /** The model's own loss; the program's too, unless a constraint takes its place. */
  readonly loss: Loss;
  readonly constraint: OutputConstraint | null;
  readonly formulation: Formulation;
  readonly column: BiasColumn;
  /** The columns in which the program is, where these are not those of x. */
  readonly reduction: Reduction | null;
  readonly regularization: Regularization;
  readonly growth: Growth | null; // how the gates are to grow while solving
  readonly gateNotes: readonly string[]; // why gates that were to be all are not
}

/** Gates and a point over them: what a fit, or a certificate of a model, ended with. */
export interface StartingPoint {
  readonly gates: GateSet;
  readonly blocks: SparseBlocks;
  /** Says whether they are of standardised columns. */
  readonly regularization?: Pick<Regularization, "standardized">;
  /** How these gates came to be: those of a growth go on growing. */
  readonly problem?: { readonly growth: Growth | null };
}

/** The regularization of a fit. */
export interface Regularization {
  readonly beta: number; // of the convex program; NaN where there is none
  readonly hidden: number; // g1: factor of |W1|^2
  readonly output: number; // g2: factor of |W2|^2
  readonly outputBias: number; // factor of the squared output bias
  readonly skip?: number; // factor of the squared kernel of a linear layer beside the hidden one, where there is one
  readonly source: "model" | "option" | "share" | "held-out";
  /** What beta was chosen by, of source "held-out". */
  readonly curve?: HeldOutCurve;
  /** True where weights are charged as those of standardised columns: each of x less its mean, brought to the spread of the widest. */
  readonly standardized: boolean;
  /** What holds in place of a trade-off: then beta is 1, and the loss is no part of the program. */
  readonly constraint: Constraint | null;
}

/** The loss of rows held out along the betas that were tried, from the largest to the smallest. */
export interface HeldOutCurve {
  readonly betas: readonly number[];
  /** Of the model's loss, without regularization, over the groups of rows held out. */
  readonly mean: readonly number[];
  /** Of that mean, from the spread between the groups; NaN of one group. */
  readonly standardError: readonly number[];
  readonly by: "folds" | "validation data";
  /** False where the time was up while others were still to be tried. */
  readonly whole: boolean;
}

/** How the hidden bias stands in the data: a constant column, absent without a bias. */
export interface BiasColumn {
  readonly value: number; // 0: no column
  /** True when the program charges the bias although the model does not. */
  readonly charged: boolean;
}

/** A constraint on the outputs, and its exact penalty. */
export interface OutputConstraint {
  readonly kind: Constraint;
  readonly targets: Matrix; // [n x C]; -1 or 1 for margins
  /** M |Z - Y|_1 or M sum (1 - Y o Z)_+, as means over entries. */
  penalty(weight: number): Loss;
}

/** Where the program lives, and the rows of x as the model sees them. */
export interface Reduction {
  readonly space: Coordinates;
  readonly X: Matrix; // [n x d], with the bias column where there is one
}

/** A solution, the program whose gates it ended with, and what was seen beyond them. */
export interface PosedSolution extends Solution {
  readonly program: ConvexProgram;
  readonly evidence: Evidence | null;
  readonly allGates: AllGatesBound | null;
}

/** The objective of the model as it was written, split as tfjs splits it. */
export interface Objective {
  readonly loss: number; // what model.evaluate(x, y) returns (with sample weights where they were given)
  readonly regularization: number; // the l2 terms
  readonly total: number;
}
