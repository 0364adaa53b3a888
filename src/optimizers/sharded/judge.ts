/** A network as it is written, judged by the sums of rows that are elsewhere. */

import { type NetworkWeights, objectiveOf } from "../../convex/network.js";
import { type AtZero, numbersOf, type RowSums, type ShardedSolution } from "../../convex/sharded/index.js";
import { decayOf } from "../pose/regularization.js";
import type { Posed } from "./pose.js";

const NONE = new Float64Array(0);
/** Differences below this share of the zero network's loss are none in float32. */
const RESOLUTION = 2 ** -23;

/** Its objective, and the pairs of a row and a gate that float32 may decide otherwise, where rows are there to be asked. */
export async function judged(
  rows: RowSums,
  { program, column, regularization }: Pick<Posed, "program" | "column" | "regularization">,
  weights: NetworkWeights,
) {
  const units = weights.kernel.cols;
  const call = { op: "network", units, biasColumn: column.value, gated: weights.gates !== null } as const;
  const [loss, undecided] = await rows.ask(call, numbersOf(weights));
  const told = { ...program.loss, value: () => loss };
  return { written: objectiveOf(weights, program.X, told, decayOf(regularization), NONE), undecided };
}

/** Solved is the network as it stands in the layers. */
export function endOf(
  { status, advice: said }: ShardedSolution,
  network: number,
  dual: number,
  tolerance: number,
  { loss }: AtZero,
): Pick<ShardedSolution, "status" | "advice"> {
  if (status !== "solved" || network - dual <= 2 * tolerance * Math.abs(network) + RESOLUTION * Math.abs(loss))
    return { status, advice: said };
  return {
    status: "stalled",
    advice:
      "The program is solved, but its network loses more than the tolerance when its weights are rounded to float32: bring the columns " +
      "of x, and the targets, to sizes near one.",
  };
}
