/** Cross-validation along the regularization path: which beta predicts best, and the fit with it on all rows. */

import type * as tf from "@tensorflow/tfjs";
import { refuseAs, shown } from "../arguments.js";
import { chooseEngine } from "../convex/kernels/index.js";
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
import { choiceOf, type FoldChoice, judgedOn } from "./report/foldChoice.js";
import { eachBeta, fittingNetwork } from "./solve/alongBetas.js";
import { clockOf } from "./solve/withinWidth.js";

const FOLDS = 5;
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
export interface CrossValidation<M extends tf.LayersModel = tf.Sequential> extends FoldChoice {
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
  const pause = () => clock.pause();
  const all = await whitened(spec, data, kernels, pause);
  const { posed } = await poseForPath(
    model,
    all,
    await white(data, all, kernels, pause),
    settled,
    kernels,
    false,
    clock,
  );
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
  const ends = args.betas !== undefined || args.ratio !== undefined;
  const values = await judgedOn(grid, !ends, mode, () => clock.over, judgeAll);
  const choice = choiceOf(grid, values, mode);
  const { sampleWeight = null, classWeight = null } = args;
  const along = { betas: choice.betas.slice(0, choice.best + 1), sampleWeight, classWeight };
  const path = await followPath(settled, model, x, y, along, clock);
  const last = path.points[path.points.length - 1];
  return { ...choice, path, model: path.write(last) };
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
  const pause = () => clock.pause();
  const spec = await whitened(read, rows, kernels, pause);
  const train = await white(rows, spec, kernels, pause);
  // Singular vectors, too, are of the rows that this fold trains on.
  const whole = train.x.rows + held.x.rows;
  const part = { whole, advice: "hold fewer out: raise folds" };
  const { posed, reduced } = await poseForPath(model, spec, train, settings, kernels, false, clock, part);
  const seen = reduced.data(await white(held, spec, kernels, pause));
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

/** Row numbers 0 .. n - 1, dealt at random into parts that differ in size by one at most. */
function dealt(n: number, folds: number, seed: number): number[][] {
  const draw = gaussianSource(seed);
  const order = Array.from({ length: n }, (_, k) => ({ k, key: draw() })).sort((a, b) => a.key - b.key);
  return Array.from({ length: folds }, (_, f) => order.filter((_, place) => place % folds === f).map(({ k }) => k));
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
