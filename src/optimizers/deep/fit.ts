/** Deep models: the program of the head alone, or in turn with a descent of all layers; never higher than before. */

import * as tf from "@tensorflow/tfjs";
import { chooseEngine } from "../../convex/kernels/index.js";
import { gaussianSource } from "../../convex/linear/random.js";
import { Clock } from "../../convex/solvers/clock.js";
import type { Certificate, Status } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import { certify } from "../certify.js";
import { fitModel, type Order } from "../fit.js";
import type { Settings } from "../options.js";
import { withoutChoice } from "../pose/regularization.js";
import { anatomyOf } from "../read/anatomy.js";
import { type NetworkSpec, readModel } from "../read/model.js";
import type { Objective } from "../records.js";
import { Progress } from "../report/progress.js";
import { FitResult } from "../report/result.js";
import { clockOf } from "../solve/withinWidth.js";
import { weightsBefore } from "../write/weights.js";
import { Epochs, effortOf, hopDown, stopWith, warmUp } from "./descents/index.js";
import { headWays } from "./headPasses.js";
import { WholeJudge } from "./judge.js";
import { refuseNormalizedAxes, refuseStates } from "./layers.js";
import { type Charge, WholeObjective } from "./objective.js";
import { ownStart } from "./ownStart.js";
import { readWholeRows, rowsOf, type WholeRows } from "./rows.js";
import { standardStart } from "./standardStart.js";
import { alternateNotes, endedAs, headNotes, KEPT, KEPT_PROGRAM, refuseFreeBeside, refuseUnfit } from "./words.js";

/** Of the time: what the first program may take, what each later one, and what is kept for the last and its certificate. */
const FIRST_SHARE = 0.1;
const LATER_SHARE = 0.15;
const LAST_SHARE = 0.2;
/** The same where the read-out is all of the head: a program of one layer, which takes as long as a few of its descents' steps. */
const LAST_READ_OUT_SHARE = 0.05;
/** Times of a pass over all rows that are kept for the end: values before and after the last program, its features, and a rest. */
const PASSES_LEFT = 6;
/** Of what is left then: what the last program takes before the certificate. */
const LAST_PROGRAM = 0.6;
/** Less time than this, in seconds, is too little to tighten a bound. */
const LEAST_LEFT = 0.05;
/** Seconds of a program, where nobody set a limit: as many as all before it took, and these at least. */
const LEAST_SECONDS = 2;
/** Says nothing of a model but its loss. */
const UNJUDGED: Pick<WholeJudge, "names" | "judge" | "dispose"> = {
  names: ["loss", "relativeGap", "seconds"],
  judge: async () => ({}),
  dispose: () => undefined,
};

/** What came of the rounds. */
interface Rounds<M extends tf.LayersModel> {
  /** The last program, posed on the features as they are at the end. */
  readonly head: FitResult<M>;
  readonly accepted: boolean; // whether its network is the model's
  readonly status: Status;
  readonly programs: number;
  readonly helped: number; // programs whose network was taken
  readonly steps: number; // of all descents
  readonly epochs: number; // of Adam, before them
  readonly undone: number; // descents that left the head nothing to see
}

/**
 * Trains a model by its order, with `depth: "alternate"`. The weights are as they were where anything throws. `whole`: it is no stage of
 * a larger one, by whose words it is judged and described: then the metrics of its epochs are, and its notes are on its program alone.
 */
