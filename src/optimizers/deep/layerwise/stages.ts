/** The stages of a layer-wise training: each is the program of one hidden layer on what the layers before it compute. */

import * as tf from "@tensorflow/tfjs";
import type { Clock } from "../../../convex/solvers/clock.js";
import type { Order } from "../../fit.js";
import type { Settings } from "../../options.js";
import { withoutChoice } from "../../pose/regularization.js";
import { readModel } from "../../read/model.js";
import type { FitResult, Stage } from "../../report/result.js";
import { fitHead } from "../fit.js";
import { WholeJudge } from "../judge.js";
import { WholeObjective } from "../objective.js";
import type { WholeRows } from "../rows.js";
import { type Carried, carryOn, type ReadOut, readOutOf, writeDense } from "./carry.js";
import type { Chain } from "./chain.js";
import { through } from "./features.js";
import { readOutModel, type StageModel, stageModel } from "./stageModel.js";

/** Less time than this, in seconds, is none. */
const LEAST_SECONDS = 0.01;

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
    let before: ReadOut | null = null;
    for (const [k, stage] of stages.entries()) {
      const stageRows = { ...rows, validation: V && rows.validation && { ...rows.validation, x: V } };
      const share = clock.part(1 / (stages.length - k));
      const result = await fitStage(order, stage, H, stageRows, share, signal, before);
      before = result.readOut;
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

/** One stage on its features H, begun at the read-out of the stage before where the layer has room for it. */
async function fitStage(
  order: Order<tf.LayersModel>,
  stage: StageModel,
  H: tf.Tensor,
  rows: WholeRows,
  clock: Clock,
  signal: AbortSignal,
  before: ReadOut | null,
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
    ...{ regularization, depth: "head", signal, timeLimit: Math.max(LEAST_SECONDS, clock.left) },
  };
  const objective = new WholeObjective(model, spec, H, rows.train);
  const judge = new WholeJudge(model, H, y, rows);
  try {
    const begun = begin(stage, before, [spec.l2.hidden, spec.l2.output]);
    const carried = begun ? (await objective.value()).total : null;
    const { validationSplit = null, sampleWeight = null, classWeight = null } = args;
    const stageOrder = { model, x: H, y, settings, width: "keep", ours: false } as const;
    const result = await fitHead({ ...stageOrder, args: { validationSplit, sampleWeight, classWeight } });
    const logs = await judge.judge();
    return {
      ...{ result, logs, carried, validationLoss: logs.val_loss ?? null },
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

/** First weights: those that take the read-out before on, or those of the model under a read-out of zeros; true where the former. */
function begin(stage: StageModel, before: ReadOut | null, factors: readonly [number, number]): boolean {
  const [, readOut] = stage.readOut;
  const [first] = stage.hidden;
  const carried: Carried | null =
    before === null || first === undefined
      ? null
      : carryOn(stage.block, first[1].weights[0].shape[1] as number, before, factors);
  if (carried !== null) {
    writeDense(first[1], carried.kernel, null);
    writeDense(readOut, carried.readOut.kernel, carried.readOut.bias);
    return true;
  }
  for (const [own, copy] of stage.hidden) copy.setWeights(own.getWeights());
  tf.tidy(() => readOut.setWeights(readOut.getWeights().map((weight) => tf.zerosLike(weight))));
  return false;
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
