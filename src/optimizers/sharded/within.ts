/** A network of shards that is wider than its layer -> the best one of the layer's width that a descent on sums finds, and its bound. */

import { relativeGap } from "../../convex/certificate/index.js";
import { LEAST } from "../../convex/linear/vectors.js";
import type { Network } from "../../convex/network.js";
import { boundWith, type Crew, narrowedOnShards, type ShardedSolution } from "../../convex/sharded/index.js";
import type { ConvexProgram, Gap } from "../../convex/types.js";
import type { Settings } from "../options.js";
import type { Posed } from "./pose.js";

/** A network that fits, and the program and gap that are about it. */
export interface Fitting {
  readonly network: Network;
  readonly program: ConvexProgram;
  readonly gap: Gap;
  readonly needed: number; // neurons of the solution
}

/** A descent that gains less is at its end. */
const LEAST_GAIN = 1e-6;

export async function withinUnits(
  crew: Crew,
  posed: Posed,
  { blocks, gap }: Pick<ShardedSolution, "blocks" | "gap">,
  network: Network,
  units: number,
  { tolerance, seed }: Settings,
  pause: () => Promise<boolean>,
): Promise<Fitting> {
  const { program, coned, column } = posed;
  const needed = network.neurons.length;
  if (needed <= units) return { network, program, gap, needed };
  const wish = { units, tolerance: Math.max(tolerance, LEAST_GAIN), seed: seed + 3, pause };
  const { network: narrow, value } = await narrowedOnShards(crew, program, network, wish);
  // Gated neurons keep their gates; others moved to patterns that may not be among the program's.
  const about =
    coned === null || !program.cones
      ? { program, dual: gap.dual }
      : await boundWith(crew, program, coned, blocks, directionsOf(narrow), column.value, pause);
  const dual = Math.min(about.dual, gap.dual);
  const within = { primal: value, dual, relative: relativeGap(value, dual, program) };
  return { network: narrow, program: about.program, gap: within, needed };
}

/** What is said, and the status, of a network that had to be narrowed. */
export function widthEnd(
  { status, advice }: Pick<ShardedSolution, "status" | "advice">,
  { gap: { primal, dual }, needed }: Fitting,
  units: number,
  tolerance: number,
): Pick<ShardedSolution, "status" | "advice"> {
  if (needed <= units) return { status, advice };
  const above = (primal - dual) / Math.max(Math.abs(primal), LEAST);
  if (status === "solved" && above <= tolerance) return { status, advice };
  const said =
    `The layer's width is the limit: the solution of the convex program has ${needed} neurons, and this is the best network of ${units} ` +
    `that a descent found; a wider one can be lower by ${(100 * above).toPrecision(2)} % at most. Build the layer with ${needed} units, ` +
    `or set width: "resize".`;
  const stopped = status === "timeLimit" || status === "cancelled" || status === "nonFinite";
  return stopped ? { status, advice: `${advice} ${said}` } : { status: "widthLimit", advice: said };
}

function directionsOf({ neurons }: Network): Float64Array[] {
  return neurons.map(({ direction }) => direction);
}
