/** The best output bias by sums: Newton on slopes and curvatures that the shards add up, a trip a step. */

import { smallSolve } from "../linear/smallSolve.js";
import type { OutputBias } from "../types.js";

const STEPS = 60;
/** A slope of this share of the sizes that it is the sum of is rounding. */
const BALANCED = 1e-14;
/** Of the trace: lifts the direction in which softmax does not change. */
const LIFT = 1e-9;
const LEAST_STRIDE = 1e-3;

/** The loss as a function of the bias: value, slopes, the sums of the sizes of what the slopes are sums of, and curvatures. */
export interface BiasSums {
  readonly value: number;
  readonly slopes: Float64Array; // [C]
  readonly sizes: Float64Array; // [C]
  readonly hessian: Float64Array; // [C], or [C x C]
}

/** Reads an answer to the call "bias". */
export function biasSums(answer: Float64Array, C: number): BiasSums {
  return {
    value: answer[0],
    slopes: answer.subarray(1, 1 + C),
    sizes: answer.subarray(1 + C, 1 + 2 * C),
    hessian: answer.subarray(1 + 2 * C),
  };
}

/** The c that minimises the loss and ridge |c|^2, from `start` on. */
export async function bestBias(
  at: (c: Float64Array) => Promise<BiasSums>,
  bias: OutputBias,
  start: Float64Array,
): Promise<Float64Array> {
  const first = await at(start);
  return first.hessian.length === start.length
    ? byCoordinates(at, bias, start, first)
    : jointly(at, bias, start, first);
}

/** Newton on each monotone coordinate, inside a bracket of its sign. */
async function byCoordinates(
  at: (c: Float64Array) => Promise<BiasSums>,
  { ridge }: OutputBias,
  start: Float64Array,
  first: BiasSums,
): Promise<Float64Array> {
  const c = start.slice();
  const low = new Float64Array(c.length).fill(Number.NEGATIVE_INFINITY);
  const high = new Float64Array(c.length).fill(Number.POSITIVE_INFINITY);
  let sums = first;
  for (let step = 0; step < STEPS; step++) {
    let moved = false;
    for (let o = 0; o < c.length; o++) {
      const slope = sums.slopes[o] + 2 * ridge * c[o];
      if (Math.abs(slope) <= BALANCED * sums.sizes[o]) continue;
      if (slope > 0) high[o] = Math.min(high[o], c[o]);
      else low[o] = Math.max(low[o], c[o]);
      const bend = sums.hessian[o] + 2 * ridge;
      let next = bend > 0 ? c[o] - slope / bend : Number.NaN;
      if (!(next > low[o] && next < high[o])) next = between(low[o], high[o], c[o], slope);
      moved ||= next !== c[o];
      c[o] = next;
    }
    if (!moved) break;
    sums = await at(c);
  }
  return c;
}

/** The middle of a bracket, or a step that doubles while one end is open. */
function between(low: number, high: number, at: number, slope: number): number {
  if (Number.isFinite(low) && Number.isFinite(high)) return (low + high) / 2;
  const stride = Math.max(1, 2 * Math.abs(at));
  return slope > 0 ? at - stride : at + stride;
}

/** Damped Newton on all coordinates. */
async function jointly(
  at: (c: Float64Array) => Promise<BiasSums>,
  { ridge }: OutputBias,
  start: Float64Array,
  first: BiasSums,
): Promise<Float64Array> {
  const C = start.length;
  const cost = (c: Float64Array, { value }: BiasSums) => value + ridge * c.reduce((sum, entry) => sum + entry ** 2, 0);
  let c = start.slice();
  let sums = first;
  for (let step = 0; step < STEPS; step++) {
    const direction = sums.slopes.map((slope, o) => slope + 2 * ridge * c[o]);
    if (direction.every((slope, o) => Math.abs(slope) <= BALANCED * sums.sizes[o])) break;
    const H = sums.hessian.slice();
    let trace = 0;
    for (let o = 0; o < C; o++) trace += H[o * C + o];
    for (let k = 0; k < H.length; k++) H[k] += trace / C + (k % (C + 1) === 0 ? LIFT * trace + 2 * ridge : 0);
    smallSolve(H, direction, C);
    let moved = false;
    for (let stride = 1; stride >= LEAST_STRIDE && !moved; stride /= 4) {
      const trial = c.map((entry, o) => entry - stride * direction[o]);
      const there = await at(trial);
      if (!(cost(trial, there) < cost(c, sums))) continue;
      [c, sums, moved] = [trial, there, true];
    }
    if (!moved) break;
  }
  return c;
}
