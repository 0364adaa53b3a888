/** The stages of a layer-wise training: each is the program of one hidden layer on what the layers before it compute. */

import * as tf from "@tensorflow/tfjs";
import type { Clock } from "../../../convex/solvers/clock.js";
import type { Order } from "../../fit.js";
import type { Settings } from "../../options.js";
import { withoutChoice } from "../../pose/regularization.js";
import { type NetworkSpec, readModel } from "../../read/model.js";
import type { FitResult, Stage } from "../../report/result.js";
import { weightsBefore } from "../../write/weights.js";
import { fitAlternating, fitHead, isNoHigher, keeping } from "../fit.js";
import { headWays } from "../headPasses.js";
import { WholeJudge } from "../judge.js";
import { WholeObjective } from "../objective.js";
import type { WholeRows } from "../rows.js";
import { carryOn, isNonnegative, type ReadOut, readOutOf, writeKernel } from "./carry.js";
import type { Block, Chain } from "./chain.js";
import { through } from "./features.js";
import { readOutModel, type StageModel, stageModel } from "./stageModel.js";

/** Less time than this, in seconds, is none. */
export const LEAST_SECONDS = 0.01;
/** Of first weights, for units that take nothing on. */
const WAKEN = 0.1;

/** The stage before, as the next one begins at it. */
interface Before {
  readonly readOut: ReadOut;
  readonly block: Block;
}

/** What a stage came to. */
export interface StageDone extends Stage {
  readonly readOut: ReadOut;
  readonly result: FitResult<tf.Sequential>;
  /** Whether the network of the stage is what the model computes up to there, under a read-out. */
  readonly same: boolean;
}

/** A stage is told when it is done; true to stop. */
export type TellStage = (stage: StageDone, logs: Readonly<Record<string, number>>) => Promise<boolean>;

/** The models of all stages, the last one last; refuses before any work what a stage can't be. The caller disposes. */
export function stageModels(model: tf.LayersModel, chain: Chain, settings: Settings): StageModel[] {
  const decay = typeof settings.regularization === "number" ? settings.regularization / 2 : null;
  const charged = [...chain.blocks.map(([{ layer }]) => layer), chain.end[0].layer].some(
    (layer) => layer.getConfig().kernelRegularizer != null,
  );
  const made: StageModel[] = [];
  try {
    for (const block of chain.blocks) made.push(stageModel(model, block, chain.end, charged ? null : decay));
    if (made.some(({ same }, k) => !same && k === made.length - 1)) {
      made.push(readOutModel(model, chain.end, charged ? null : decay));
    }
    for (const { model: each, hidden } of made)
      readModel(each, hidden.length === 0 ? null : settings.formulation, "fit");
    return made;
  } catch (error) {
    for (const stage of made) stage.model.dispose();
    throw error;
  }
}

/** What came of the stages: all of them, unless someone stopped them or one left nothing to see. */
export interface StagesDone {
  readonly done: readonly StageDone[];
  readonly stopped: boolean;
  /** What the last one computes where that is the same on all rows [d]: later stages have nothing to see. */
  readonly constant: Float64Array | null;
}

/** Fits the stages in their order, each with its share of the time, and writes the hidden layers into the model. */
export async function fitStages(
  order: Order<tf.LayersModel>,
  chain: Chain,
  stages: readonly StageModel[],
  rows: WholeRows,
  clock: Clock,
  signal: AbortSignal,
  tell: TellStage,
): Promise<StagesDone> {
  const { x } = order;
  const held: tf.Tensor[] = [];
  const seen = async (steps: Chain["before"], from: tf.Tensor) => {
    const made = await through(steps, from);
    held.push(made);
    return made;
  };
  const done: StageDone[] = [];
  try {
    let H = await seen(chain.before, x);
    let V = rows.validation && (await seen(chain.before, rows.validation.x));
    let below = 0; // what the layers of earlier stages charge
    let before: Before | null = null;
    for (const [k, stage] of stages.entries()) {
      const stageRows = { ...rows, validation: V && rows.validation && { ...rows.validation, x: V } };
      const share = clock.part(1 / (stages.length - k));
      const result = await fitStage(order, stage, H, stageRows, share, signal, before);
      before = { readOut: result.readOut, block: stage.block };
      for (const [own, copy] of stage.hidden) own.setWeights(copy.getWeights());
      const { charge, logs, objective, ...rest } = result;
      const one = { ...rest, objective: objective + below, layer: (stage.hidden[0] ?? stage.readOut)[0].name };
      below += charge;
      done.push({ ...one, same: stage.same });
      if (await tell(done[k], { ...logs, stage: k + 1, stageObjective: objective })) {
        return { done, stopped: k < stages.length - 1, constant: null };
      }
      if (k === stages.length - 1) break;
      H = await seen(stage.block, H);
      V &&= await seen(stage.block, V);
      for (const tensor of held.splice(0, held.length)) if (tensor !== H && tensor !== V) tensor.dispose();
      held.push(...(V === null ? [H] : [H, V]));
      const constant = await constantOf(H);
      if (constant !== null) return { done, stopped: false, constant };
    }
    return { done, stopped: false, constant: null };
  } finally {
    tf.dispose(held);
  }
}

