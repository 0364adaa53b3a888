/** Layer-wise training: stage k is the convex program of hidden layer k on what the layers below compute, and these stay as they are. */

import * as tf from "@tensorflow/tfjs";
import type { Clock } from "../../../convex/solvers/clock.js";
import type { Certificate, Status } from "../../../convex/types.js";
import { fitModel, type Order } from "../../fit.js";
import type { Settings } from "../../options.js";
import { withoutChoice } from "../../pose/regularization.js";
import { type NetworkSpec, readModel } from "../../read/model.js";
import { claimedOfHead } from "../../report/head.js";
import { Progress } from "../../report/progress.js";
import { FitResult } from "../../report/result.js";
import { clockOf } from "../../solve/withinWidth.js";
import { weightsBefore } from "../../write/weights.js";
import { certified, seesNothing } from "../fit.js";
import { headWays } from "../headPasses.js";
import { type Charge, WholeObjective } from "../objective.js";
import { readWholeRows, type WholeRows } from "../rows.js";
import { headNotes, KEPT_PROGRAM, refuseUnfit } from "../words.js";
import { carryOn, isNonnegative, type ReadOut, writeKernel } from "./carry.js";
import { type Chain, chainOf } from "./chain.js";
import type { StageModel } from "./stageModel.js";
import { fitStages, LEAST_SECONDS, type StageDone, type StagesDone, stageModels } from "./stages.js";
import { layerwiseNotes, STAGE_ADVICE, STOPPED } from "./words.js";

/** How the stages ended up in the model. */
interface Written {
  /** The stage whose function the model has; null: its first weights. */
  readonly chosen: number | null;
  readonly status: Status;
}

/** Trains a model by its order, with `depth: "layerwise"`. The weights are as they were where anything throws. */
export async function fitLayerwise<M extends tf.LayersModel>(order: Order<M>): Promise<FitResult<M>> {
  const { model, x, y, args, settings } = order;
  refuseUnfit(settings, args, "layerwise");
  const clock = clockOf(settings);
  const spec = readModel(model, settings.formulation, "fit", true, settings.depth);
  const chain = chainOf(model);
  const rows = await readWholeRows(model, spec, x, y, args);
  const restore = await weightsBefore(model);
  const stages = stageModels(model, chain, settings);
  const progress = new Progress(model, args.callbacks, args.verbose ?? 0, settings.tolerance, settings.timeLimit);
  const objective = new WholeObjective(model, headWays(model, spec, x, rows.train), chargesOf(stages, settings));
  const stop = new AbortController();
  const abort = () => stop.abort();
  settings.signal?.addEventListener("abort", abort);
  if (settings.signal?.aborted) abort();
  try {
    await progress.begin(rows.train.y.rows, stages.length, namesOf(model, rows));
    const tell = async (stage: StageDone, logs: Readonly<Record<string, number>>) => {
      const { objective: loss, relativeGap } = stage;
      const told = { loss, ...logs, relativeGap, seconds: clock.seconds };
      if (await progress.round(progress.epoch.length, told)) abort();
      return stop.signal.aborted;
    };
    const all = await fitStages(order, chain, stages, rows, clock, stop.signal, tell);
    const { done } = all;
    const written = write(chain, stages, all, restore);
    const last = done[done.length - 1];
    const whole = written.chosen === stages.length - 1;
    // Whoever asked to stop does not wait for a better bound.
    const rest = all.stopped ? clock.part(0) : clock;
    // Where the head is no program's network, one round of its program says what the other records are about.
    const round = whole || all.constant !== null ? null : await oneRound(order, spec, rest);
    // A head that sees the same on all rows has no program: what is known is of the stage that the model computes.
    const known = done[written.chosen ?? done.length - 1];
    const head = round ?? known.result;
    const said = round === null ? known.result : await certified(order, spec, rows, rest);
    const reached = await objective.value();
    await progress.end();
    const { epoch: _epoch, history: _history, ...summary } = head;
    return new FitResult<M>(progress.epoch, progress.history, {
      ...summary,
      model,
      certificate: whole
        ? claimedOfHead(said.certificate, spec)
        : round === null
          ? claimedOfStage(known)
          : said.certificate,
      objective: reached,
      ...{ status: written.status, advice: adviceOf(written.status, last.result.advice) },
      problem: { ...head.problem, spec: { ...head.problem.spec, cut: spec.cut, deep: spec.deep } },
      stages: done.map(({ layer, objective, carried, relativeGap, status, validationLoss }, k) => ({
        ...{ layer, objective, carried, relativeGap, status, validationLoss, chosen: k === written.chosen },
      })),
      notes: [
        ...layerwiseNotes(all, written.chosen, stages),
        ...headNotes(model, spec, said.notes),
        ...(round === null ? [] : [KEPT_PROGRAM]),
      ],
      seconds: clock.seconds,
    });
  } catch (error) {
    restore();
    throw error;
  } finally {
    settings.signal?.removeEventListener("abort", abort);
    progress.close();
    objective.dispose();
    for (const stage of stages) stage.model.dispose();
  }
}

function adviceOf(status: Status, own: string): string {
  return status === "cancelled" ? STOPPED : (STAGE_ADVICE[status] ?? own);
}

/** The certificate of a stage, with words that say so. */
function claimedOfStage({ layer, result: { certificate } }: StageDone): Certificate {
  const claim = `Of layer "${layer}" alone under a read-out of its own, given what comes before it: ${certificate.claim}`;
  return { ...certificate, claim };
}

