/** Parallel networks of L layers, of ReLUs or behind gates, trained to the global optimum under the regularizations that have a convex program. */

import * as tf from "@tensorflow/tfjs";
import { refuse, refuseUnknown } from "../../arguments.js";
import { drawnGates, fitGated, GATED, type GatedWish, gatedNetwork, gatedPartsOf, poseGated } from "./gated/index.js";
import {
  FIT_NAMES,
  type FitParallelOptions,
  type ParallelOptions,
  readParallel,
  refuseKinks,
  settingsOf,
} from "./options.js";
import { poseRelu, reluNetwork } from "./relu.js";
import type { ParallelResult } from "./result.js";
import { fitted, type Task, trained } from "./run.js";
import { type ParallelWish, wishOf } from "./wish.js";

export type { FitParallelOptions, ParallelOptions } from "./options.js";
export { ParallelResult, type ParallelSummary } from "./result.js";

/**
 * Trains a network of parallel branches, sum_k ((x W_1k)_+ w_2k)_+ w_3k, on x [n x d], y [n x 1] (Ergen and Pilanci, ICML 2021): tfjs's loss plus
 * a charge under which the problem is a convex program over double arrangements. On few rows all of them are priced and the result is the optimum
 * over networks of any number of such branches, proven to the tolerance; on more rows it is that of the blocks that were sampled. With `units:
 * "gated"` the branches' patterns are drawn and held, and y may have several columns [n x C]. `hidden: [m_1, .., m_L-2]` is of L layers, of ReLUs
 * under path regularization, their branches trees.
 *
 * Weight decay of all layers is none of these charges, and has no such program.
 *
 * @throws ConvexError "options/...", "data/..." for options or data that do not fit.
 *
 * @example
 * ```ts
 * const options = { loss: "meanSquaredError", hidden: 2, regularization: 0.05 } as const;
 * const { model, certificate, branches } = await trainParallel(x, y, options);
 * certificate.scope; // "all blocks" on few rows
 * ```
 */
export async function trainParallel(x: tf.Tensor, y: tf.Tensor, options: ParallelOptions): Promise<ParallelResult> {
  const where = "trainParallel";
  const { units, wish } = readParallel(where, options);
  const task = taskOf(x, y, options);
  const features = x?.shape?.[1] ?? 1;
  if (units === "relu") {
    return trained(reluNetwork, wish, task, () => poseRelu(where, wish, features, task, options));
  }
  refuseBlocks(where, options.arrangements);
  const wide = wideOf(wish, options, y?.shape?.[1] ?? 1);
  const gates = drawnGates(where, wide, features, task.settings.seed);
  return trained(gatedNetwork, wide, task, () => poseGated(where, wide, features, task, gates));
}

/**
 * The same for a compiled model of three dense layers or more, or gatedBranches - dense, with or without `onesColumn()` before it, whose layers say what the branches, the loss and the
 * charge are; the weights are written into it. It needs as many branches, units of the last hidden layer, as the optimum takes.
 *
 * @throws ConvexError "model/regularizer" for weight decay of all layers, which has no convex program, and other charges that have none;
 * "model/units" where the optimum takes more branches, which are said; the weights are as they were.
 *
 * @example
 * ```ts
 * const power = (along) => ({ useBias: false, kernelRegularizer: branchPower({ factor: 0.05 / 3, branches: 8, along }) });
 * const deep = tf.sequential();
 * deep.add(tf.layers.dense({ units: 16, activation: "relu", inputShape: [2], ...power("outputs") }));
 * deep.add(tf.layers.dense({ units: 8, activation: "relu", ...power("outputs") }));
 * deep.add(tf.layers.dense({ units: 1, ...power("inputs") }));
 * deep.compile({ optimizer: "adam", loss: "meanSquaredError" });
 * const { certificate } = await fitParallel(deep, x, y);
 * ```
 */
export async function fitParallel<M extends tf.LayersModel>(
  model: M,
  x: tf.Tensor,
  y: tf.Tensor,
  options: FitParallelOptions = {},
): Promise<ParallelResult<M>> {
  const where = "fitParallel";
  refuseUnknown(where, options, FIT_NAMES);
  refuseNoModel(where, model);
  const task = taskOf(x, y, options);
  const features = model.inputs[0].shape[1] ?? 1;
  const parts = gatedPartsOf(model);
  if (parts !== null) {
    refuseBlocks(where, options.arrangements);
    return fitGated(where, model, parts, features, task);
  }
  const wish = wishOf(model);
  refuseKinks(where, wish.loss);
  return fitted(where, reluNetwork, model, wish, task, () => poseRelu(where, wish, features, task, options));
}

/** The model that `trainParallel` builds for data of so many columns, with at least so many branches; the caller disposes. */
export function parallelModel(
  options: ParallelOptions,
  features: number,
  outputs: number,
  branches = 1,
): tf.Sequential {
  const { units, wish } = readParallel("trainParallel", options);
  const wide = units === "gated" ? wideOf(wish, options, outputs) : null;
  const K = Math.max((wide ?? wish).branches, branches);
  return wide === null ? reluNetwork.modelOf(wish, features, K) : gatedNetwork.modelOf(wide, features, K);
}

function wideOf(wish: ParallelWish, { branches = GATED }: ParallelOptions, outputs: number): GatedWish {
  return { ...wish, branches, outputs };
}

export function refuseNoModel(where: string, model: unknown): void {
  if (model instanceof tf.LayersModel) return;
  refuse(where, "a tf.LayersModel", model, "Pass the model before x and y.", "model/kind");
}

function taskOf(x: tf.Tensor, y: tf.Tensor, options: FitParallelOptions): Task {
  const { sampleWeight = null, classWeight = null, callbacks = null, verbose = 0 } = options;
  return { x, y, settings: settingsOf(options), sampleWeight, classWeight, callbacks, verbose };
}

function refuseBlocks(where: string, given: unknown): void {
  if (given === undefined) return;
  const todo = "Leave it out: the gates are those of the layer, or as many as `branches` says are drawn.";
  refuse(`${where}: arrangements`, "none where units are gated", given, todo);
}
