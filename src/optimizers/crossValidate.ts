/** Cross-validation along the regularization path: which beta predicts best, and the fit with it on all rows. */

import type * as tf from "@tensorflow/tfjs";
import { refuseAs, shown } from "../arguments.js";
import { chooseEngine } from "../convex/kernels/index.js";
import { log, power } from "../convex/linear/elementary.js";
import { gaussianSource } from "../convex/linear/random.js";
import type { Network } from "../convex/network.js";
import type { Clock } from "../convex/solvers/clock.js";
import type { Settings } from "./options.js";
import { followPath, type PathResult } from "./path.js";
import { betasOf, type PathGrid, poseForPath, refuseOwnBeta } from "./pose/betas.js";
import { programWeights } from "./pose/programWeights.js";
import { standardizes } from "./pose/standardize.js";
import { type Dataset, readData, refuseDegenerate, rowsOf } from "./read/data.js";
import { inputRows } from "./read/inputRows.js";
import { type NetworkSpec, readModel } from "./read/model.js";
import { white, whitened } from "./read/normalization/index.js";
import type { Weighting } from "./read/sampleWeights.js";
import { trunkOf } from "./read/trunk.js";
import { Evaluator } from "./report/evaluate.js";
import { eachBeta, fittingNetwork } from "./solve/alongBetas.js";
import { clockOf } from "./solve/withinWidth.js";

const FOLDS = 5;
/** Powers of ten by which the grid may go on beyond its end. */
const EXTENSIONS = 4;
/** Share of a metric that the last beta must have gained over all others. */
const GAIN = 0.01;

/** Arguments of `crossValidate`. */
export interface CrossValidationArgs extends PathGrid, Weighting {
  /** Parts into which the rows are dealt at random; default 5. */
  readonly folds?: number;
  /** What is judged on the rows held out: "loss", or a metric that the model is compiled with; default "loss". */
  readonly metric?: string;
  /** Whether the best is the smallest or the largest; default "min" for the loss, else "max". */
  readonly mode?: "min" | "max";
}

/** What every beta was worth on rows that it had not seen. */
export interface CrossValidation<M extends tf.LayersModel = tf.Sequential> {
  /** Those that every fold has come to: all of the grid, unless the time was up before. */
  readonly betas: readonly number[];
  /** values[f][k]: the metric of beta k on fold f. */
  readonly values: readonly (readonly number[])[];
  readonly mean: readonly number[];
  readonly standardError: readonly number[];
  /** The place of the best mean among the betas. */
  readonly best: number;
  /** The place of the largest beta whose mean is within one standard error of the best (Breiman et al. 1984, section 3.4.3). */
  readonly oneStandardError: number;
  /** The path of all rows down to the best beta; the model holds the network of its last point. */
  readonly path: PathResult<M>;
  readonly model: M;
}

export const CROSS_VALIDATION_ARGS = [
  "betas",
  "count",
  "ratio",
  "folds",
  "metric",
  "mode",
  "sampleWeight",
  "classWeight",
];

/** Judges every beta on each fold by a path over the others, and writes the fit of all rows with the best one into the model. */
export async function crossValidate<M extends tf.LayersModel>(
  settings: Settings,
  model: M,
  x: tf.Tensor,
  y: tf.Tensor,
  args: CrossValidationArgs,
): Promise<CrossValidation<M>> {
  const { folds = FOLDS, metric = "loss", mode = metric === "loss" ? "min" : "max" } = args;
  const spec = readModel(model, settings.formulation, "fit", true, settings.depth);
  refuseOwnBeta(spec);
  const data = await readData(await trunkOf(model, "write", spec.cut).see("x", x), y, spec, args);
  refuseDegenerate(data);
  checkArguments(folds, metric, mode, model, data.x.rows);
  const { kernels } = await chooseEngine(settings.engine, settings.threads);
  // What is chosen here means the same in every fold and on all rows.
  const settled = { ...settings, standardize: standardizes(spec, settings, args.betas === undefined) };
  const clock = clockOf(settings);
  const all = whitened(spec, data);
  const { posed } = await poseForPath(model, all, white(data, all), settled, kernels, false, clock);
  const grid = betasOf(posed, kernels, args);
  const parts = dealt(data.x.rows, folds, settings.seed).map((held) => {
    const inside = new Set(held);
    const kept = Array.from({ length: data.x.rows }, (_, k) => k).filter((k) => !inside.has(k));
    return { train: rowsOf(data, kept), held: rowsOf(data, held) };
  });
  const judgeAll = (betas: readonly number[]) =>
    eachInTurn(parts, ({ train, held }, f) => {
      // What is left is for the folds to come and for the path of all rows, which ends at the best beta.
      const share = clock.part(1 / (folds + 1 - f));
      return judgeFold(model, spec, train, held, betas, metric, settled, share);
    });
  const values = await judgeAll(grid);
  const better = (a: number, b: number) => (mode === "min" ? a < b : a > b);
  // Where nobody set the grid's end, it goes on while the error still falls there.
  const ends = args.betas !== undefined || args.ratio !== undefined;
  const whole = () => !clock.over && values.every((fold) => fold.length === grid.length);
  for (let turn = 0; !ends && turn < EXTENSIONS && whole() && endsBest(values, better); turn++) {
    const next = beyond(grid);
    const more = await judgeAll(next);
    grid.push(...next);
    values.forEach((fold, f) => {
      fold.push(...more[f]);
    });
  }
  // Where time was up there are betas that a fold has not come to: of these nothing is known.
  const reached = values.reduce((least, fold) => Math.min(least, fold.length), grid.length);
  const betas = grid.slice(0, reached);
  values.forEach((fold, f) => {
    values[f] = fold.slice(0, reached);
  });
  const mean = betas.map((_, k) => average(values.map((fold) => fold[k])));
  const standardError = betas.map((_, k) => spread(values.map((fold) => fold[k])) / Math.sqrt(folds));
  const best = mean.reduce((place, value, k) => (better(value, mean[place]) ? k : place), 0);
  const limit = mean[best] + (mode === "min" ? 1 : -1) * standardError[best];
  const oneStandardError = mean.findIndex((value) => !better(limit, value));
  const { sampleWeight = null, classWeight = null } = args;
  const along = { betas: betas.slice(0, best + 1), sampleWeight, classWeight };
  const path = await followPath(settled, model, x, y, along, clock);
  const last = path.points[path.points.length - 1];
  return { betas, values, mean, standardError, best, oneStandardError, path, model: path.write(last) };
}

