/** Which ReLU problems can have neurons that feed several outputs. */

import { isStandardized } from "../../convex/operators/coordinates.js";
import { mayShareOutputs } from "../../convex/sharing/index.js";
import { ConvexError } from "../../errors.js";
import type { Settings } from "../options.js";
import type { Problem } from "../records.js";

/** True where neurons may feed several outputs, and have the gates of their own weights. */
export function mayShare({ program, growth, constraint, reduction }: Problem): boolean {
  const free = growth !== null || program.gates.complete;
  const own = reduction === null || isStandardized(reduction.space);
  return constraint === null && own && mayShareOutputs(program) && free;
}

/** Refuses `vectorPenalty: "nuclear"` for a ReLU problem that cannot have it. */
export function refuseUnshared(problem: Problem, { vectorPenalty }: Settings): void {
  const { formulation, program } = problem;
  if (formulation.name !== "relu" || vectorPenalty !== "nuclear" || program.loss.outputs === 1 || mayShare(problem))
    return;
  throw new ConvexError(
    "options/value",
    `vectorPenalty: expected "perOutput" for a ReLU network with ${program.loss.name}, these arrangements and read-out, got "nuclear". ` +
      `Neurons that feed several outputs need a smooth loss, gates that grow or are complete, and no patches that are read out apart.`,
  );
}
