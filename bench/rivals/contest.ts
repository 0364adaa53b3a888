/** One contest: the trainer and the built-in optimizers on the same model class, gates, regularizers and data. */

import * as tf from "@tensorflow/tfjs";
import { type ClockedRun, fitOnClock, objectiveOf } from "../../examples/support/train.js";
import { ConvexReLUTrainer, type FitResult, gatedDense } from "../../src/index.js";
import type { BenchSet } from "../data/sets.js";
import { elapsed, type Timing, timingOf } from "../support/measure.js";
import {
  type BuildModel,
  type Choice,
  disposeWhole,
  rivals,
  type TensorPair,
  takeFastestBackend,
  tensorsOf,
  tune,
} from "./gradient.js";

/** Seconds beyond which a run of the trainer is not repeated. */
export const LONG = 15;

export const modelClasses = ["gated", "relu", "relu-grow"] as const;
export type ModelClass = (typeof modelClasses)[number];

export interface ContestSettings {
  readonly tolerance: number; // relative gap at which the trainer stops
  readonly patience: number; // most seconds for the trainer
  readonly limit: number; // most seconds for one run of a rival
  readonly least: number; // least seconds that a rival gets
  readonly factor: number; // a rival gets this many times the trainer's seconds, between the least and the limit
  readonly trial: number; // seconds of a first trial when the rivals are tuned
  readonly repeats: number;
}

/** What a built-in optimizer did. */
export interface RivalResult {
  readonly optimizer: string;
  readonly rate: number;
  readonly batchSize: number;
  readonly tuningSeconds: number;
  readonly reached: boolean;
  readonly seconds: Timing; // to the objective; where it was not reached, what was spent
  readonly ratio: number; // of medians; a lower bound where the objective was not reached
  readonly excess: number; // best objective / target - 1
  readonly epochs: number;
  readonly points: ClockedRun["points"];
}

export interface ContestResult {
  readonly set: string;
  readonly modelClass: ModelClass;
  readonly sizes: { readonly n: number; readonly d: number; readonly C: number; readonly P: number };
  readonly loss: string;
  readonly beta: number;
  readonly backend: string; // of model.fit
  readonly width: number; // of the rivals' hidden layer
  readonly trainer: {
    readonly status: string;
    readonly seconds: Timing; // of the whole call of fit
    readonly nearSeconds: number; // of the solver until a round within 0.1 % of its last objective: the rest is proof
    readonly objective: number; // of the written network, as the rivals' is measured
    readonly relativeGap: number;
    readonly lowerBound: number;
    readonly neurons: number;
    readonly engine: string;
    /** The program's objective after each round of the solver; gates and recovery come on top of these seconds. */
    readonly points: ClockedRun["points"];
  };
  readonly rivals: readonly RivalResult[];
}

/** Measures the trainer, then each optimizer up to the objective that it reached. */
export async function contest(
  set: BenchSet,
  modelClass: ModelClass,
  settings: ContestSettings,
): Promise<ContestResult> {
  const { x, y, loss, gates } = set;
  const batches = batchSizes(x.rows);
  const data = tensorsOf(x, y);
  const narrow = modelBuilder(set, modelClass, modelClass === "gated" ? gates * y.cols : gates);
  const backend = await takeFastestBackend(narrow, data, batches[0]);
  const { result, runs } = await train(set, modelClass, narrow, data, settings);
  const timing = timingOf(runs);
  const target = objectiveOf(result.model, data.x, data.y);
  const width = Math.max(modelClass === "gated" ? gates * y.cols : gates, result.neurons);
  const build = modelBuilder(set, modelClass, width);
  const budget = Math.min(settings.limit, Math.max(settings.least, settings.factor * timing.median));
  const answers: RivalResult[] = [];
  for (const rival of rivals) {
    const attempt = async ({ rate, batchSize }: Choice, seed: number, seconds: number) => {
      const model = build(rival.make(rate), seed);
      const run = await fitOnClock(model, data.x, data.y, { target, budget: seconds, batchSize });
      disposeWhole(model);
      return run;
    };
    const choices = rival.rates.flatMap((rate) => batches.map((batchSize) => ({ rate, batchSize })));
    const { choice, seconds: tuningSeconds } = await tune(choices, settings.trial, (one, trial) =>
      attempt(one, 1, Math.min(budget, trial)),
    );
    const finals = [await attempt(choice, 1, budget)];
    for (let k = 2; k <= settings.repeats && finals[0].reached; k++) finals.push(await attempt(choice, k, budget));
    const spent = timingOf(finals.map((run) => run.seconds));
    answers.push({
      optimizer: rival.name,
      ...choice,
      tuningSeconds,
      reached: finals.filter((run) => run.reached).length * 2 > finals.length,
      seconds: spent,
      ratio: spent.median / timing.median,
      excess: Math.min(...finals.map((run) => run.best)) / target - 1,
      epochs: finals[0].epochs,
      points: finals[0].points,
    });
  }
  const { certificate, status, neurons, regularization, engine } = result;
  const history = result.history as Record<"seconds" | "loss", number[]>;
  const points = history.seconds.map((seconds, k) => ({ seconds, objective: history.loss[k] }));
  disposeWhole(result.model);
  tf.dispose([data.x, data.y]);
  return {
    set: set.name,
    modelClass,
    sizes: { n: x.rows, d: x.cols, C: y.cols, P: result.gates.count },
    loss,
    beta: regularization.beta,
    backend,
    width,
    trainer: {
      status,
      seconds: timing,
      nearSeconds:
        points.find(({ objective }) => objective <= 1.001 * points[points.length - 1].objective)?.seconds ?? 0,
      objective: target,
      relativeGap: certificate.relativeGap,
      lowerBound: certificate.dual,
      neurons,
      engine,
      points,
    },
    rivals: answers,
  };
}

