/** The trainer: what a user calls in place of model.fit. */

import type * as tf from "@tensorflow/tfjs";
import { count, refuseAs, refuseUnknown } from "../arguments.js";
import {
  CROSS_VALIDATION_ARGS,
  type CrossValidation,
  type CrossValidationArgs,
  crossValidate,
} from "./crossValidate.js";
import { fitAlone } from "./deep/alone/index.js";
import { fitAlternating, fitHead } from "./deep/fit.js";
import { fitLayerwise } from "./deep/layerwise/index.js";
import { type FitArgs, fitModel } from "./fit.js";
import {
  crossValidateSharded,
  pathSharded,
  type ShardedCrossValidation,
  type ShardedCrossValidationArgs,
  type ShardedPathArgs,
  type ShardedPathResult,
} from "./onePass/index.js";
import { readOptions, type Settings, type TrainerOptions } from "./options.js";
import { followPath, PATH_ARGS, type PathArgs, type PathResult } from "./path.js";
import { type ModelTensors, onlyHeldOf, onlyOf } from "./read/data.js";
import { type Batches, type Gathered, gathered } from "./read/dataset.js";
import { NoProgram } from "./read/layers/layer.js";
import { scheduleOf, scheduleOrNone } from "./read/model.js";
import type { FitResult } from "./report/result.js";
import type { ShardedArgs } from "./sharded/arguments.js";
import { fitSharded } from "./sharded/fit.js";
import type { ShardedResult } from "./sharded/result.js";
import { type ModelWish, templateOf } from "./write/template.js";

export type { FitArgs } from "./fit.js";
export type { ModelTensors } from "./read/data.js";

/** Arguments of `fitDataset`, named as those of model.fitDataset. */
export interface FitDatasetArgs extends Omit<FitArgs, "validationData" | "validationSplit" | "sampleWeight"> {
  /** Batches that are taken of the data set; default all. */
  readonly batchesPerEpoch?: number;
  readonly validationData?: readonly [tf.Tensor, tf.Tensor] | Batches | null;
  readonly validationBatches?: number;
  /** Called after each batch that was gathered. */
  readonly onBatch?: (progress: Gathered) => unknown;
}

/** Arguments of `train`: those of `fit`, and what the model is to be. */
export interface TrainArgs extends FitArgs, ModelWish {}

export const FIT_ARGS = [
  "validationData",
  "validationSplit",
  "sampleWeight",
  "classWeight",
  "callbacks",
  "verbose",
  "warmStart",
];
const DATASET_ARGS = [
  ...FIT_ARGS.filter((name) => name !== "validationSplit" && name !== "sampleWeight"),
  "batchesPerEpoch",
  "validationBatches",
  "onBatch",
];
const TRAIN_ARGS = [...FIT_ARGS, "loss", "metrics", "hiddenBias", "outputBias"];

/**
 * Trains two-layer ReLU and gated ReLU networks to global optimality for given gates, with a duality gap that proves it
 * (Pilanci and Ergen 2020, theorem 1).
 *
 * @example
 * ```ts
 * const model = tf.sequential({
 *   layers: [tf.layers.dense({ units: 64, activation: "relu", inputShape: [2] }), tf.layers.dense({ units: 1 })],
 * });
 * model.compile({ optimizer: "adam", loss: "meanSquaredError" });
 * const result = await new ConvexReLUTrainer({ tolerance: 1e-3 }).fit(model, x, y);
 * result.certificate.relativeGap; // at most 1e-3
 * ```
 */
export class ConvexReLUTrainer {
  private readonly settings: Settings;

  /** @throws ConvexError "options/unknown" or "options/value". */
  constructor(options: TrainerOptions = {}) {
    this.settings = readOptions(options);
  }

