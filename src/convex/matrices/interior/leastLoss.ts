/** Newton steps to the least loss, each halved until it leads no higher. */

import type { Pause } from "./cones.js";

const MOST_STEPS = 30;
/** Halves of a step. */
const HALVES = 20;

/** Steps from zero [size]; null where there is no least value, no direction, or no time. `direction` is what is taken off. */
export async function leastLoss(
  size: number,
  value: (at: Float64Array) => number,
  direction: (at: Float64Array) => Promise<Float64Array | null>,
  pause: Pause,
): Promise<Float64Array | null> {
  let at: Float64Array = new Float64Array(size);
  let before = value(at);
  for (let step = 0; step < MOST_STEPS; step++) {
    if (await pause()) return null;
    const along = await direction(at);
    if (along === null) return null;
    let [length, next, after] = [1, at, before];
    for (let half = 0; half < HALVES; half++, length /= 2) {
      next = at.map((entry, p) => entry - length * along[p]);
      after = value(next);
      if (after <= before) break;
    }
    if (!(after <= before)) return at; // rounding is reached
    const ended = before - after <= Number.EPSILON * before;
    [at, before] = [next, after];
    if (ended) return at;
  }
  return null;
}
