/**
 * A stochastic beginning: Adam over small parts of the rows, where there is time for few steps over all of them, or layers go through
 * times, whose slopes are of very different sizes from place to place (Pascanu, Mikolov and Bengio 2013).
 */

import type { Clock } from "../../../convex/solvers/clock.js";
import type { WholeObjective } from "../objective.js";
import type { Part } from "../passes.js";
import type { Told } from "./descent.js";

/** Steps over all rows for which there has to be time, or a descent begins with Adam; rows from which it does without a limit. */
const FEW_STEPS = 400;
const MANY_ROWS = 2000;
/** Of the time: what measuring such a step may take, and looks at the whole objective. */
const LOOK = 0.05;
/**
 * Of the time, and epochs, that it may take; so many in a row that take less than `WORTH` off the objective are the last, but for
 * layers through times, whose epochs rise and fall until their steps shrink.
 */
const SHARE = 0.6;
/** Steps over all rows that are worth being left for: with time for fewer it goes on to the end, in steps that shrink to nothing. */
const WORTHY_STEPS = 60;
const EPOCHS = 100;
const WORTH = 0.01;
const USELESS = 3;
/** Rows of a step, and the constants of Kingma and Ba 2015. */
const ROWS = 32;
const RATE = 0.01;
/** Rates that are tried, each for a share of the time: of layers through times, and where there is time for so few steps that none of these leads far. */
const RATES = [RATE, 0.03] as const;
const FEW_SMALL_STEPS = 400;
const HURRIED_RATES = [...RATES, 0.1] as const;
const TRIAL = 0.08;
/** The same of models without a program, and how many of them have to go on falling when they are tried twice. */
const RATES_ALONE = [1e-3, 3e-3, RATE, 0.03] as const;
const TRIAL_ALONE = 0.04;
const TRIED_AGAIN = 2;
/** Of the epochs, and at least so many: what has to take `WORTH` off the objective where no program follows, or a descent does. */
const STILL = 0.3;
const LEAST_EPOCHS = 30;
/** Of the time: in the last of it the rate goes down to nothing. */
const FADING = 1 / 3;
const [MEAN, SQUARE, TINY] = [0.9, 0.999, 1e-8];