export async function fitAlternating<M extends tf.LayersModel>(order: Order<M>, whole = true): Promise<FitResult<M>> {
  const { model, x, y, args, settings } = order;
  refuseUnfit(settings, args, "alternate");
  const clock = clockOf(settings);
  const spec = readModel(model, settings.formulation, "fit", true, settings.depth);
  refuseStates(model);
  refuseNormalizedAxes(model);
  refuseFreeBeside(spec, settings);
  const rows = await readWholeRows(model, spec, x, y, args);
  const restore = await weightsBefore(model);
  // It refuses callbacks that are none, and holds no tensors.
  const progress = new Progress(model, args.callbacks, args.verbose ?? 0, settings.tolerance, settings.timeLimit);
  const objective = new WholeObjective(model, headWays(model, spec, x, rows.train), chargesOf(model, spec, settings));
  const judge = whole ? new WholeJudge(model, x, y, rows) : UNJUDGED;
  try {
    await objective.moveToHost((await chooseEngine(settings.engine, settings.threads)).kernels);
    await objective.keepConstraints();
    await progress.begin(rows.train.y.rows, settings.maxIterations, judge.names);
    const limit = new Clock(clock.left, () => settings.signal?.aborted === true);
    const first = await objective.weights();
    const start = await standardStart(model, x, rows.train, objective, limit);
    const rounds = await alternate(order, spec, objective, first, judge, progress, clock);
    const { epoch: _epoch, history: _history, ...head } = rounds.head;
    // Whoever asked to stop does not wait for a better bound.
    const rest = rounds.status === "cancelled" ? clock.part(0) : clock;
    const said = rounds.accepted ? head : await certified(order, spec, rows, rest);
    const reached = await objective.value();
    await progress.end();
    return new FitResult<M>(progress.epoch, progress.history, {
      ...head,
      model,
      certificate: said.certificate,
      objective: reached,
      ...endedAs(rounds.status),
      notes: whole
        ? [...alternateNotes(model, spec, rounds, start), ...headNotes(model, spec, said.notes)]
        : [...said.notes, ...(rounds.accepted ? [] : [KEPT_PROGRAM])],
      seconds: clock.seconds,
    });
  } catch (error) {
    restore();
    throw error;
  } finally {
    progress.close();
    judge.dispose();
    objective.dispose();
  }
}

/**
 * Trains the head of a model by its order, and leaves the layers below as they are. Where the model's own head, at the regularizers
 * of its layers, is lower than what was found, it stays.
 */
export async function fitHead<M extends tf.LayersModel>(order: Order<M>): Promise<FitResult<M>> {
  const { model, x, y, args, settings } = order;
  const spec = readModel(model, settings.formulation, "fit", true, settings.depth);
  if (!isMeasuredByModel(spec, order)) return fitModel(order);
  const clock = clockOf(settings);
  const rows = await readWholeRows(model, spec, x, y, args);
  const restore = await weightsBefore(model);
  const objective = new WholeObjective(model, headWays(model, spec, x, rows.train));
  try {
    const before = await objective.value();
    const start = await ownStart(model, spec, settings, x, y, args);
    const result = await fitModel(start === null ? order : { ...order, args: { ...args, warmStart: start } });
    if (isNoHigher((await objective.value()).total, before.total)) return result;
    restore();
    return await keeping(order, spec, rows, clock, before, result);
  } catch (error) {
    restore();
    throw error;
  } finally {
    objective.dispose();
  }
}

/** What is said where weights that the model had stay, at their objective, and not those of a result. */
export async function keeping<M extends tf.LayersModel>(
  order: Order<M>,
  spec: NetworkSpec,
  rows: WholeRows,
  clock: Clock,
  objective: Objective,
  { epoch, history, ...summary }: FitResult<M>,
): Promise<FitResult<M>> {
  const { certificate, notes } = await certified(order, spec, rows, clock);
  return new FitResult<M>(epoch, history as Record<string, number[]>, {
    ...summary,
    ...{ model: order.model, certificate, objective, ...KEPT, notes: [...notes, KEPT.advice, KEPT_PROGRAM] },
  });
}

/** Whether a value is one that a model may end with, after one that may be none: weights can be NaN before a program writes them. */
export function isNoHigher(after: number, before: number): boolean {
  return Number.isFinite(after) && !(before < after);
}

/** Whether what a fit lowers is the objective as the model's own layers have it. */
function isMeasuredByModel(spec: NetworkSpec, { args, settings, width }: Order<tf.LayersModel>): boolean {
  const { regularization, standardize, rank, pca } = settings;
  const plain = rank === null && pca === null && standardize !== true && spec.normalization === null;
  const own = regularization === null || regularization === "from-model";
  const charged = spec.cut === "output" || spec.l2.hidden > 0;
  return plain && own && charged && width === "keep" && args.warmStart === undefined;
}

