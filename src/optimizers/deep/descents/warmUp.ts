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
/** Of the time: in the last of it the rate goes down to nothing. */
const FADING = 1 / 3;
const [MEAN, SQUARE, TINY] = [0.9, 0.999, 1e-8];

/** Leaves the model with the lowest weights after any epoch, or as it was; answers with epochs. `always`: also where there is time for many steps. */
export async function warmUp(
  objective: WholeObjective,
  limit: Clock,
  draw: () => number,
  told: Told,
  always = false,
): Promise<number> {
  if (objective.rows <= ROWS || limit.over) return 0;
  const { recurrent } = objective;
  let pass = Number.isFinite(limit.left) ? await secondsOfPass(objective, limit) : null;
  // The first one compiles loops over times, which takes longer than they do.
  if (recurrent && pass !== null && !limit.over) pass = Math.min(pass, await secondsOfPass(objective, limit));
  const asked = always || recurrent;
  if (!asked && (pass === null ? objective.rows < MANY_ROWS : limit.left >= FEW_STEPS * pass)) return 0;
  const whole = pass !== null && (1 - SHARE) * limit.left < WORTHY_STEPS * pass;
  const clock = pass === null ? limit : limit.part(whole ? 1 : SHARE);
  const room = clock.left;
  if (room === 0) return 0;
  const fades = whole || recurrent;
  const timed = recurrent && pass !== null; // until its time is up
  const left = (epochs: number) => (pass === null ? 1 - epochs / EPOCHS : clock.left / room);
  const parts = objective.parts(ROWS);
  const first = await objective.weights();
  let best = first;
  let lowest = (await objective.value()).total;
  const epochOf = async (steps: Adam, time: Clock, rate: number) => {
    for (const part of shuffled(parts, draw)) {
      if (await time.pause()) return;
      await objective.at(steps.weights, steps.gradient, [part]);
      steps.take(rate);
    }
  };
  /** The value at the weights of these steps, and by how much it is below all before. */
  const look = async (steps: Adam) => {
    objective.write(steps.weights);
    const { total } = await objective.value();
    const gain = lowest - total;
    if (gain > 0) {
      lowest = total;
      best = steps.weights.slice();
    }
    return { total, gain };
  };
  let epochs = 0;
  try {
    const hurried = pass !== null && room < FEW_SMALL_STEPS * (pass / parts.length);
    let begun = { steps: new Adam(first.slice()), rate: RATE };
    if (hurried || timed) {
      let least = Number.POSITIVE_INFINITY;
      for (const rate of hurried ? HURRIED_RATES : RATES) {
        if (await clock.pause()) break;
        const trial = clock.part(Math.min(1, (TRIAL * room) / clock.left));
        const steps = new Adam(first.slice());
        do {
          epochs += 1;
          await epochOf(steps, trial, rate);
        } while (!(await trial.pause()));
        const { total } = await look(steps);
        if (total < least) {
          least = total;
          begun = { steps, rate };
        }
      }
    }
    const { steps, rate } = begun;
    let looks = 0;
    const most = timed ? Number.POSITIVE_INFINITY : EPOCHS;
    for (let useless = 0; epochs < most && (recurrent || useless < USELESS) && !(await clock.pause()); ) {
      await epochOf(steps, clock, fades ? rate * Math.min(1, left(epochs) / FADING) : rate);
      epochs += 1;
      const isLast = epochs === most || (await clock.pause());
      if ((whole || timed) && !isLast && looks > LOOK * (room - clock.left)) continue;
      const before = clock.left;
      const { total, gain } = await look(steps);
      const enough = gain > 0 && (await told(total));
      looks += before - clock.left;
      if (enough || (recurrent && Number.isNaN(total))) break;
      useless = gain > WORTH * lowest ? 0 : useless + 1;
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
