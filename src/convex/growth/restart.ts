/**
 * Growth that does not depend on luck: a descent from other random neurons, whose gates join those in hand. The program over both
 * has an optimum that is no higher than either's, since it is convex; what a restart gains says how far the luck of a seed goes.
 */

import { arrangementBound } from "../arrangements/index.js";
import { sampleGates } from "../arrangements/sample.js";
import { hasPatches } from "../network.js";
import { blockOutputs } from "../operators/blocks.js";
import type { ConvexProgram } from "../types.js";
import type { Growing } from "./move.js";
import { firstState, grown, type State } from "./state.js";

/** Restarts at most, and the share of the objective that one has to gain for another. */
export const RESTARTS = 4;
export const RESTART_GAIN = 1e-3;
/** Arrangements up to which a search from many starts misses hardly any. */
const FEW = 1e5;

/** True where other neurons may find other gates. */
export function mayRestart({ X, pooling }: ConvexProgram): boolean {
  return !hasPatches(pooling) && arrangementBound(X.rows, Math.min(X.rows, X.cols)) > FEW;
}

/** The point as it is, over its active gates and those of a descent from neurons that `seed` draws. */
export async function restarted(
  state: State,
  firstGates: number,
  seed: number,
  { kernels, clock, effort }: Growing,
): Promise<State> {
  const { program } = state;
  const gates = sampleGates(program.X, { count: firstGates, seed });
  const other = await firstState({ ...program, gates }, kernels, clock, effort);
  const d = program.X.cols;
  const C = blockOutputs(program);
  const joining = Array.from(other.blocks.index, (_, k) => ({
    direction: other.blocks.vectors.slice(k * d, (k + 1) * d),
    output: other.blocks.index[k] % C,
    sign: 1 as const,
    value: 0,
  }));
  return grown(state, joining, false);
}