/** Rounds until one brings next to nothing, the time is up, or someone asks to stop; the last step is always a program. */
async function alternate<M extends tf.LayersModel>(
  order: Order<M>,
  spec: NetworkSpec,
  objective: WholeObjective,
  first: Float64Array,
  judge: Pick<WholeJudge, "judge">,
  progress: Progress,
  clock: Clock,
): Promise<Rounds<M>> {
  const { model, settings } = order;
  const { maxIterations } = settings;
  const { least, hops, worth } = effortOf(settings);
  const { stop, release } = stopWith(settings.signal);
  let value = (await objective.value()).total;
  const keptShare = spec.cut === "output" ? LAST_READ_OUT_SHARE : LAST_SHARE;
  const room = Math.min((1 - keptShare) * clock.left, clock.left - PASSES_LEFT * objective.secondsOfValue);
  const descents = new Clock(Math.max(0, room), clock.stopped);
  let gap = 1;
  // The last epoch is for the last program.
  const epochs = new Epochs(progress, judge, clock, maxIterations - 1, stop);
  const counts = { programs: 0, helped: 0, steps: 0, epochs: 0, undone: 0 };
  const ends = (): Status | null => {
    if (stop.signal.aborted) return "cancelled";
    if (epochs.isFull) return "iterationLimit";
    return descents.over ? "timeLimit" : null;
  };
  const draw = gaussianSource(settings.seed);
  let ended: Status | null = null;
  try {
    for (let begins = true; ; begins = false) {
      // Its charge is not the model's: one of the model's own objective is the last.
      const foreign = begins && isFree(spec, settings.regularization);
      const before = value;
      const undo = await weightsBefore(model);
      const takeBack = epochs.mark();
      const fell = (lowest: number) => {
        value = lowest;
        return epochs.tell(value, gap);
      };
      if (begins) counts.epochs = await warmUp(objective, part(descents, stop.signal), draw, fell);
      if (ended === null) {
        const { steps } = await hopDown(objective, least, part(descents, stop.signal), first, draw, hops, fell);
        counts.steps += steps;
      }
      const fallen = (await objective.value()).total;
      value = isNoHigher(fallen, before) ? fallen : before;
      ended ??= ends();
      let restore = await weightsBefore(model);
      const last = ended !== null && !foreign;
      const begun = clock.seconds;
      const program = async () => fitModel(await headOrder<M>(order, spec, counts.programs, last, clock, stop.signal));
      const head = await program().catch(async (error) => {
        if (!seesNothing(error) || fallen === before) throw error;
        undo();
        value = before;
        takeBack();
        restore = undo;
        counts.undone += 1;
        return program();
      });
      const after = (await objective.value()).total;
      const accepted = isNoHigher(after, value);
      if (accepted) value = after;
      else restore();
      counts.programs += 1;
      counts.helped += +accepted;
      gap = head.certificate.relativeGap;
      await epochs.tell(value, gap, last ? maxIterations : undefined);
      const slow = Number.isFinite(before) ? before - value < worth * Math.abs(value) : !Number.isFinite(value);
      // Posing and judging it take what they take, whatever its limit: there is no room for another.
      const full = clock.left < clock.seconds - begun;
      ended ??= ends() ?? (slow ? "slowed" : full ? "timeLimit" : null);
      if (ended !== null && !foreign) return { head, accepted, status: ended, ...counts };
    }
  } finally {
    release();
  }
}

/** Whether a program was refused since its features are the same on all rows: units below that died on the way down. */
export function seesNothing(error: unknown): boolean {
  return error instanceof ConvexError && error.code === "data/constant";
}

/** What is left of a clock, until someone asks to stop. */
function part(clock: Clock, signal: AbortSignal): Clock {
  return new Clock(clock.left, () => signal.aborted);
}

