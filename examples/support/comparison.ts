/** A convex fit and its rivals side by side: a table, and a plot of objective, training error and test accuracy over time. */

import type * as tf from "@tensorflow/tfjs";
import type { TopLevelSpec } from "vega-lite";
import { ConvexReLUTrainer, type FitResult, type TrainerOptions } from "../../src/index.js";
import { secondsNow } from "./clock.js";
import { plotStyle, writePlot } from "./plot.js";
import type { Grid, Look, Parts, Rival } from "./rivals.js";
import { table } from "./table.js";
import { accuracyOf, objectiveOf } from "./train.js";

/** A convex fit with what it was after every round of the solver. */
export interface ConvexRun {
  readonly result: FitResult;
  readonly seconds: number; // of the whole call: patterns, solve, recovery, certificate, and the looks unless these are apart
  readonly looks: readonly Look[];
  readonly objective: number; // by model.evaluate and the model's regularizers
  readonly trainAccuracy: number;
  readonly testAccuracy: number;
}

/** What a comparison is told, whatever the model. */
export interface ComparisonSettings {
  readonly decay: number; // l2 of both layers: beta is twice this
  readonly tolerance: number;
  readonly timeLimit?: number; // seconds of the solver
  readonly starts: number; // of each optimizer
  readonly times: number; // their budget, in times of the convex run's seconds
  /** Seconds of a first trial on the grid of rates, as a share of the budget. */
  readonly trialShare?: number;
  readonly grids?: readonly Grid[];
  /** Fits a second time for the looks, so that neither method's seconds have any. */
  readonly looksApart?: boolean;
  /** Runs of rivals are looked at when their seconds have grown by this factor; default 1.15. */
  readonly nextLook?: number;
  /** Told of the convex fit, and of every run of a rival as it ends. */
  readonly report?: (line: string) => void;
}

export interface Comparison {
  readonly convex: ConvexRun;
  readonly rivals: readonly Rival[];
}

/** Fits a model that was compiled with the metric "accuracy", looking at it after every round; `apart`, in a second fit. */
export async function fitConvex(
  model: tf.Sequential,
  { x, y, test }: Parts,
  options: TrainerOptions,
  apart = false,
): Promise<ConvexRun> {
  const plain = apart ? await fitUnseen(model, x, y, options) : null;
  const looks: Look[] = [];
  const began = secondsNow();
  const elapsed = () => plain?.rounds[looks.length] ?? secondsNow() - began;
  const result = await new ConvexReLUTrainer(options).fit(model, x, y, {
    validationData: [test.x, test.y],
    callbacks: {
      onEpochEnd: (_epoch: number, logs?: tf.Logs) => {
        const { loss = Number.NaN, acc = Number.NaN, val_acc = Number.NaN } = logs ?? {};
        looks.push({ seconds: elapsed(), objective: loss, trainAccuracy: acc, testAccuracy: val_acc });
      },
    },
  });
  const seconds = plain?.seconds ?? elapsed();
  return {
    result,
    seconds,
    looks,
    objective: objectiveOf(result.model, x, y),
    trainAccuracy: accuracyOf(result.model, x, y),
    testAccuracy: accuracyOf(result.model, test.x, test.y),
  };
}

/** The seconds of a fit that nobody looks at, and those at the end of each of its rounds. */
async function fitUnseen(
  model: tf.Sequential,
  x: tf.Tensor,
  y: tf.Tensor,
  options: TrainerOptions,
): Promise<{ seconds: number; rounds: readonly number[] }> {
  const { optimizer, loss, metrics } = model;
  const rounds: number[] = [];
  const began = secondsNow();
  const elapsed = () => secondsNow() - began;
  model.compile({ optimizer, loss });
  await new ConvexReLUTrainer(options).fit(model, x, y, {
    callbacks: {
      onEpochEnd: () => {
        rounds.push(elapsed());
      },
    },
  });
  const seconds = elapsed();
  model.compile({ optimizer, loss, metrics });
  return { seconds, rounds };
}

/** Of the convex fit, and of up to four rivals. */
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"];

const percent = (value: number, digits = 1) => `${(100 * value).toFixed(digits)} %`;

/** A line for the convex fit and one for each optimizer: its best and worst start, and what tuning cost on top. */
export function comparisonTable(convex: ConvexRun, rivals: readonly Rival[]): string {
  const { certificate } = convex.result;
  return table([
    ["method", "best objective", "worst", "above the bound", "train acc.", "test acc.", "s a start", "s of tuning"],
    [
      "convex",
      convex.objective.toFixed(6),
      "",
      `${percent(certificate.relativeGap, 2)} (proven)`,
      percent(convex.trainAccuracy),
      percent(convex.testAccuracy),
      convex.seconds.toFixed(1),
      "0",
    ],
    ...rivals.map(({ name, choice, runs, tuningSeconds }) => [
      `${name}, rate ${choice.rate}, batch ${choice.batchSize}, ${runs.length} starts`,
      runs[0].best.toFixed(6),
      runs[runs.length - 1].best.toFixed(6),
      percent(runs[0].best / certificate.dual - 1, 2),
      range(runs.map((run) => run.looks[run.looks.length - 1].trainAccuracy)),
      range(runs.map((run) => run.looks[run.looks.length - 1].testAccuracy)),
      (runs.reduce((sum, run) => sum + run.seconds, 0) / runs.length).toFixed(1),
      tuningSeconds.toFixed(1),
    ]),
  ]);
}