/** The metric on the rows held out, for every beta of a path over the others. */
async function judgeFold(
  model: tf.LayersModel,
  read: NetworkSpec,
  rows: Dataset,
  held: Dataset,
  betas: readonly number[],
  metric: string,
  settings: Settings,
  clock: Clock,
): Promise<number[]> {
  const { kernels } = await chooseEngine(settings.engine, settings.threads);
  const spec = whitened(read, rows);
  const train = white(rows, spec);
  // Singular vectors, too, are of the rows that this fold trains on.
  const whole = train.x.rows + held.x.rows;
  const part = { whole, advice: "hold fewer out: raise folds" };
  const { posed, reduced } = await poseForPath(model, spec, train, settings, kernels, false, clock, part);
  const seen = reduced.data(white(held, spec));
  const judge = new Evaluator(model, reduced.spec, inputRows(reduced.spec, seen.x, posed.column.value), seen);
  const values: number[] = [];
  const unproven = { ...settings, pricing: null };
  let before: Network | null = null;
  await eachBeta(posed, betas, kernels, unproven, clock, async (problem, solution) => {
    const { network } = await fittingNetwork(problem, solution, kernels, settings, clock, before);
    before = network;
    values.push((await judge.judge(programWeights(problem, network)))[metric]);
    return true;
  });
  return values;
}

async function eachInTurn<T, R>(list: readonly T[], work: (entry: T, place: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const [place, entry] of list.entries()) results.push(await work(entry, place));
  return results;
}

/** Whether the mean is best at the last beta, by more than is worth a smaller one. */
function endsBest(values: readonly (readonly number[])[], better: (a: number, b: number) => boolean): boolean {
  const mean = values[0].map((_, k) => average(values.map((fold) => fold[k])));
  const last = mean.pop() as number;
  return (
    mean.length > 0 && mean.every((value) => better(last, value) && Math.abs(last - value) > GAIN * Math.abs(value))
  );
}

/** Betas for one more power of ten (or one more step, where that is longer), in the ratio of the last two. */
function beyond(betas: readonly number[]): number[] {
  const last = betas[betas.length - 1];
  const ratio = last / betas[betas.length - 2];
  const steps = Math.max(1, Math.round(log(0.1) / log(ratio)));
  return Array.from({ length: steps }, (_, k) => last * power(ratio, k + 1));
}

/** Row numbers 0 .. n - 1, dealt at random into parts that differ in size by one at most. */
function dealt(n: number, folds: number, seed: number): number[][] {
  const draw = gaussianSource(seed);
  const order = Array.from({ length: n }, (_, k) => ({ k, key: draw() })).sort((a, b) => a.key - b.key);
  return Array.from({ length: folds }, (_, f) => order.filter((_, place) => place % folds === f).map(({ k }) => k));
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The standard deviation of a sample. */
function spread(values: readonly number[]): number {
  const mean = average(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}

function checkArguments(folds: number, metric: string, mode: string, model: tf.LayersModel, rows: number): void {
  if (!Number.isInteger(folds) || folds < 2 || folds > rows / 2) {
    refuseAs("crossValidate", `folds to be an integer from 2 to half the rows, ${Math.floor(rows / 2)}`, shown(folds));
  }
  const names = model.metricsNames;
  if (!names.includes(metric)) {
    refuseAs(
      "crossValidate",
      `metric among ${names.map((name) => `"${name}"`).join(", ")} (see model.compile)`,
      shown(metric),
    );
  }
  if (mode !== "min" && mode !== "max") refuseAs("crossValidate", 'mode "min" or "max"', shown(mode));
}