  /**
   * Solves the convex program of a compiled model on x, y and writes the recovered weights into its own layers. The model may be
   * a tf.Sequential or a tf.model, with models within. A program has one of one input and one output:
   *
   * - what comes first and is frozen (`trainable = false`) or has no weights is computed once a sample and stays as it is;
   * - then one hidden layer that is trained, dense, conv1d or conv2d with ReLU (fused or as a layer) or a LeakyReLU layer (batch
   *   normalisation before it where it is dense), or without activation, or GatedDense or GatedConv2D; or none at all;
   * - then what joins the places of a convolution (global average pooling, average pooling and flatten, or flatten), and a dense
   *   read-out with the activation that the loss wants. Dropout and noise take no part.
   *
   * Where layers before the read-out are more, or none that a program has (other activations, max pooling, recurrent layers), a descent
   * trains them and the read-out is solved, unless `formulation` asks for a program: see `depth`. Where no part has a program (a last
   * activation that the loss does not want, losses of one's own, several inputs or outputs), a descent alone trains the model: nothing is
   * proven then, `certificate.relativeGap` is Infinity, and `noProgram` says why.
   *
   * Of several inputs or outputs x and y are arrays in their order, or objects by their names. y is [n x C] (or [n]), with class numbers for sparseCategoricalCrossentropy.
   *
   * The weights change only when everything succeeded, callbacks too. Numerical trouble is a `status` with `advice`, never an exception.
   *
   * @throws ConvexError for a model, data or option that does not fit; the message says what to do.
   */
  async fit<M extends tf.LayersModel>(
    model: M,
    x: ModelTensors,
    y: ModelTensors,
    args: FitArgs = {},
  ): Promise<FitResult<M>> {
    refuseUnknown("fit", args, FIT_ARGS);
    const depth = scheduleOrNone(model, this.settings);
    if (depth instanceof NoProgram) return fitAlone({ model, x, y, args, settings: this.settings }, depth);
    const settings = { ...this.settings, depth };
    const tensors = { x: onlyOf(x, model.inputNames), y: onlyOf(y, model.outputNames) };
    const order = { model, ...tensors, args: onlyHeldOf(args, model), settings, width: settings.width, ours: false };
    if (settings.depth === "alternate") return fitAlternating(order);
    if (settings.depth === "layerwise") return fitLayerwise(order);
    return settings.depth === null ? fitModel(order) : fitHead(order);
  }

  /**
   * The same on a tf.data.Dataset of batches { xs, ys }, which is gathered first: convex training sees all rows at once.
   *
   * @throws ConvexError as `fit`; "data/size" with the bytes, as soon as they are known not to fit.
   */
  async fitDataset<M extends tf.LayersModel>(
    model: M,
    dataset: Batches,
    args: FitDatasetArgs = {},
  ): Promise<FitResult<M>> {
    refuseUnknown("fitDataset", args, DATASET_ARGS);
    scheduleOrNone(model, this.settings);
    const { batchesPerEpoch, validationBatches, validationData = null, onBatch, ...rest } = args;
    const data = await gathered(dataset, { batches: readCount("batchesPerEpoch", batchesPerEpoch), onBatch });
    const held: tf.Tensor[] = [];
    try {
      let pair = validationData as readonly [tf.Tensor, tf.Tensor] | null;
      if (validationData !== null && !Array.isArray(validationData)) {
        const batches = readCount("validationBatches", validationBatches);
        const { x, y } = await gathered(validationData as Batches, { batches });
        held.push(x, y);
        pair = [x, y];
      }
      return await this.fit(model, data.x, data.y, { ...rest, validationData: pair });
    } finally {
      for (const tensor of [data.x, data.y, ...held]) tensor.dispose();
    }
  }

  /**
   * The same for rows that are in no one place: each shard of them is read by a worker of its own, and stays there. For models of a
   * GatedDense layer, or a dense one with ReLU (whose gates are sampled), and a dense one, and smooth losses; the gap is exact, as that
   * of `fit`, and the sums of 1 or 40 shards are the same but for rounding. Without regularizers beta is that of "share", and columns are taken as they are. In Node, with a cluster of
   * "tfjs-convex/sharded" (docs/scale.md).
   *
   * @example
   * ```js
   * import { local } from "tfjs-convex/sharded";
   * const load = new URL("./rows.mjs", import.meta.url); // export async function* rows({ shard, shards }) { yield { x, y }; }
   * const result = await trainer.fitSharded(model, { cluster: local(), shards: 4, load });
   * ```
   *
   * @throws ConvexError for a model or option that does not fit; for rows that don't, a module that throws and workers that do not
   * come ("data/...", "cluster/...") with the shard and the row. The weights are as they were, and no worker is left.
   */
  async fitSharded<M extends tf.LayersModel>(model: M, args: ShardedArgs): Promise<ShardedResult<M>> {
    return fitSharded(model, args, this.settings);
  }

