/** What a solver is asked for and what it answers: budget, round, solution, and the advice that goes with a status. */

import type { ConvexProgram, Gap, SparseBlocks, Status } from "../types.js";

/** When to stop. */
export interface SolveBudget {
  readonly tolerance: number; // relative duality gap
  readonly maxIterations: number; // rounds of the solver
  readonly seconds: number;
  /** Called after each round and awaited; answering true stops with status "cancelled". */
  readonly onRound?: (round: Round) => Promise<boolean> | boolean;
  /** Whether to stop where what more work brings is out of proportion to it, with status "slowed". */
  readonly patient?: boolean;
  /** Asked often, also inside a round; answering true ends the round and stops with status "cancelled". */
  readonly stopped?: () => boolean;
  /** Name of the solver to use; by default the first of the list that does not refuse. */
  readonly solver?: string;
  /** Cones that branch and bound may take to price all gates of a program with cones; without it they are not priced. */
  readonly cones?: number;
}

/** One round: the best point and the tightest gap so far. */
export interface Round {
  readonly index: number; // from 0
  readonly seconds: number; // since the start of the solve
  readonly gap: Gap;
  readonly blocks: SparseBlocks;
  readonly program: ConvexProgram; // whose blocks they are: gates may grow from round to round
  readonly steps?: number; // of inner iterations, where a solver counts them; of outputs that are solved apart their mean
}

export interface Solution {
  readonly status: Status;
  readonly advice: string;
  readonly blocks: SparseBlocks;
  readonly gap: Gap;
  /** [n x C]: the dual point whose objective is the bound. */
  readonly dualPoint: Float64Array;
  readonly solver: string;
  readonly iterations: number;
  readonly seconds: number;
  /** True where a run that began on a device went on in float64 on the host. */
  readonly endedOnHost?: boolean;
  /** True where the bound came out above the objective by more than rounding: neither can be trusted, and nothing is written. */
  readonly contradicted?: boolean;
}

/** What is said of a solution that contradicts itself. */
export const CONTRADICTION =
  "The bound came out above the objective by more than rounding, so that one of them is wrong, and the weights are as they were: " +
  "bring the columns of x to one scale, or fit without warmStart.";

/** One sentence of help for each status. */
export const advice: Readonly<Record<Status, string>> = {
  solved: "The gap is below the tolerance.",
  widthLimit: 'The layer\'s width is the limit: a wider layer, or width: "resize", gets lower.',
  slowed:
    "Progress has become slow: the second half of the work brought less than 2 %. Set `timeLimit` to what you can wait, or `tolerance`, and start from this result to go on.",
  iterationLimit: "The gap is still closing: raise `maxIterations`, or start from this result.",
  timeLimit: "The gap is still closing: raise `timeLimit`, or start from this result.",
  stalled:
    "The gap stopped closing above the tolerance: rounding is the limit; loosen `tolerance`, or scale the columns of x.",
  nonFinite: "A value became NaN or infinite: scale the columns of x, or raise the regularization.",
  cancelled: "A callback or signal asked to stop; the blocks are the best point so far.",
};

/** The advice where blocks are kept in float32 on a device, too. */
export function adviceOn(status: Status, device: boolean): string {
  if (status !== "stalled" || !device) return advice[status];
  return 'The gap stopped closing above the tolerance: float32 is the limit; use a float64 `engine` ("wasm", "cpu"), or loosen `tolerance`.';
}
