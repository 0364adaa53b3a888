/** The weights of a network as the program has them. */

import { type Network, type NetworkWeights, weightsOf } from "../../convex/network.js";
import type { Problem } from "../records.js";
import { decayOf } from "./regularization.js";

/** The weights of a network in the program's own columns; exactly as wide as it needs unless `units` says otherwise. */
export function programWeights(
  { program, column, regularization }: Pick<Problem, "program" | "column" | "regularization">,
  network: Network,
  units = Math.max(1, network.neurons.length),
): NetworkWeights {
  return weightsOf(network, decayOf(regularization), program.X.cols, units, column.value);
}