  /**
   * The same without a model: builds a compiled tf.LayersModel exactly as wide as needed, whose layers carry the regularizers
   * that the objective charges.
   */
  async train(x: tf.Tensor, y: tf.Tensor, args: TrainArgs): Promise<FitResult> {
    refuseUnknown("train", args, TRAIN_ARGS);
    const { loss, metrics: _metrics, hiddenBias: _hiddenBias, outputBias: _outputBias, ...rest } = args;
    // What is no tensor, or has no columns, is refused when it is read.
    const [features, outputs] = [x?.shape?.[1] ?? 1, y?.shape?.[1] ?? 1];
    const template = templateOf({ ...args, loss }, this.settings.formulation ?? "relu", features, outputs);
    let result: FitResult | null = null;
    try {
      const order = {
        model: template,
        x,
        y,
        args: rest,
        settings: this.settings,
        width: "resize",
        ours: true,
      } as const;
      result = await fitModel(order);
      return result;
    } finally {
      if (result?.model !== template) template.dispose();
    }
  }

  /**
   * Solves along many betas, each solve begun at the one before, and judges every point; see `PathResult` for writing one. ReLU
   * neurons feed one output each.
   *
   * @throws ConvexError as `fit`; "model/regularizer" for a model whose layers charge a beta of their own.
   */
  async path<M extends tf.LayersModel>(
    model: M,
    x: tf.Tensor,
    y: tf.Tensor,
    args: PathArgs = {},
  ): Promise<PathResult<M>> {
    refuseUnknown("path", args, PATH_ARGS);
    this.refuseRounds("path", model);
    return followPath(this.settings, model, x, y, args);
  }

  /**
   * Chooses beta by cross-validation along the path, and writes the fit of all rows with the best one into the model.
   *
   * @throws ConvexError as `path`.
   */
  async crossValidate<M extends tf.LayersModel>(
    model: M,
    x: tf.Tensor,
    y: tf.Tensor,
    args: CrossValidationArgs = {},
  ): Promise<CrossValidation<M>> {
    refuseUnknown("crossValidate", args, CROSS_VALIDATION_ARGS);
    this.refuseRounds("crossValidate", model);
    return crossValidate(this.settings, model, x, y, args);
  }

  /**
   * The path of `path` for rows that are with shards, of squared loss: from one pass over them, after which no worker is needed, since some
   * sums over the rows say all that any beta asks. Models, gates and options are those of `fitSharded`; the certificates are as exact.
   * The pass costs less than one fit by `fitSharded` at 1,000 gates times columns, and grows with the square of these. Losses are those of
   * the gates in float64: rows so near to the boundary of a gate that float32 may decide otherwise are not looked for.
   *
   * @example
   * ```js
   * const { points, write } = await trainer.pathSharded(model, { cluster: local(), shards: 4, load, count: 20 });
   * ```
   *
   * @throws ConvexError as `fitSharded`; "model/loss" for another loss, "model/regularizer" for a model whose layers charge a beta of
   * their own, "data/size" where the sums would take more than 1 GB, "cluster/stopped" where timeLimit or signal end the pass.
   */
  async pathSharded<M extends tf.LayersModel>(model: M, args: ShardedPathArgs): Promise<ShardedPathResult<M>> {
    return pathSharded(this.settings, model, args);
  }

  /**
   * Chooses beta by cross-validation as `crossValidate` does, by the loss on the rows held out, and from the same one pass: a fold that is
   * left out is a difference of sums. Writes the fit of all rows with the best beta into the model. What is not looked for is as in
   * `pathSharded`.
   *
   * @throws ConvexError as `pathSharded`; "data/empty" for a fold without rows.
   */
  async crossValidateSharded<M extends tf.LayersModel>(
    model: M,
    args: ShardedCrossValidationArgs,
  ): Promise<ShardedCrossValidation<M>> {
    return crossValidateSharded(this.settings, model, args);
  }

  /** Many betas are for one program: that of a head whose features stay as they are. */
  private refuseRounds(where: string, model: tf.LayersModel): void {
    const { depth } = this.settings;
    if (depth !== "alternate" && depth !== "layerwise") return;
    if (scheduleOf(model, this.settings) !== depth) return;
    refuseAs(
      where,
      'depth "head" or "read-out"',
      `"${depth}"`,
      `Fit with "${depth}" first, then follow the path of the head.`,
    );
  }
}

function readCount(name: string, given: number | undefined): number | undefined {
  return given === undefined ? undefined : count(name, given);
}
