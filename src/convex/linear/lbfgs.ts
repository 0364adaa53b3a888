/**
 * Limited-memory BFGS (Liu and Nocedal 1989) with the weak Wolfe bisection of Lewis and Overton (2013), which also descends on
 * functions with kinks, where it ends near one instead of at a zero gradient.
 */

import type { Kernels, VectorPairs } from "../kernels/types.js";
import { MEMORY, PairMetric, plainPairs, type Scales } from "./pairs/index.js";
import { dot, sumInto } from "./vectors.js";
import { whereRoom } from "./whereRoom.js";

export { MEMORY, type Scales };

const ARMIJO = 1e-4;
const WOLFE = 0.9;
const TRIALS = 25;

/** f(x), its (sub)gradient written into `gradient`. */
export interface Objective {
  (x: Float64Array, gradient: Float64Array): number;
  /** f(x) alone, where that is cheaper. */
  value?(x: Float64Array): number;
  /** What a network says [n x C] at x, where that was the last that it was asked for; else null. It is overwritten by the next. */
  outputsAt?(x: Float64Array): Float64Array | null;
  /** Lets go of what it holds of an engine. */
  dispose?(): void;
}

/** What `use` makes of an objective, which is let go of then. */
export async function usingObjective<O extends DeviceObjective, T>(
  objective: O,
  use: (objective: O) => Promise<T>,
): Promise<T> {
  try {
    return await use(objective);
  } finally {
    objective.dispose?.();
  }
}

/** The same of a device that may have to answer first. */
export interface DeviceObjective {
  (x: Float64Array, gradient: Float64Array): number | Promise<number>;
  dispose?(): void;
}

/** The objective, with a look at each of its values. */
export function watchedBy(objective: DeviceObjective, see: (value: number) => void): DeviceObjective {
  const seen = (value: number) => {
    see(value);
    return value;
  };
  return (x, gradient) => {
    const value = objective(x, gradient);
    return typeof value === "number" ? seen(value) : value.then(seen);
  };
}

/** Where a descent ended: never above where it began. */
export interface Descent {
  readonly x: Float64Array;
  readonly value: number;
  readonly steps: number;
  /** The value where it began. */
  readonly began: number;
  /** True where it ended since no step helped. */
  readonly still: boolean;
}

/**
 * Descends from x for at most `steps` steps, until no step helps, or until `pause` answers true. `scales`, of the inverse
 * Hessian's diagonal up to a factor, or what they are at a point, stand for what no pair has told yet. `breath` is asked between the
 * trials of a step. `pairs` are room for those that are kept, `MEMORY` by default; the caller disposes it.
 */
export async function descend(
  objective: DeviceObjective,
  start: Float64Array,
  steps: number,
  pause: () => Promise<boolean>,
  scales?: Scales,
  breath?: () => Promise<unknown>,
  pairs?: VectorPairs,
): Promise<Descent> {
  let x = Float64Array.from(start);
  let gradient = new Float64Array(x.length);
  let value = await objective(x, gradient);
  const began = value;
  let trial = new Float64Array(x.length);
  let trialGradient = new Float64Array(x.length);
  const metric = new PairMetric(x.length, scales ?? new Float64Array(x.length).fill(1), pairs);
  let done = 0;
  let still = false;
  for (; done < steps && Number.isFinite(value); done++) {
    if (await pause()) break;
    const direction = metric.direction(gradient, x);
    const slope = dot(gradient, direction);
    if (!(slope < 0)) {
      still = metric.empty;
      if (still) break;
      metric.forget();
      continue;
    }
    let low = 0;
    let high = Number.POSITIVE_INFINITY;
    let next = Number.NaN;
    for (let k = 0, t = 1; k < TRIALS; k++) {
      if (k > 0 && breath !== undefined) await breath();
      sumInto(x, t, direction, trial);
      next = await objective(trial, trialGradient);
      if (!(next <= value + ARMIJO * t * slope)) high = t;
      else if (dot(trialGradient, direction) < WOLFE * slope) low = t;
      else break;
      t = high === Number.POSITIVE_INFINITY ? 2 * t : (low + high) / 2;
    }
    if (!(next < value)) {
      still = metric.empty;
      if (still) break;
      metric.forget();
      continue;
    }
    metric.learn(x, trial, gradient, trialGradient);
    [x, trial] = [trial, x];
    [gradient, trialGradient] = [trialGradient, gradient];
    value = next;
  }
  return { x, value, steps: done, began, still };
}

/** When a descent is no longer worth its steps. */
export interface Worthwhile {
  /** Steps that have to take `share` off the value together, for others to follow; it is asked for after each window where it changes. */
  readonly window: number;
  readonly share: number | (() => number);
  /** Told the lowest value after each window. */
  readonly onWindow?: ((lowest: number) => void) | undefined;
  readonly scales?: Scales;
  /** Asked between the trials of a step, so that the host can breathe. */
  readonly breath?: () => Promise<unknown>;
  /** An engine that may have something faster for the metric. */
  readonly kernels?: Pick<Kernels, "pairs">;
  /** Pairs that the metric keeps; default `MEMORY`. */
  readonly memory?: number;
}

/** `descend`, while it is worth its steps; the objective is let go of in the end. */
export async function descendWorthwhile(
  objective: DeviceObjective,
  start: Float64Array,
  steps: number,
  pause: () => Promise<boolean>,
  { window, share, onWindow, scales, breath, kernels, memory = MEMORY }: Worthwhile,
): Promise<Descent> {
  let lowest = Number.POSITIVE_INFINITY;
  let before = Number.POSITIVE_INFINITY;
  let step = 0;
  const watched = watchedBy(objective, (value) => {
    lowest = Math.min(lowest, value);
  });
  const enough = async () => {
    if (await pause()) return true;
    step += 1;
    if (step % window !== 0) return false;
    onWindow?.(lowest);
    const wanted = typeof share === "number" ? share : share();
    const slow = before - lowest < wanted * Math.abs(lowest);
    before = lowest;
    return slow;
  };
  return usingObjective(objective, () =>
    withPairs(kernels, start.length, (pairs) => descend(watched, start, steps, enough, scales, breath, pairs), memory),
  );
}

/** What `use` makes of room for pairs, an engine's where that has any. */
export async function withPairs<T>(
  kernels: Pick<Kernels, "pairs"> | undefined,
  size: number,
  use: (pairs: VectorPairs) => Promise<T>,
  memory = MEMORY,
): Promise<T> {
  const pairs = whereRoom(() => kernels?.pairs?.(size, memory)) ?? plainPairs(size, memory);
  try {
    return await use(pairs);
  } finally {
    pairs.dispose();
  }
}
