/** What is said of a fit that was cut off when its gap was below the tolerance already. */

import type { Certificate, Status } from "../../convex/types.js";
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
