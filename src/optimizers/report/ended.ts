/** What is said of fits whose gap alone would tell another story: cut off below the tolerance, or below their own bound. */

import { CONTRADICTION } from "../../convex/solvers/solution.js";
import type { Certificate, Gap, Status } from "../../convex/types.js";
import type { Problem } from "../records.js";

interface Ended {
  readonly status: Status;
  readonly advice: string;
}

const LIMITS: Partial<Record<Status, string>> = { iterationLimit: "maxIterations", timeLimit: "timeLimit" };

/** No gap is still closing there: what may be left is the search for gates, where they grow. */
export function cutOff(
  ended: Ended,
  { relativeGap }: Certificate,
  { growth, program }: Pick<Problem, "growth" | "program">,
  tolerance: number,
): Ended {
  const limit = LIMITS[ended.status];
  const searching = growth !== null && !program.gates.complete;
  if (limit === undefined || !searching || !(relativeGap <= tolerance)) return ended;
  return {
    ...ended,
    advice: `The gap is below the tolerance for these gates, and the search for better ones was cut off: raise \`${limit}\`.`,
  };
}

/**
 * A point that misses its constraint by rounding may lie below the bound of those that meet it: then it is the constraint that is
 * not solved, however small the gap.
 */
export function metWithin(
  ended: Ended,
  { primal, dual }: Gap,
  { constraint }: Pick<Problem, "constraint">,
  tolerance: number,
): Ended {
  if (constraint === null || ended.status !== "solved" || !(dual - primal > tolerance * Math.abs(primal))) return ended;
  return {
    status: "stalled",
    advice:
      "The network misses its constraint by rounding, and is smaller by more than the tolerance than one that meets it can be: " +
      "take the means off the columns of x and bring them to sizes near one, or loosen `tolerance`.",
  };
}

/** Differences below this share of the zero network's loss are none in float32. */
const RESOLUTION = 2 ** -23;

/** Solved is the network as it stands in the layers: where rounding to float32 has spoilt it, the status says so. */
export function heldInFloat32(
  { status, advice }: Ended,
  { network, dual }: Certificate,
  { loss, constraint }: Pick<Problem, "loss" | "constraint">,
  tolerance: number,
): Ended {
  const floor = RESOLUTION * loss.value(new Float64Array(loss.rows * loss.outputs));
  const room = 2 * tolerance * Math.abs(network) + floor;
  if (status !== "solved" || constraint !== null || !(network - dual > room)) return { status, advice };
  return { status: "stalled", advice: COARSE };
}

const COARSE =
  "The program is solved, but its network loses more than the tolerance when its weights are rounded to float32: bring the columns " +
  "of x, and the targets, to sizes near one.";

/** True where a bound is above the objective by more than rounding: one of them is wrong. */
export function contradicts({ relativeGap }: Certificate): boolean {
  return relativeGap < 0;
}

/** How such a fit ends, as a solve that finds it by itself does. */
export const CONTRADICTED = { status: "stalled", advice: CONTRADICTION, contradicted: true } as const;