/** Leaves the model with the lowest weights after any epoch, or as it was; answers with epochs. `alone`: no program follows, and it goes first whatever the time. */
export async function warmUp(
  objective: WholeObjective,
  limit: Clock,
  draw: () => number,
  told: Told,
  alone = false,
): Promise<number> {
  if (objective.rows <= ROWS || limit.over) return 0;
  const { recurrent } = objective;
  let pass = Number.isFinite(limit.left) ? await secondsOfPass(objective, limit) : null;
  // The first one compiles loops over times, which takes longer than they do.
  if (recurrent && pass !== null && !limit.over) pass = Math.min(pass, await secondsOfPass(objective, limit));
  const asked = alone || recurrent;
  if (!asked && (pass === null ? objective.rows < MANY_ROWS : limit.left >= FEW_STEPS * pass)) return 0;
  const whole = pass !== null && (1 - SHARE) * limit.left < WORTHY_STEPS * pass;
  const clock = pass === null ? limit : limit.part(whole ? 1 : SHARE);
  const room = clock.left;
  if (room === 0) return 0;
  const fades = whole || asked;
  const timed = asked && pass !== null; // until its time is up
  const left = (epochs: number) => (pass === null ? 1 - epochs / EPOCHS : clock.left / room);
  const parts = objective.parts(ROWS);
  const first = await objective.weights();
  let best = first;
  let lowest = (await objective.value()).total;
  let epochs = 0;
  const epochOf = async ({ steps, rate }: Run, time: Clock, factor = 1) => {
    epochs += 1;
    for (const part of shuffled(parts, draw)) {
      if (await time.pause()) return;
      await objective.at(steps.weights, steps.gradient, [part]);
      steps.take(factor * rate);
    }
  };
  /** The value at the weights of a run, and by how much it is below all before. */
  const look = async ({ steps }: Run) => {
    objective.write(steps.weights);
    const { total } = await objective.value();
    const gain = lowest - total;
    if (gain > 0) {
      lowest = total;
      best = steps.weights.slice();
    }
    return { total, gain };
  };
  /** Goes on with a run for a share of the room, or so many epochs; it is stuck where that took next to nothing off. */
  const tryOut = async (run: Run, share: number) => {
    if (await clock.pause()) return;
    const trial = clock.part(pass === null ? 1 : Math.min(1, (share * room) / clock.left));
    const most = pass === null ? epochs + share * EPOCHS : Number.POSITIVE_INFINITY;
    do await epochOf(run, trial);
    while (epochs < most && !(await trial.pause()));
    const { total } = await look(run);
    run.stuck = !(total < (1 - WORTH) * run.value);
    if (!Number.isNaN(total)) run.value = total;
  };
  /** The run to go on with of one for each rate. Alone, the lowest is tried again, as units may have died there, until so many are not stuck. */
  const chosenOf = async (rates: readonly number[]): Promise<Run> => {
    const runs = rates.map((rate) => ({
      steps: new Adam(first.slice()),
      rate,
      value: Number.POSITIVE_INFINITY,
      stuck: false,
    }));
    if (runs.length === 1) return runs[0];
    for (const run of runs) await tryOut(run, alone ? TRIAL_ALONE : TRIAL);
    const sorted = (among: Run[]) => among.sort((a, b) => a.value - b.value);
    const live = () => sorted(runs.filter(({ stuck }) => !stuck));
    for (let again = 0; alone && again < TRIED_AGAIN; ) {
      const next = live()[again];
      if (next === undefined) break;
      await tryOut(next, TRIAL_ALONE);
      if (!next.stuck) again += 1;
    }
    return live()[0] ?? sorted(runs)[0];
  };
  try {
    const hurried = pass !== null && room < FEW_SMALL_STEPS * (pass / parts.length);
    const run = await chosenOf(hurried ? HURRIED_RATES : alone ? RATES_ALONE : timed ? RATES : [RATE]);
    let looks = 0;
    const most = timed ? Number.POSITIVE_INFINITY : EPOCHS;
    let mark = { lowest, epochs };
    for (let useless = 0; epochs < most && (asked || useless < USELESS) && !(await clock.pause()); ) {
      await epochOf(run, clock, fades ? Math.min(1, left(epochs) / FADING) : 1);
      const isLast = epochs === most || (await clock.pause());
      if ((whole || timed) && !isLast && looks > LOOK * (room - clock.left)) continue;
      const before = clock.left;
      const { total, gain } = await look(run);
      const enough = gain > 0 && (await told(total));
      looks += before - clock.left;
      if (enough || (asked && Number.isNaN(total))) break;
      useless = gain > WORTH * lowest ? 0 : useless + 1;
      if (mark.lowest - lowest > WORTH * Math.abs(lowest)) mark = { lowest, epochs };
      else if (alone && epochs - mark.epochs > Math.max(LEAST_EPOCHS, STILL * epochs)) break;
    }
    return epochs;
  } finally {
    for (const part of parts) part.dispose();
    objective.write(best);
  }
}

/** What a step over all rows takes, by as many of them as a share of the time is enough for. */
async function secondsOfPass(objective: WholeObjective, clock: Clock): Promise<number> {
  const looking = clock.part(LOOK);
  let seen = 0;
  const over = async () => {
    const ended = seen > 0 && (await looking.pause());
    if (!ended) seen += 1;
    return ended;
  };
  await objective.at(await objective.weights(), new Float64Array(objective.size), undefined, over);
  return (looking.seconds * objective.partCount) / Math.max(1, seen);
}

/** Steps at a rate. */
interface Run {
  readonly steps: Adam;
  readonly rate: number;
  value: number; // when it was looked at last
  stuck: boolean;
}

/** Weights and what Adam remembers of their gradients. */
class Adam {
  readonly gradient: Float64Array;
  private readonly mean: Float64Array;
  private readonly square: Float64Array;
  // Powers of MEAN and SQUARE: what zeros at the start still weigh in the means.
  private meanLeft = 1;
  private squareLeft = 1;

  constructor(readonly weights: Float64Array) {
    this.gradient = new Float64Array(weights.length);
    this.mean = new Float64Array(weights.length);
    this.square = new Float64Array(weights.length);
  }

  /** One step. */
  take(rate: number): void {
    this.meanLeft *= MEAN;
    this.squareLeft *= SQUARE;
    const { weights, gradient, mean, square } = this;
    const [step, unit] = [rate / (1 - this.meanLeft), 1 / Math.sqrt(1 - this.squareLeft)];
    for (let p = 0; p < weights.length; p++) {
      const slope = gradient[p];
      const average = MEAN * mean[p] + (1 - MEAN) * slope;
      const spread = SQUARE * square[p] + (1 - SQUARE) * slope * slope;
      mean[p] = average;
      square[p] = spread;
      weights[p] -= (step * average) / (unit * Math.sqrt(spread) + TINY);
    }
  }
}

/** The parts in another order; Gaussians sort them. */
function shuffled(parts: readonly Part[], draw: () => number): Part[] {
  const keyed = parts.map((part) => ({ part, key: draw() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ part }) => part);
}
