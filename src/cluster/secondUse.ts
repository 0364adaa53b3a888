/** A cluster does one thing at a time. */

import { ConvexError } from "../errors.js";

/** What is thrown where a cluster that is in use is to do a fit, or a sweep, too. */
export function secondUse(cluster: "local" | "ray", what: "fit" | "sweep"): ConvexError {
  return new ConvexError(
    "options/value",
    `${cluster}: expected one ${what} at a time on a cluster, got a second one. Make another cluster for it.`,
  );
}
