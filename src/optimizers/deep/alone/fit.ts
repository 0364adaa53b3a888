/** Trains a model of which no part has a convex program: descents and hops on its own objective, of which nothing is proven. */

import * as tf from "@tensorflow/tfjs";
import { chooseEngine } from "../../../convex/kernels/index.js";
import { gaussianSource } from "../../../convex/linear/random.js";
import { Clock } from "../../../convex/solvers/clock.js";
import type { Status } from "../../../convex/types.js";
import type { Order } from "../../fit.js";
import type { ModelTensors } from "../../read/data.js";
import { type NoProgram, refuseModel } from "../../read/layers/layer.js";
import type { Regularization } from "../../records.js";
import { Progress } from "../../report/progress.js";
import { FitResult } from "../../report/result.js";
import { clockOf } from "../../solve/withinWidth.js";
import { weightsBefore } from "../../write/weights.js";
import { Epochs, effortOf, hopDown, stopWith, warmUp } from "../descents/index.js";
import { WholeJudge } from "../judge.js";
import { refuseNormalizedAxes, refuseStates } from "../layers.js";
import { WholeObjective } from "../objective.js";
import { standardStart } from "../standardStart.js";
import { refuseUnfit } from "../words.js";
import { readAloneRows } from "./rows.js";
import { aloneWays } from "./ways.js";
import { aloneNotes, endedAlone, type Rounds, unproven } from "./words.js";

/** Times of a pass over all rows that are kept for the end. */
const PASSES_LEFT = 3;
/** Seconds for which nobody waits. */
const NOT_WAITED = 1;
/** Rounds in a row that bring next to nothing and are the last, within these seconds or where none came below the beginning: units may have been dead there. */
const USELESS = 30;
/** Of the objective at the beginning: so little of it can't be told from nothing by outputs in float32. */
const ENOUGH = 1e-12;

/** Of no program. */
const UNCHARGED: Regularization = {
  ...{ beta: Number.NaN, hidden: Number.NaN, output: Number.NaN, outputBias: Number.NaN },
  ...{ source: "model", standardized: false, constraint: null },
};

/** A model of any inputs and outputs, and how it is to be fitted. */
export type AloneOrder<M extends tf.LayersModel> = Pick<Order<M>, "model" | "args" | "settings"> & {
  readonly x: ModelTensors;
  readonly y: ModelTensors;
};

/**
 * The weights are as they were where anything throws; they never end above where they began.
 *
 * @throws ConvexError "data/..." and "model/..." for what can't be trained, "options/value" for options that are about a program.
 */
export async function fitAlone<M extends tf.LayersModel>(order: AloneOrder<M>, why: NoProgram): Promise<FitResult<M>> {
  const { model, x, y, args, settings } = order;
  refuseUnfit(settings, args, null);
  const clock = clockOf(settings);
  refuseUntrainable(model);
  const rows = await readAloneRows(model, x, y, args);
  const restore = await weightsBefore(model);
  const held: { dispose(): void }[] = [rows];
  let progress: Progress | null = null;
  try {
    progress = new Progress(model, args.callbacks, args.verbose ?? 0, settings.tolerance, settings.timeLimit);
    const objective = new WholeObjective(model, await aloneWays(model, rows));
    held.push(objective);
    const judge = new WholeJudge(model, rows.x, rows.y, rows);
    held.push(judge);
    const { kernels, reason } = await chooseEngine(settings.engine, settings.threads);
    const engine = (await objective.moveToHost(kernels)) ? reason : `TensorFlow.js: ${tf.getBackend()}`;
    await objective.keepConstraints();
    await progress.begin(rows.train.rows.length, settings.maxIterations, judge.names);
    const first = await objective.weights();
    const limit = new Clock(clock.left, () => settings.signal?.aborted === true);
    const start = await standardStart(model, rows.x, rows.train, objective, limit);
    const rounds = await descend(order, objective, first, judge, progress, clock);
    const reached = await objective.value();
    await progress.end();
    return FitResult.withoutProgram<M>(progress.epoch, progress.history, {
      ...{ model, objective: reached, certificate: unproven(reached.total, why), ...endedAlone(rounds.status) },
      notes: aloneNotes(model, why, rounds, start),
      noProgram: why.what,
      ...{ neurons: Number.NaN, regularization: UNCHARGED, solver: "l-bfgs", engine, seconds: clock.seconds },
    });
  } catch (error) {
    restore();
    throw error;
  } finally {
    progress?.close();
    for (const each of held.reverse()) each.dispose();
  }
}

/** Rounds of hops until one brings next to nothing, the time is up, or someone asks to stop. */
async function descend<M extends tf.LayersModel>(
  { settings }: AloneOrder<M>,
  objective: WholeObjective,
  first: Float64Array,
  judge: WholeJudge,
  progress: Progress,
  clock: Clock,
): Promise<Rounds> {
  const { least, hops, worth } = effortOf(settings);
  const { stop, release } = stopWith(settings.signal);
  let value = (await objective.value()).total;
  const epochs = new Epochs(progress, judge, clock, settings.maxIterations, stop);
  const room = new Clock(Math.max(0, clock.left - PASSES_LEFT * objective.secondsOfValue), () => stop.signal.aborted);
  const enough = ENOUGH * value;
  const isEnough = (lowest: number) => lowest >= 0 && lowest <= enough;
  const told = async (lowest: number) => (await epochs.tell(lowest, Number.POSITIVE_INFINITY)) || isEnough(lowest);
  const draw = gaussianSource(settings.seed);
  const ends = (): Status | null => {
    if (stop.signal.aborted) return "cancelled";
    if (epochs.isFull) return "iterationLimit";
    return room.over ? "timeLimit" : null;
  };
  const counts = { steps: 0, epochs: 0 };
  try {
    if (!Number.isFinite(value)) value = Number.POSITIVE_INFINITY;
    const begun = value;
    counts.epochs = await warmUp(objective, room, draw, told, true);
    if (counts.epochs > 0) value = (await objective.value()).total;
    let useless = 0;
    for (let ended = ends(); ; ) {
      const before = value;
      if (ended === null) {
        const start = await objective.weights();
        counts.steps += (await hopDown(objective, least, room, first, draw, hops, told)).steps;
        const { total } = await objective.value();
        if (total <= value) value = total;
        else objective.write(start);
      }
      if (!Number.isFinite(value)) return { status: "nonFinite", ...counts };
      await told(value);
      useless = before - value <= worth * Math.abs(value) ? useless + 1 : 0;
      const most = value < begun && clock.seconds > NOT_WAITED ? 1 : USELESS;
      ended ??= ends() ?? (useless >= most || isEnough(value) ? "slowed" : null);
      if (ended !== null) return { status: ended, ...counts };
    }
  } finally {
    release();
  }
}

/** @throws ConvexError "model/frozen" or "model/layer". */
function refuseUntrainable(model: tf.LayersModel): void {
  if (model.trainableWeights.length === 0) {
    refuseModel("model/frozen", "layers that may be trained", "none", "Set trainable to true in some.");
  }
  refuseStates(model);
  refuseNormalizedAxes(model);
}