/** One stage on its features H, begun at the read-out of the stage before where the layer has room for it: it never ends above that. */
async function fitStage(
  order: Order<tf.LayersModel>,
  stage: StageModel,
  H: tf.Tensor,
  rows: WholeRows,
  clock: Clock,
  signal: AbortSignal,
  before: Before | null,
) {
  const { model } = stage;
  const { y, args } = order;
  const wish = order.settings.regularization;
  const spec = readModel(model, null, "fit", true, "head");
  const regularization = typeof wish === "number" ? null : withoutChoice(spec, wish);
  const bent = spec.formulation === "relu" || spec.formulation === "gated";
  const settings: Settings = {
    ...order.settings,
    ...(bent ? {} : { formulation: null, arrangements: null, pricing: null, solver: null }),
    ...{ regularization, depth: "head", signal },
  };
  const objective = new WholeObjective(model, headWays(model, spec, H, rows.train));
  const judge = new WholeJudge(model, H, y, rows);
  try {
    const begun = begin(stage, before, [spec.l2.hidden, spec.l2.output]);
    const atStart = await objective.value();
    const carried = begun ? atStart : null;
    const after = passesAfter(rows) * objective.secondsOfValue;
    const timeLimit = Math.max(LEAST_SECONDS, clock.left / 2, clock.left - after);
    const restore = await weightsBefore(model);
    if (begun) await wake(stage);
    const { validationSplit = null, sampleWeight = null, classWeight = null } = args;
    const stageArgs = { validationSplit, sampleWeight, classWeight };
    const stageOrder: Order<tf.Sequential> = {
      model,
      x: H,
      y,
      settings: { ...settings, timeLimit },
      width: "keep",
      ours: false,
      args: stageArgs,
      heard: false,
    };
    const found = descends(spec)
      ? await fitAlternating({ ...stageOrder, settings: { ...stageOrder.settings, depth: "alternate" } }, false)
      : await fitHead(stageOrder);
    const isLower = carried === null || isNoHigher((await objective.value()).total, carried.total);
    if (!isLower) restore();
    const result = isLower ? found : await keeping(stageOrder, spec, rows, clock, carried, found);
    const logs = await judge.judge();
    return {
      ...{ result, logs, carried: carried?.total ?? null, validationLoss: logs.val_loss ?? null },
      objective: (await objective.value()).total,
      relativeGap: result.certificate.relativeGap,
      status: result.status,
      readOut: await readOutOf(stage.readOut[1]),
      charge: await chargeOf(stage.hidden.map(([, copy]) => copy)),
    };
  } finally {
    objective.dispose();
    judge.dispose();
  }
}

/** Times of a pass over the training rows that are spent after a stage: its value, and what is judged of it. */
function passesAfter({ train, validation }: WholeRows): number {
  return 2 + (validation?.rows.length ?? 0) / train.rows.length;
}

/**
 * Whether a stage is descended, too: its layer has the width that it has, for which the program has too many units. Gated layers have no
 * other minima; normalisation has the statistics that its program gives it, and what nothing charges, the charge.
 */
function descends({ formulation, normalization, cut, l2 }: NetworkSpec): boolean {
  return formulation === "relu" && normalization === null && cut === "hidden" && l2.hidden > 0;
}

/** First weights: those that take the read-out before on, or those of the model under a read-out of zeros; true where the former. */
function begin(stage: StageModel, before: Before | null, factors: readonly [number, number]): boolean {
  const [, readOut] = stage.readOut;
  const [first] = stage.hidden;
  const carried =
    before === null || first === undefined
      ? null
      : carryOn(stage.block, before.readOut, factors, isNonnegative(before.block));
  if (carried !== null) {
    writeKernel(first[1], carried.kernel, null);
    writeKernel(readOut, carried.readOut.kernel, carried.readOut.bias);
    return true;
  }
  for (const [own, copy] of stage.hidden) copy.setWeights(own.getWeights());
  tf.tidy(() => readOut.setWeights(readOut.getWeights().map((weight) => tf.zerosLike(weight))));
  return false;
}

/** Units that take nothing on get a little of the model's own first weights: at zero they would have no slope. */
async function wake({ hidden: [[own, copy]] }: StageModel): Promise<void> {
  const [theirs, ours] = [own, copy].map((layer) => layer.getWeights()[0]);
  const [first, kernel] = await Promise.all([theirs.data(), ours.data()]);
  const units = ours.shape[ours.rank - 1] as number;
  const awake = new Set<number>();
  kernel.forEach((value, at) => {
    if (value !== 0) awake.add(at % units);
  });
  writeKernel(
    copy,
    Float64Array.from(kernel, (value, at) => (awake.has(at % units) ? value : WAKEN * first[at])),
    null,
  );
}

/** A sample's features where all rows have the same. */
async function constantOf(H: tf.Tensor): Promise<Float64Array | null> {
  const values = await H.data();
  const d = values.length / H.shape[0];
  for (let k = d; k < values.length; k++) if (values[k] !== values[k % d]) return null;
  return Float64Array.from(values.slice(0, d));
}

async function chargeOf(layers: readonly tf.layers.Layer[]): Promise<number> {
  const sum = tf.tidy(() =>
    layers
      .flatMap((layer) => layer.calculateLosses())
      .reduce<tf.Scalar>((all, term) => tf.add(all, term), tf.scalar(0)),
  );
  try {
    return (await sum.data())[0];
  } finally {
    sum.dispose();
  }
}
