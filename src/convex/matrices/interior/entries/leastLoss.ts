/** Newton steps to the least loss, each halved until it leads no higher. */

import type { Pause } from "../cones.js";

const MOST_STEPS = 100;
/** Halves of a step. */
const HALVES = 20;
/** A step of Newton that is shorter is compared with a gradient's. */
const SHORT = 1 / 4;

export interface LeastLoss {
  value(at: Float64Array): number;
  /** What is taken off, or null where there is none. */
  newton(at: Float64Array): Promise<Float64Array | null>;
  /** The same of a gradient step, no longer than a bound of the curvature allows: where the loss is almost linear Newton's lead nowhere. */
  gradient?(at: Float64Array): Float64Array;
  /** Whether it may end here. */
  enough?(at: Float64Array): boolean;
}

/** Steps from zero [size]; null where there is no least value, no direction, or no time. */
export async function leastLoss(size: number, loss: LeastLoss, pause: Pause): Promise<Float64Array | null> {
  let at: Float64Array = new Float64Array(size);
  let before = loss.value(at);
  for (let step = 0; step < MOST_STEPS; step++) {
    if (await pause()) return null;
    if (loss.enough?.(at) === true) return at;
    const along = await loss.newton(at);
    let best = along && shortened(loss, at, along, before);
    if (loss.gradient !== undefined && (best === null || best.length < SHORT)) {
      const other = shortened(loss, at, loss.gradient(at), before);
      if (best === null || other.after < best.after) best = other;
    }
    if (best === null) return null;
    const { next, after } = best;
    if (!(after <= before)) return at; // rounding is reached
    const ended = before - after <= Number.EPSILON * before;
    [at, before] = [next, after];
    if (ended) return at;
  }
  return null;
}

function shortened({ value }: LeastLoss, at: Float64Array, along: Float64Array, before: number) {
  let [length, next, after] = [1, at, before];
  for (let half = 0; half < HALVES; half++, length /= 2) {
    next = at.map((entry, p) => entry - length * along[p]);
    after = value(next);
    if (after <= before) break;
  }
  return { length, next, after };
}
