/**
 * Growth that does not depend on luck: some of the neurons give way to random ones, all descend, and the gates of where they end
 * join those in hand. The program over both has an optimum that is no higher than either's, since it is convex; what restarts gain
 * says how far the luck of a seed goes.
 *
 * An iterated local search: half of a good network leads on average to better ones than new neurons alone.
 */

import { arrangementBound } from "../arrangements/index.js";
import { gaussianSource } from "../linear/random.js";
import { hasPatches } from "../network.js";
import { blockOutputs } from "../operators/blocks.js";
import { descended, joined, neuronsOf, picked, programAt, smallNeurons } from "./descents/index.js";
import type { Effort } from "./effort.js";
import type { Growing } from "./move.js";
import { randomStarts } from "./oracle.js";
import { grown, type State } from "./state.js";

/** Restarts at most; how many in a row may gain less than this share of the objective, and how many where all took long. */
const RESTARTS = 12;
const FRUITLESS = 4;
const FRUITLESS_OF_LONG = 1;
const RESTART_GAIN = 1e-3;
/** Arrangements up to which a search from many starts misses hardly any. */
const FEW = 1e5;
/** Steps of a descent, which ends where so many together take less than this share off the objective. */
const DESCENT = 400;
const WORTHWHILE = { window: 50, share: 1e-3 };
/** Size of random neurons against the mean of those that are there. */
const SIZE = 0.2;

/** True where other neurons may find other gates. */
export function mayRestart({ X, pooling }: ConvexRows): boolean {
  return !hasPatches(pooling) && arrangementBound(X.rows, Math.min(X.rows, X.cols)) > FEW;
}

/** True where another restart is in proportion after those with these gains: each costs about half of what came before the first. */
export function worthAnother(gains: readonly number[], effort: Pick<Effort, "noticed" | "slowed">): boolean {
  const most = effort.noticed ? FRUITLESS_OF_LONG : FRUITLESS;
  const last = gains.slice(-most);
  const fruitless = last.length === most && last.every((gain) => gain <= RESTART_GAIN);
  return gains.length < RESTARTS && !fruitless && !effort.slowed;
}

type ConvexRows = Pick<State["program"], "X" | "pooling">;

/** The point as it is, over its active gates and those of a descent from half of its neurons and as many random ones as at first. */
export async function restarted(
  state: State,
  firstGates: number,
  seed: number,
  { kernels, clock, effort }: Growing,
): Promise<State> {
  const { program } = state;
  const d = program.X.cols;
  const draw = gaussianSource(seed);
  const all = neuronsOf(program, state.blocks);
  const places = Array.from(all.scales.keys());
  const half = picked(
    all,
    places.filter(() => draw() > 0),
  );
  const mean = all.scales.reduce((sum, a) => sum + a * a, 0) / Math.max(1, places.length); // |w| = |a|
  const fresh = smallNeurons(randomStarts(program, kernels, firstGates, draw), d, SIZE * (mean || 1));
  const start = joined(half, fresh);
  const most = effort.affordable(DESCENT, start.scales.length);
  const { neurons, steps } = await descended(program, kernels, start, most, () => clock.pause(), WORTHWHILE);
  effort.descent(steps, start.scales.length);
  const other = programAt(program, neurons, kernels);
  const C = blockOutputs(program);
  const joining = Array.from(other.blocks.index, (_, k) => ({
    direction: other.blocks.vectors.slice(k * d, (k + 1) * d),
    output: other.blocks.index[k] % C,
    sign: 1 as const,
    value: 0,
  }));
  return grown(state, joining, false);
}
