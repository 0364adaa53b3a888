/** SGD and Adam beside a convex fit: rates tuned over a grid first, then several starts, each against the clock. */

import * as tf from "@tensorflow/tfjs";
import { accuracyOf, objectiveOf, trainOnClock } from "./train.js";
import { type Choice, tune } from "./tune.js";

/** Data as the rivals' model takes them: both parts with their targets. */
export interface Parts {
  readonly x: tf.Tensor;
  readonly y: tf.Tensor;
  readonly test: { readonly x: tf.Tensor; readonly y: tf.Tensor };
}

/** A look at a model while it is trained. */
export interface Look {
  readonly seconds: number; // of training
  readonly objective: number;
  readonly trainAccuracy: number; // NaN in a trial, as the next
  readonly testAccuracy: number;
}

/** One run of model.fit. */
export interface Run {
  readonly looks: readonly Look[];
  readonly seconds: number;
  readonly epochs: number;
  readonly best: number; // the lowest objective of all looks
}

/** What one optimizer did: the grid's best choice, and a run from every start, the lowest objective first. */
export interface Rival {
  readonly name: string;
  readonly choice: Choice;
  readonly tuningSeconds: number;
  readonly runs: readonly Run[];
}

export type BuildRival = (optimizer: tf.Optimizer, seed: number) => tf.Sequential;

export interface RaceSettings {
  readonly seconds: number; // for every start
  readonly starts: number;
  readonly trial: number; // seconds of a first trial on the grid; the best quarter gets four times that
  /** A look is taken when the seconds have grown by this factor; default 1.15: some thirty a run. */
  readonly nextLook?: number;
  /** Told of every run as it ends. */
  readonly report?: (line: string) => void;
  /** Optimizers and their grids; `optimizers` unless said otherwise. */
  readonly grids?: readonly Grid[];
}

export interface Grid {
  readonly name: string;
  readonly rates: readonly number[];
  readonly batchSizes: readonly number[];
  readonly make: (rate: number) => tf.Optimizer;
}

/** The grids: wide enough that the best rate is not at an end. */
export const optimizers: readonly Grid[] = [
  { name: "SGD", rates: [0.3, 1, 3, 10, 30, 100], batchSizes: [64], make: (rate) => tf.train.sgd(rate) },
  {
    name: "Adam",
    rates: [1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3],
    batchSizes: [64],
    make: (rate) => tf.train.adam(rate),
  },
];

/** Few enough looks that they do not take longer than the run. */
const NEXT_LOOK = 1.15;

/** Tunes each optimizer, then runs it from every start. */
export async function race(build: BuildRival, data: Parts, settings: RaceSettings): Promise<Rival[]> {
  const { seconds, starts, trial, report, grids = optimizers, nextLook } = settings;
  const rivals: Rival[] = [];
  for (const { name, rates, batchSizes, make } of grids) {
    const attempt = async ({ rate, batchSize }: Choice, seed: number, budget: number, trial = false) => {
      const optimizer = make(rate);
      const model = build(optimizer, seed);
      const run = await fitAgainstClock(model, data, budget, batchSize, trial, nextLook);
      model.dispose();
      optimizer.dispose();
      return run;
    };
    const choices = rates.flatMap((rate) => batchSizes.map((batchSize) => ({ rate, batchSize })));
    const { choice, seconds: tuningSeconds } = await tune(choices, trial, (one, budget) =>
      attempt(one, 1, Math.min(budget, seconds), true),
    );
    const runs: Run[] = [];
    report?.(`${name}: rate ${choice.rate} of ${rates.join(", ")} after ${tuningSeconds.toFixed(1)} s of trials.`);
    for (let seed = 1; seed <= starts; seed++) {
      const run = await attempt(choice, seed, seconds);
      runs.push(run);
      const { trainAccuracy, testAccuracy } = run.looks[run.looks.length - 1];
      report?.(
        `${name}, start ${seed}: ${run.best.toFixed(6)} in ${run.seconds.toFixed(1)} s, ${run.epochs} epochs; accuracy ` +
          `${(100 * trainAccuracy).toFixed(1)} %, in test ${(100 * testAccuracy).toFixed(2)} %.`,
      );
    }
    runs.sort((a, b) => a.best - b.best);
    rivals.push({ name, choice, tuningSeconds, runs });
  }
  return rivals;
}

/** model.fit for `budget` seconds; the clock stands still during looks, which model.fit alone would not take: one in a `trial`. */
export async function fitAgainstClock(
  model: tf.Sequential,
  { x, y, test }: Parts,
  budget: number,
  batchSize: number,
  trial = false,
  nextLook = NEXT_LOOK,
): Promise<Run> {
  const looks: Look[] = [];
  const look = (at: number) =>
    looks.push({
      seconds: at,
      objective: objectiveOf(model, x, y),
      trainAccuracy: trial ? Number.NaN : accuracyOf(model, x, y),
      testAccuracy: trial ? Number.NaN : accuracyOf(model, test.x, test.y),
    });
  if (!trial) look(0);
  const epochEnded = (spent: number, logs: tf.Logs | undefined) => {
    const done = spent >= budget || !Number.isFinite(logs?.loss);
    const last = looks[looks.length - 1]?.seconds ?? Number.POSITIVE_INFINITY;
    if (done || spent >= nextLook * last) look(spent);
    return done;
  };
  const { seconds, epochs } = await trainOnClock(model, x, y, { batchSize, epochEnded });
  const finite = looks.map(({ objective }) => objective).filter(Number.isFinite);
  return { looks, seconds, epochs, best: Math.min(...finite) };
}