/** What is told of a stage. */
function namesOf(model: tf.LayersModel, { validation }: WholeRows): string[] {
  const held = validation === null ? [] : model.metricsNames.map((name) => `val_${name}`);
  return ["loss", ...model.metricsNames.slice(1), ...held, "stage", "stageObjective", "relativeGap", "seconds"];
}

/** What an option charges and the layers do not: all kernels, as each stage does. */
function chargesOf(stages: readonly StageModel[], { regularization }: Settings): Charge[] {
  if (typeof regularization !== "number") return [];
  const pairs = [...stages.flatMap(({ hidden }) => hidden), stages[stages.length - 1].readOut];
  return pairs.flatMap(([own, copy]) =>
    own.getConfig().kernelRegularizer == null && copy.getConfig().kernelRegularizer != null
      ? [{ weight: own.weights[0], factor: regularization / 2 }]
      : [],
  );
}

/**
 * Writes the read-out that belongs to the stages: the last one's, or, of rows held out, that of the stage with the least loss on them,
 * taken on through the layers after it. What was stopped before the last stage is taken on, or, without room, the model's own weights
 * come back. A stage that leaves nothing to see is a constant, which needs no room.
 */
function write(
  chain: Chain,
  stages: readonly StageModel[],
  { done, stopped, constant }: StagesDone,
  restore: () => void,
): Written {
  const last = done.length - 1;
  const status = stopped ? "cancelled" : done[last].status;
  const open = done.flatMap((_, k) => (k === stages.length - 1 || takenOn(chain, stages, done, k) !== null ? [k] : []));
  if (constant !== null && !open.includes(last)) {
    writeConstant(chain, stages, done, constant);
    return { chosen: last, status };
  }
  if (open.length === 0) {
    restore();
    return { chosen: null, status };
  }
  const loss = (k: number) => done[k].validationLoss ?? -k;
  const chosen = open.reduce((best, k) => (loss(k) < loss(best) ? k : best));
  for (const { layer, kernel, bias } of takenOn(chain, stages, done, chosen) ?? []) writeKernel(layer, kernel, bias);
  return { chosen, status };
}

interface CarriedWeights {
  readonly layer: tf.layers.Layer;
  readonly kernel: Float64Array;
  readonly bias: Float64Array | null;
}

/** The weights of all layers after stage k that make the model compute what that does; null without room, or where it is another network. */
function takenOn(
  chain: Chain,
  stages: readonly StageModel[],
  done: readonly StageDone[],
  k: number,
): CarriedWeights[] | null {
  if (!done[k].same) return null;
  const written: CarriedWeights[] = [];
  let readOut: ReadOut = done[k].readOut;
  for (const [j, block] of chain.blocks.entries()) {
    if (j <= k) continue;
    const [{ layer }] = block;
    const factors = [block[0].layer, chain.end[0].layer].map((each) => l2Of(each)) as [number, number];
    const carried = carryOn(block, readOut, factors, isNonnegative(chain.blocks[j - 1]));
    if (carried === null) return null;
    written.push({ layer, kernel: carried.kernel, bias: null });
    readOut = carried.readOut;
  }
  const [layer] = stages[stages.length - 1].readOut;
  return [...written, { layer, kernel: readOut.kernel, bias: readOut.bias }];
}

/** The outputs of the last stage on features that are the same on all rows, with zeros in all layers after it. */
function writeConstant(
  chain: Chain,
  stages: readonly StageModel[],
  done: readonly StageDone[],
  constant: Float64Array,
): void {
  const { kernel, bias, outputs: C } = done[done.length - 1].readOut;
  for (const [{ layer }] of chain.blocks.slice(done.length)) {
    tf.tidy(() => layer.setWeights(layer.getWeights().map((weight) => tf.zerosLike(weight))));
  }
  const sums = Float64Array.from({ length: C }, (_, c) =>
    kernel.length === constant.length * C
      ? constant.reduce((sum, value, p) => sum + value * kernel[p * C + c], bias?.[c] ?? 0)
      : (bias?.[c] ?? 0),
  );
  const [layer] = stages[stages.length - 1].readOut;
  writeKernel(layer, new Float64Array(layer.weights[0].read().size), sums);
}

function l2Of(layer: tf.layers.Layer): number {
  const regularizer = layer.getConfig().kernelRegularizer as { config?: { l2?: number } } | null;
  return regularizer?.config?.l2 ?? 0;
}

/** A round of the program of the head as it is, whose network is not taken: what gates, blocks and problem are then of. Null without a program. */
async function oneRound<M extends tf.LayersModel>(
  order: Order<M>,
  spec: NetworkSpec,
  clock: Clock,
): Promise<FitResult<M> | null> {
  const { validationSplit = null, sampleWeight = null, classWeight = null } = order.args;
  const regularization = withoutChoice(spec, order.settings.regularization);
  const timeLimit = Math.max(LEAST_SECONDS, clock.left);
  const plain = { depth: "head", maxIterations: 1, signal: null, standardize: false, timeLimit } as const;
  const settings = { ...order.settings, ...plain, regularization };
  const restore = await weightsBefore(order.model);
  try {
    return await fitModel({
      ...order,
      settings,
      width: "keep",
      heard: false,
      args: { validationSplit, sampleWeight, classWeight },
    });
  } catch (error) {
    if (seesNothing(error)) return null;
    throw error;
  } finally {
    restore();
  }
}