/** A tenth of the rows within what is usual, and, as overhead is what an epoch of few rows costs, large batches. */
function batchSizes(rows: number): number[] {
  return [Math.max(16, Math.min(64, Math.round(rows / 10))), Math.min(512, rows)];
}

/** Whole calls of fit on fresh models, the first left out where there are several: it compiles. */
async function train(
  set: BenchSet,
  modelClass: ModelClass,
  build: BuildModel,
  data: TensorPair,
  { tolerance, patience, repeats }: ContestSettings,
): Promise<{ result: FitResult; runs: number[] }> {
  const trainer = new ConvexReLUTrainer({
    tolerance,
    timeLimit: patience,
    width: "resize",
    ...(modelClass === "relu" ? { arrangements: { kind: "sample", count: set.gates, seed: 7 } } : {}),
    ...(modelClass === "relu-grow" ? { arrangements: { kind: "grow", seed: 7 } } : {}),
  });
  const runs: number[] = [];
  let result: FitResult | null = null;
  for (let k = 0; k <= repeats; k++) {
    const model = build(tf.train.sgd(0.1), 1);
    if (result !== null) disposeWhole(result.model);
    const run = await elapsed(() => trainer.fit(model, data.x, data.y));
    result = run.value;
    if (result.model !== model) disposeWhole(model);
    runs.push(run.seconds);
    if (run.seconds > LONG) break; // long runs are not repeated
  }
  if (result === null) throw new Error("bench: expected at least one run.");
  return { result, runs: runs.length > 1 ? runs.slice(1) : runs };
}

/** [dense or GatedDense (units, no bias), dense (C)] with the set's loss and l2 regularizers; the same gates every time. */
function modelBuilder({ x, y, loss, decay, gates }: BenchSet, modelClass: ModelClass, units: number): BuildModel {
  return (optimizer, seed) => {
    const kernelRegularizer = tf.regularizers.l2({ l2: decay });
    const kernelInitializer = tf.initializers.glorotNormal({ seed });
    const first = { units, useBias: false, inputShape: [x.cols], kernelRegularizer, kernelInitializer };
    const gated = modelClass === "gated" ? gatedDense(first) : null;
    const hidden = gated ?? tf.layers.dense({ ...first, activation: "relu" });
    const activation = loss === "binaryCrossentropy" ? "sigmoid" : "linear";
    const output = tf.layers.dense({ units: y.cols, activation, kernelRegularizer, kernelInitializer });
    const model = tf.sequential({ layers: [hidden, output] });
    if (gated !== null) {
      tf.tidy(() => {
        const generators = tf.randomNormal([x.cols, gates], 0, 1, "float32", 7);
        gated.setWeights([gated.getWeights()[0], tf.tile(generators, [1, units / gates])]);
      });
    }
    model.compile({ optimizer, loss });
    return model;
  };
}