/** What a comparison showed, in a sentence. */
export function conclusionOf({ result, testAccuracy }: ConvexRun, rivals: readonly Rival[]): string {
  const { dual, relativeGap } = result.certificate;
  const lowest = rivals.reduce((best, next) => (next.runs[0].best < best.runs[0].best ? next : best));
  const [run] = lowest.runs;
  const theirs = run.looks[run.looks.length - 1].testAccuracy;
  return (
    `What it showed: the convex fit is proven to be within ${percent(relativeGap, 2)} of the best network of its kind; the best ` +
    `start of ${lowest.name} ended ${percent(run.best / dual - 1, 2)} above that bound, and of new images the two put ` +
    `${percent(testAccuracy)} and ${percent(theirs)} into their classes.`
  );
}

/**
 * A line for each optimizer: objective and test accuracy at the end of its starts, mean +- standard deviation, and those of the
 * start that ends lowest and of the start that predicts best.
 */
export function spreadTable(convex: ConvexRun, rivals: readonly Rival[]): string {
  const both = (objective: number, accuracy: number) => `${objective.toFixed(4)}, ${percent(accuracy)}`;
  return table([
    ["objective, test accuracy", "mean +- sd of all starts", "", "lowest objective", "best test accuracy"],
    ["convex", "", "", both(convex.objective, convex.testAccuracy), ""],
    ...rivals.map(({ name, runs }) => {
      const ends = runs.map(({ looks, best }) => ({ best, accuracy: looks[looks.length - 1].testAccuracy }));
      const predicts = ends.reduce((most, end) => (end.accuracy > most.accuracy ? end : most));
      const objective = meanAndDeviation(ends.map(({ best }) => best));
      const accuracy = meanAndDeviation(ends.map((end) => end.accuracy));
      return [
        name,
        `${objective.mean.toFixed(4)} +- ${objective.deviation.toFixed(4)}`,
        `${(100 * accuracy.mean).toFixed(1)} +- ${percent(accuracy.deviation)}`,
        both(ends[0].best, ends[0].accuracy),
        both(predicts.best, predicts.accuracy),
      ];
    }),
  ]);
}

/** Of a sample; the deviation of one value is 0. */
function meanAndDeviation(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / Math.max(1, values.length - 1)) };
}

function range(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return least === most ? percent(least) : `${(100 * least).toFixed(1)} to ${percent(most)}`;
}

/** Writes `${path}.svg` and `${path}.png`: three panels over time, a line for every start. */
export async function plotComparison(
  path: string,
  title: string,
  convex: ConvexRun,
  rivals: readonly Rival[],
): Promise<void> {
  const bound = convex.result.certificate.dual;
  const lines = [
    { method: "convex", start: 0, looks: convex.looks },
    ...rivals.flatMap(({ name, runs }) => runs.map(({ looks }, start) => ({ method: name, start, looks }))),
  ];
  const values = lines.flatMap(({ method, start, looks }) =>
    looks
      .filter(({ seconds, objective }) => seconds > 0 && Number.isFinite(objective))
      .map((look) => ({
        seconds: look.seconds,
        excess: look.objective - bound,
        error: 100 * (1 - look.trainAccuracy),
        accuracy: 100 * look.testAccuracy,
        method,
        start,
      })),
  );
  const color = {
    field: "method",
    type: "nominal",
    title: null,
    scale: { domain: ["convex", ...rivals.map(({ name }) => name)], range: COLORS },
  } as const;
  const panel = (field: string, says: string, log: boolean) =>
    ({
      width: 300,
      height: 260,
      mark: { type: "line", clip: true },
      encoding: {
        x: { field: "seconds", type: "quantitative", scale: { type: "log", nice: false }, title: "seconds" },
        y: {
          field,
          type: "quantitative",
          title: says,
          scale: log ? ({ type: "log", nice: false, padding: 6 } as const) : { zero: false },
        },
        strokeWidth: { condition: { test: "datum.method === 'convex'", value: 3.5 }, value: 1.5 },
        detail: { field: "start", type: "nominal" },
        color,
      },
    }) as const;
  const spec: TopLevelSpec = {
    ...plotStyle,
    title: { text: title, anchor: "start" },
    data: { values },
    hconcat: [
      panel("excess", "objective minus the proven bound", true),
      panel("error", "training error, %", false),
      panel("accuracy", "test accuracy, %", false),
    ],
  };
  await writePlot(path, spec);
}