/** The program of the head as an order of its own, begun at the units that the model has; the user's callbacks hear nothing of it. */
async function headOrder<M extends tf.LayersModel>(
  order: Order<M>,
  spec: NetworkSpec,
  before: number,
  last: boolean,
  clock: Clock,
  signal: AbortSignal,
): Promise<Order<M>> {
  const { model, x, y } = order;
  const { validationSplit = null, sampleWeight = null, classWeight = null } = order.args;
  const args = { validationSplit, sampleWeight, classWeight };
  const share = last ? LAST_PROGRAM : before === 0 ? FIRST_SHARE : LATER_SHARE;
  const timeLimit = Number.isFinite(clock.left) ? share * clock.left : Math.max(LEAST_SECONDS, clock.seconds / 2);
  const settings = { ...order.settings, ...headSettings(spec, order.settings, before > 0), timeLimit, signal };
  const start = settings.depth === "head" ? await ownStart(model, spec, settings, x, y, args) : null;
  return {
    ...order,
    args: start === null ? args : { ...args, warmStart: start },
    settings,
    width: "keep",
    heard: false,
  };
}

/**
 * Layers without a charge have no best network of two layers: there the first program has the charge that a fit gives it, and its
 * network is taken where it helps; the later ones are of the read-out alone, without any.
 */
function headSettings(spec: NetworkSpec, { regularization }: Settings, later: boolean) {
  const alone = spec.cut === "output" || (isFree(spec, regularization) && later);
  const common = { standardize: false, depth: alone ? "read-out" : "head" } as const;
  if (alone) return { ...common, arrangements: null, pricing: null, solver: null };
  return { ...common, regularization: withoutChoice(spec, regularization) };
}

/** Whether nothing charges the last hidden layer. */
function isFree({ cut, l2 }: NetworkSpec, regularization: Settings["regularization"]): boolean {
  return cut === "hidden" && l2.hidden === 0 && typeof regularization !== "number";
}

/** What an option charges and the layers do not. */
function chargesOf(model: tf.LayersModel, spec: NetworkSpec, { regularization: beta }: Settings): Charge[] {
  if (typeof beta !== "number" || spec.l2.hidden > 0) return [];
  const { head } = anatomyOf(model, "write", spec.cut);
  const layers = spec.cut === "hidden" ? [head.hidden, head.output] : [head.output];
  return layers.map((layer) => ({ weight: layer.weights[0], factor: beta / 2 }));
}

/** What is proven of the model's own head, and the notes on that, where no program's network took its place. */
export async function certified(
  { model, x, y, settings }: Order<tf.LayersModel>,
  spec: NetworkSpec,
  { train }: WholeRows,
  clock: Clock,
): Promise<{ readonly certificate: Certificate; readonly notes: readonly string[] }> {
  const { tolerance, seed, threads, engine, vectorPenalty, hiddenBiasScale, regularization } = settings;
  const { depth } = headSettings(spec, settings, true);
  const left = Number.isFinite(clock.left) ? clock.left : Math.max(LEAST_SECONDS, clock.seconds / 2);
  const [inputs, targets] = [rowsOf(x, train.rows), rowsOf(y, train.rows)];
  try {
    const { certificate, notes } = await certify(model, inputs, targets, {
      ...{ depth, seed, engine, sampleWeight: train.weights, timeLimit: Math.max(left, LEAST_LEFT) },
      ...(left > LEAST_LEFT && !settings.signal?.aborted ? { tolerance } : {}),
      ...(threads === null ? {} : { threads }),
      ...(vectorPenalty === null ? {} : { vectorPenalty }),
      ...(hiddenBiasScale === null ? {} : { hiddenBiasScale }),
      ...(typeof regularization === "number" ? { regularization } : {}),
      ...(spec.cut === "hidden" && depth === "head" ? { standardize: false } : {}),
    });
    return { certificate, notes };
  } finally {
    tf.dispose([inputs, targets]);
  }
}
