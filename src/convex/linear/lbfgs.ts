/**
 * Limited-memory BFGS (Liu and Nocedal 1989) with the weak Wolfe bisection of Lewis and Overton (2013), which also descends on
 * functions with kinks, where it ends near one instead of at a zero gradient.
 */

import { dot, norm } from "./vectors.js";

const MEMORY = 10;
const ARMIJO = 1e-4;
const WOLFE = 0.9;
const TRIALS = 25;
/** Pairs whose curvature is below this share of |y|^2 would spoil the metric. */
const FLAT = 1e-12;

/** f(x), its (sub)gradient written into `gradient`. */
export interface Objective {
  (x: Float64Array, gradient: Float64Array): number;
  /** Lets go of what it holds of an engine. */
  dispose?(): void;
}

/** What `use` makes of an objective, which is let go of then. */
export async function usingObjective<T>(objective: Objective, use: (objective: Objective) => Promise<T>): Promise<T> {
  try {
    return await use(objective);
  } finally {
    objective.dispose?.();
  }
}

/** The diagonal of an inverse Hessian, up to a factor, or what it is at x. */
export type Scales = Float64Array | ((x: Float64Array) => Float64Array);

/** The same of a device that may have to answer first. */
export type DeviceObjective = (x: Float64Array, gradient: Float64Array) => number | Promise<number>;

/** Where a descent ended: never above where it began. */
export interface Descent {
  readonly x: Float64Array;
  readonly value: number;
  readonly steps: number;
}

/**
 * Descends from x for at most `steps` steps, until no step helps, or until `pause` answers true. `scales`, of the inverse
 * Hessian's diagonal up to a factor, or what they are at a point, stand for what no pair has told yet. `breath` is asked between the
 * trials of a step.
 */
export async function descend(
  objective: DeviceObjective,
  start: Float64Array,
  steps: number,
  pause: () => Promise<boolean>,
  scales?: Scales,
  breath?: () => Promise<unknown>,
): Promise<Descent> {
  let x = Float64Array.from(start);
  let gradient = new Float64Array(x.length);
  let value = await objective(x, gradient);
  let trial = new Float64Array(x.length);
  let trialGradient = new Float64Array(x.length);
  const metric = new Metric(x.length, scales ?? new Float64Array(x.length).fill(1));
  let done = 0;
  for (; done < steps && Number.isFinite(value); done++) {
    if (await pause()) break;
    const direction = metric.direction(gradient, x);
    const slope = dot(gradient, direction);
    if (!(slope < 0)) {
      if (metric.empty) break;
      metric.forget();
      continue;
    }
    let low = 0;
    let high = Number.POSITIVE_INFINITY;
    let next = Number.NaN;
    for (let k = 0, t = 1; k < TRIALS; k++) {
      if (k > 0 && breath !== undefined) await breath();
      for (let p = 0; p < x.length; p++) trial[p] = x[p] + t * direction[p];
      next = await objective(trial, trialGradient);
      if (!(next <= value + ARMIJO * t * slope)) high = t;
      else if (dot(trialGradient, direction) < WOLFE * slope) low = t;
      else break;
      t = high === Number.POSITIVE_INFINITY ? 2 * t : (low + high) / 2;
    }
    if (!(next < value)) {
      if (metric.empty) break;
      metric.forget();
      continue;
    }
    metric.learn(x, trial, gradient, trialGradient);
    [x, trial] = [trial, x];
    [gradient, trialGradient] = [trialGradient, gradient];
    value = next;
  }
  return { x, value, steps: done };
}

/** When a descent is no longer worth its steps. */
export interface Worthwhile {
  /** Steps that have to take `share` off the value together, for others to follow. */
  readonly window: number;
  readonly share: number;
  readonly scales?: Scales;
  /** Asked between the trials of a step, so that the host can breathe. */
  readonly breath?: () => Promise<unknown>;
}

/** `descend`, while it is worth its steps; the objective is let go of in the end. */
export async function descendWorthwhile(
  objective: Objective,
  start: Float64Array,
  steps: number,
  pause: () => Promise<boolean>,
  { window, share, scales, breath }: Worthwhile,
): Promise<Descent> {
  let lowest = Number.POSITIVE_INFINITY;
  let before = Number.POSITIVE_INFINITY;
  let step = 0;
  const watched = (x: Float64Array, gradient: Float64Array) => {
    const value = objective(x, gradient);
    lowest = Math.min(lowest, value);
    return value;
  };
  const enough = async () => {
    if (await pause()) return true;
    step += 1;
    if (step % window !== 0) return false;
    const slow = before - lowest < share * Math.abs(lowest);
    before = lowest;
    return slow;
  };
  return usingObjective(objective, () => descend(watched, start, steps, enough, scales, breath));
}

/** The inverse Hessian's approximation by the last few pairs of steps and changes of the gradient. */
class Metric {
  private readonly moves: Float64Array[] = [];
  private readonly turns: Float64Array[] = [];
  private readonly curvatures: number[] = []; // move' turn

  constructor(
    private readonly size: number,
    private readonly scalesAt: Scales,
  ) {}

  get empty(): boolean {
    return this.moves.length === 0;
  }

  forget(): void {
    this.moves.length = 0;
    this.turns.length = 0;
    this.curvatures.length = 0;
  }

  learn(from: Float64Array, to: Float64Array, before: Float64Array, after: Float64Array): void {
    const full = this.moves.length === MEMORY;
    const move = (full ? this.moves.shift() : undefined) ?? new Float64Array(this.size);
    const turn = (full ? this.turns.shift() : undefined) ?? new Float64Array(this.size);
    if (full) this.curvatures.shift();
    let curvature = 0;
    let square = 0;
    for (let p = 0; p < this.size; p++) {
      const y = after[p] - before[p];
      move[p] = to[p] - from[p];
      turn[p] = y;
      curvature += move[p] * y;
      square += y * y;
    }
    if (!(curvature > FLAT * square)) return;
    this.moves.push(move);
    this.turns.push(turn);
    this.curvatures.push(curvature);
  }

  /** Minus the metric at x times the gradient, by the two-loop recursion. */
  direction(gradient: Float64Array, x: Float64Array): Float64Array {
    const { moves, turns, curvatures } = this;
    const scales = typeof this.scalesAt === "function" ? this.scalesAt(x) : this.scalesAt;
    const q = gradient.map((value) => -value);
    const last = moves.length - 1;
    const shares = new Float64Array(moves.length);
    for (let k = last; k >= 0; k--) {
      shares[k] = dot(moves[k], q) / curvatures[k];
      add(-shares[k], turns[k], q);
    }
    // Before the first pair, a step of length one: nothing is known of the scale yet.
    const scaled = (vector: Float64Array) => vector.map((value, p) => value * scales[p]);
    const scale =
      last < 0
        ? 1 / Math.max(norm(scaled(gradient)), Number.MIN_VALUE)
        : curvatures[last] / dot(turns[last], scaled(turns[last]));
    for (let p = 0; p < q.length; p++) q[p] *= scale * scales[p];
    for (let k = 0; k <= last; k++) add(shares[k] - dot(turns[k], q) / curvatures[k], moves[k], q);
    return q;
  }
}

function add(factor: number, from: Float64Array, to: Float64Array): void {
  for (let p = 0; p < to.length; p++) to[p] += factor * from[p];
}
