/** What a formulation is: a network class, its convex program, and the way back to neurons, in one file. */

import type { Network } from "../network.js";
import type { ConvexProgram, GateSet, Loss, Matrix, OutputBias, Penalty, Pooling, SparseBlocks } from "../types.js";

/** What the program is built from; X holds the bias column already. */
export interface ProgramParts {
  readonly X: Matrix; // [n x d]
  readonly gates: GateSet;
  readonly loss: Loss;
  readonly beta: number;
  readonly outputBias: OutputBias | null;
  readonly pooling: Pooling | null;
}

export interface Formulation {
  readonly name: "relu" | "gated" | "linear" | "affine";
  /** Names of the penalties that the formulation can be built with, for so many vectors a block; the first is the default. */
  penaltiesFor(outputs: number): readonly Penalty["name"][];
  build(parts: ProgramParts, penalty: Penalty["name"]): ConvexProgram;
  recover(program: ConvexProgram, blocks: SparseBlocks): Network;
}
