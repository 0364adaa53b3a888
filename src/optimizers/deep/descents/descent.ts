/** The descent of a whole model: L-BFGS over all of its weights on its full objective, and hops out of the minima where that ends. */

import { descend, withPairs } from "../../../convex/linear/lbfgs.js";
import type { Clock } from "../../../convex/solvers/clock.js";
import type { Settings } from "../../options.js";
import type { WholeObjective } from "../objective.js";

/** More than any descent takes before it slows. */
const STEPS = 1_000_000;
/** A descent ends where so many steps took less than its tolerance off the objective. */
const WINDOW = 30;
/** A hop moves each weight by a Gaussian of one of these shares, in turn, of the root mean square of its tensor; the third is to other first weights. */
const HOPS = [0.3, 1, "anew"] as const;
/** Of the objective: what so many steps take off it in a hop that goes on. */
const HOP_TOLERANCE = 2e-3;
/** Of the time: what hops may take before a descent from the lowest weights that goes on for longer. */
const HOPS_SHARE = 0.7;
/** Hops in a row that bring less than this share of the objective, after which no more are tried. */
const USELESS = 6;
const WORTH = 0.01;

/** How far to go. */
export interface Effort {
  /** The share of the objective that a descent must take off it in so many steps to go on. */
  readonly least: number;
  /** Hops of a round. */
  readonly hops: number;
  /** The share that a round must bring for another one. */
  readonly worth: number;
}

const LIMITED: Effort = { least: 1e-3, hops: 12, worth: 0.01 };
/** Where no option says how far: what more work would bring is not worth waiting for. */
const PATIENT: Effort = { least: 3e-3, hops: 3, worth: 0.05 };

/** By the options: `least` is the tolerance, where that is less. */
export function effortOf({ patient, tolerance }: Pick<Settings, "patient" | "tolerance">): Effort {
  return patient ? PATIENT : { ...LIMITED, least: Math.min(LIMITED.least, tolerance) };
}

/** Told of the lowest value so far, the model having its weights; ends what goes on by answering true. */
export type Told = (value: number) => Promise<boolean>;

/** What came of a descent. */
export interface WholeDescent {
  readonly value: number;
  readonly steps: number;
  /** True where it ended because someone said so. */
  readonly stopped: boolean;
}

/**
 * Descends from the model's weights until `WINDOW` steps take less than `tolerance` off the objective, in relation to it, or the
 * time is up, also amid the rows; the model then has the lowest weights that were found, and the value is infinite where none was. `told` hears of values below `known` only.
 */
export async function descendWhole(
  objective: WholeObjective,
  tolerance: number,
  clock: Clock,
  told: Told,
  known = Number.POSITIVE_INFINITY,
): Promise<WholeDescent> {
  const start = await objective.weights();
  const best = start.slice();
  let lowest = Number.POSITIVE_INFINITY;
  const watched = async (x: Float64Array, gradient: Float64Array) => {
    const value = await objective.at(x, gradient, undefined, () => clock.pause());
    if (value < lowest) {
      lowest = value;
      best.set(x);
    }
    return value;
  };
  let steps = -1;
  let before = Number.POSITIVE_INFINITY;
  let stopped = false;
  const enough = async () => {
    steps += 1;
    if (await clock.pause()) return true;
    if (steps % WINDOW !== 0 || steps === 0) return false;
    const slow = before - lowest <= tolerance * Math.abs(lowest);
    before = lowest;
    if (lowest < known) {
      objective.write(best);
      stopped = await told(lowest);
    }
    return stopped || slow;
  };
  await withPairs(objective.kernels, start.length, (pairs) =>
    descend(watched, start, STEPS, enough, undefined, () => clock.pause(), pairs),
  );
  objective.write(best);
  return { value: lowest, steps: Math.max(0, steps), stopped };
}

/**
 * Descends, then hops: from the lowest weights so far a little away at random, or from others that are drawn like the `first`, and down
 * again, until `USELESS` hops in a row, or `most` in all, bring next to nothing (basin hopping, Wales and Doye 1997, without uphill
 * moves); then descends to the tolerance. Never ends above its start.
 */
export async function hopDown(
  objective: WholeObjective,
  tolerance: number,
  clock: Clock,
  first: Float64Array,
  draw: () => number,
  most: number,
  told: Told,
): Promise<WholeDescent> {
  const hopping = clock.part(HOPS_SHARE);
  let { value, steps, stopped } = await descendWhole(objective, HOP_TOLERANCE, hopping, told);
  let best = await objective.weights();
  for (let hop = 0, useless = 0; hop < most && useless < USELESS && !stopped && !(await hopping.pause()); hop++) {
    const share = HOPS[hop % HOPS.length];
    objective.write(share === "anew" ? objective.like(first, draw) : objective.near(best, share, draw));
    const next = await descendWhole(objective, HOP_TOLERANCE, hopping, told, value);
    steps += next.steps;
    stopped = next.stopped;
    useless = value - next.value > WORTH * Math.abs(value) ? 0 : useless + 1;
    if (next.value < value) {
      value = next.value;
      best = await objective.weights();
      stopped ||= await told(value);
    }
  }
  objective.write(best);
  if (stopped) return { value, steps, stopped };
  const last = await descendWhole(objective, tolerance, clock, told);
  return { ...last, steps: steps + last.steps };
}
