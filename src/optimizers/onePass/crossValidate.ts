/** Cross-validation of rows that are with shards, from one pass over them: a fold that is left out is a difference of sums. */

import type * as tf from "@tensorflow/tfjs";
import { count, counted, refuseAs, refuseUnknown } from "../../arguments.js";
import { formulations } from "../../convex/formulations/index.js";
import { MomentRows, type Moments, without } from "../../convex/sharded/index.js";
import type { Clock } from "../../convex/solvers/clock.js";
import type { Settings } from "../options.js";
import { betasFrom, type PathGrid } from "../pose/betas.js";
import { hiddenWeights } from "../pose/programWeights.js";
import { choiceOf, type FoldChoice, judgedOn } from "../report/foldChoice.js";
import { ROWS_ARGS, type ShardedRows } from "../sharded/arguments.js";
import { judged } from "../sharded/judge.js";
import { clockOf } from "../solve/withinWidth.js";
import { eachBetaByMoments } from "./along.js";
import { onePass, type Pass, posedByMoments } from "./pass.js";
import { followMoments, type ShardedPathResult } from "./path.js";

const FOLDS = 5;
const MOST_FOLDS = 1000;
const ARGS = [...ROWS_ARGS, "betas", "count", "ratio", "folds"];

/** Arguments of `crossValidateSharded`. */
export interface ShardedCrossValidationArgs extends ShardedRows, PathGrid {
  /**
   * Parts into which the rows are dealt by a hash of their number among all rows and the trainer's seed: the same for any number of
   * shards that are cut from one end to the other. Default 5.
   */
  readonly folds?: number;
}

/** What every beta was worth on rows that it had not seen, by the loss there. */
export interface ShardedCrossValidation<M extends tf.LayersModel = tf.Sequential> extends FoldChoice {
  /** Rows of each fold. */
  readonly sizes: readonly number[];
  /** The path of all rows down to the best beta; the model holds the network of its last point. */
  readonly path: ShardedPathResult<M>;
  readonly model: M;
}

/** Judges every beta on each fold by a path over the others, and writes the fit of all rows with the best one into the model. */
export async function crossValidateSharded<M extends tf.LayersModel>(
  settings: Settings,
  model: M,
  args: ShardedCrossValidationArgs,
): Promise<ShardedCrossValidation<M>> {
  refuseUnknown("crossValidateSharded", args, ARGS);
  const folds = count("crossValidateSharded: folds", args.folds ?? FOLDS, MOST_FOLDS, 2);
  betasFrom(args, () => 1); // whatever is wrong with it, before any worker starts
  const clock = clockOf(settings);
  const pass = await onePass("crossValidateSharded", model, args, settings, folds, clock);
  const passSeconds = clock.seconds;
  const sizes = pass.folds.map(({ rows }) => rows);
  refuseThin(sizes);
  const { posed } = await posedByMoments(pass.all, pass, settings);
  const grid = betasFrom(args, () => posed.zero.trivialBeta);
  const ends = args.betas !== undefined || args.ratio !== undefined;
  const judgeAll = async (betas: readonly number[]) => {
    const values: number[][] = [];
    for (const [f, held] of pass.folds.entries()) {
      // What is left is for the folds to come and for the path of all rows, which ends at the best beta.
      const share = clock.part(1 / (folds + 1 - f));
      values.push(await judgeFold(pass, held, betas, settings, share));
    }
    return values;
  };
  const choice = choiceOf(grid, await judgedOn(grid, !ends, "min", () => clock.over, judgeAll), "min");
  const along = { betas: choice.betas.slice(0, choice.best + 1) };
  const path = await followMoments(settings, model, pass, along, clock, passSeconds);
  return { ...choice, sizes, path, model: path.write(path.points[path.points.length - 1]) };
}

/** The loss on the rows of a fold, for every beta of a path over the others. */
async function judgeFold(
  pass: Pass,
  held: Moments,
  betas: readonly number[],
  settings: Settings,
  clock: Clock,
): Promise<number[]> {
  const { rows, posed } = await posedByMoments(without(pass.all, held), pass, settings);
  const judge = new MomentRows(held, pass.cut.generators.data, false);
  const values: number[] = [];
  await eachBetaByMoments(rows, posed, betas, settings, clock, async (at, { blocks }) => {
    const network = formulations.gated.recover(at.program, blocks);
    const weights = hiddenWeights(at, network, Math.max(1, network.neurons.length));
    values.push((await judged(judge, at, weights)).written.loss);
    return true;
  });
  return values;
}

function refuseThin(sizes: readonly number[]): void {
  const empty = sizes.indexOf(0);
  if (empty < 0) return;
  const rows = sizes.reduce((sum, size) => sum + size, 0);
  refuseAs(
    "crossValidateSharded",
    "rows in every fold",
    `none in fold ${empty} of ${sizes.length}, of ${counted(rows, "row")}`,
    "Use fewer folds.",
    "data/empty",
  );
}
