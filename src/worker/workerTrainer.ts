/** The page's side: fit and train as ConvexReLUTrainer has them, with all the work in a worker. */

import * as tf from "@tensorflow/tfjs";
import { abortSignal, isRecord, refuse, shown } from "../arguments.js";
import { ConvexError } from "../errors.js";
import type { FitArgs, TrainArgs } from "../optimizers/convexReLUTrainer.js";
import { readOptions, type Settings, type TrainerOptions } from "../optimizers/options.js";
import {
  type FitParallelOptions,
  type ParallelOptions,
  ParallelResult,
  parallelModel,
  refuseNoModel,
} from "../optimizers/parallel/index.js";
import { frozenNotes, withCharge } from "../optimizers/pose/regularization.js";
import type { Cut } from "../optimizers/read/anatomy.js";
import { type ModelTensors, onlyHeldOf, onlyOf, tensorsOf } from "../optimizers/read/data.js";
import { frozenCharge } from "../optimizers/read/frozenCharge.js";
import { NoProgram } from "../optimizers/read/layers/layer.js";
import { type NetworkSpec, readModel, scheduleOrNone } from "../optimizers/read/model.js";
import { numbersOf } from "../optimizers/read/sampleWeights.js";
import { pairOf } from "../optimizers/read/split.js";
import { type Trunk, trunkOf } from "../optimizers/read/trunk.js";
import type { Problem, StartingPoint } from "../optimizers/records.js";
import { claimedOfHead } from "../optimizers/report/head.js";
import { Progress } from "../optimizers/report/progress.js";
import { FitResult } from "../optimizers/report/result.js";
import { headModel, writeHead } from "../optimizers/write/headModel.js";
import { OPTIMIZER, templateOf } from "../optimizers/write/template.js";
import { assign, weightsBefore } from "../optimizers/write/weights.js";
import { ownOptimizer, resized } from "../optimizers/write/width.js";
import { converse, type Line, nextJob } from "./conversation.js";
import { healthOf, type WorkerPort } from "./port.js";
import { problemOf } from "./problemMessage.js";
import type { ModelMessage, Order, PlainArgs, PlainParallel, TensorMessage, WeightsMessage } from "./protocol.js";
import { modelMessage, modelOf, tensorMessage, tensorOf } from "./wire.js";

/**
 * ConvexReLUTrainer off the main thread: the same options, arguments, callbacks and result, while the page stays free.
 *
 * The worker runs a script of the user's own that calls `serveTrainer()`. Data are copied and transferred to it; after each
 * round it waits for the callbacks, so that they stop it exactly where they would stop `ConvexReLUTrainer`; the weights come
 * back and are written into the model here. The worker stays the user's: abort a fit before terminating it.
 *
 * @example
 * ```ts
 * // main.ts; trainer.worker.ts holds: import { serveTrainer } from "tfjs-convex"; serveTrainer();
 * const worker = new Worker(new URL("./trainer.worker.ts", import.meta.url), { type: "module" });
 * const result = await new WorkerTrainer(worker, { tolerance: 1e-3 }).fit(model, x, y);
 * result.certificate.relativeGap; // at most 1e-3
 * ```
 */
export class WorkerTrainer {
  private readonly options: Omit<TrainerOptions, "signal">;
  private readonly settings: Settings;
  private readonly line: Line;

  /** @throws ConvexError "options/unknown" or "options/value", as ConvexReLUTrainer. */
  constructor(worker: WorkerPort, options: TrainerOptions = {}) {
    if (typeof worker?.postMessage !== "function") {
      throw new ConvexError(
        "worker/port",
        `WorkerTrainer: expected a Worker, got ${shown(worker)}. ` +
          `Pass new Worker(new URL("./trainer.worker.ts", import.meta.url), { type: "module" }).`,
      );
    }
    this.settings = readOptions(options);
    const { signal: _signal, ...plain } = options;
    this.options = plain;
    this.line = { worker, health: healthOf(worker), signal: this.settings.signal };
  }

  /**
   * As {@link ConvexReLUTrainer.fit}, in the worker.
   *
   * @throws ConvexError as fit does; "worker/transfer" for a loss or metric that is a function of the user's own; "worker/failed"
   * when the worker breaks; "worker/silent" when it has not heard of its first fit after 20 seconds.
   */
  async fit<M extends tf.LayersModel>(
    model: M,
    givenX: ModelTensors,
    givenY: ModelTensors,
    givenArgs: FitArgs = {},
  ): Promise<FitResult<M>> {
    if (!isRecord(givenArgs)) refuse("fit", "an object of options", givenArgs);
    const { formulation } = this.settings;
    const depth = scheduleOrNone(model, this.settings);
    if (depth instanceof NoProgram) return this.fitAlone(model, givenX, givenY, givenArgs);
    const [x, y] = [onlyOf(givenX, model.inputNames), onlyOf(givenY, model.outputNames)];
    const args = onlyHeldOf(givenArgs, model);
    const spec = readModel(model, formulation, "fit", true, depth);
    if (depth === "alternate" || depth === "layerwise") return this.fitWhole(model, x, y, args);
    const trunk = trunkOf(model, "write", spec.cut);
    const frozen = await frozenCharge(model, "write", spec.cut);
    const progress = this.progressOf(model, args);
    const order = await this.orderOf(await headMessage(model, spec.cut), x, y, args, trunk, depth !== null);
    const done = await converse("done", this.line, order, progress);
    const target = done.units === spec.units ? model : resized(model, done.units);
    const restore = target === model ? await weightsBefore(model) : () => target.dispose();
    try {
      tf.tidy(() => writeHead(target, done.weights.map(tensorOf), spec.cut));
      await progress.end();
    } catch (error) {
      restore();
      throw error;
    }
    const { summary, problem } = done;
    return new FitResult(progress.epoch, progress.history, {
      ...summary,
      certificate: claimedOfHead(summary.certificate, spec),
      objective: withCharge(summary.objective, frozen),
      notes: [...(trunk.note === null ? [] : [trunk.note]), ...frozenNotes(frozen), ...summary.notes],
      problem: ofWhole(problemOf(problem), spec),
      model: target,
    });
  }

  /** A model whose layers are all trained goes to the worker as a whole. */
  private async fitWhole<M extends tf.LayersModel>(
    model: M,
    x: tf.Tensor,
    y: tf.Tensor,
    args: FitArgs,
  ): Promise<FitResult<M>> {
    const progress = this.progressOf(model, args);
    const order = await this.orderOf(await modelMessage(model), x, y, args);
    const { summary, problem, weights } = await converse("done", this.line, order, progress);
    await taken(model, weights, progress);
    return new FitResult(progress.epoch, progress.history, { ...summary, problem: problemOf(problem), model });
  }

  /** A model of which no part has a convex program goes as a whole, too, with all its inputs and outputs. */
  private async fitAlone<M extends tf.LayersModel>(
    model: M,
    x: ModelTensors,
    y: ModelTensors,
    args: FitArgs,
  ): Promise<FitResult<M>> {
    const progress = this.progressOf(model, args);
    const pair = pairOf<ModelTensors>(args);
    const order: Order = {
      ...(await this.plainOrder(await modelMessage(model), args)),
      x: await eachMessage("x", x, model.inputNames, "input"),
      y: await eachMessage("y", y, model.outputNames, "output"),
      validation: pair && [
        await eachMessage("validationData[0]", pair[0], model.inputNames, "input"),
        await eachMessage("validationData[1]", pair[1], model.outputNames, "output"),
      ],
    };
    const { summary, weights } = await converse("doneAlone", this.line, order, progress);
    await taken(model, weights, progress);
    return FitResult.withoutProgram<M>(progress.epoch, progress.history, { ...summary, model });
  }

  /** As {@link ConvexReLUTrainer.train}, in the worker. */
  async train(x: tf.Tensor, y: tf.Tensor, args: TrainArgs): Promise<FitResult> {
    if (!isRecord(args)) refuse("train", "an object of options", args, "Pass { loss }.");
    const [features, outputs] = [x?.shape?.[1] ?? 1, y?.shape?.[1] ?? 1];
    const template = templateOf(args, this.settings.formulation ?? "relu", features, outputs);
    try {
      const progress = this.progressOf(template, args);
      const order = await this.orderOf(null, x, y, args);
      const { model, summary, problem } = await converse("done", this.line, order, progress);
      if (model === null) throw new Error("WorkerTrainer: the worker sent no model.");
      await progress.end();
      const built = ownOptimizer(await modelOf(model, OPTIMIZER));
      return new FitResult(progress.epoch, progress.history, { ...summary, problem: problemOf(problem), model: built });
    } finally {
      template.dispose();
    }
  }

  /**
   * As {@link trainParallel}, in the worker; the trainer's tolerance, maxIterations, timeLimit, signal and seed hold where the call gives none.
   *
   * @throws ConvexError as trainParallel, and as {@link WorkerTrainer.fit} where the worker is to blame.
   */
  async trainParallel(x: tf.Tensor, y: tf.Tensor, options: ParallelOptions): Promise<ParallelResult> {
    const { given, order, line } = await this.parallelOrder("trainParallel", null, x, y, options);
    const [features, outputs] = [x.shape[1] ?? 1, y.shape[1] ?? 1];
    const draft = parallelModel(given, features, outputs);
    let built: tf.Sequential | null = null;
    try {
      const progress = this.progressOf(draft, options, given);
      const { summary, weights } = await converse("doneParallel", line, order, progress);
      const model = parallelModel(given, features, outputs, summary.branches);
      built = model;
      write(model, weights);
      await progress.end();
      return new ParallelResult(progress.epoch, progress.history, { ...summary, model });
    } catch (error) {
      built?.dispose();
      throw error;
    } finally {
      draft.dispose();
    }
  }

  /** As {@link fitParallel}, in the worker; what the call leaves out is as the trainer has it. */
  async fitParallel<M extends tf.LayersModel>(
    model: M,
    x: tf.Tensor,
    y: tf.Tensor,
    options: FitParallelOptions = {},
  ): Promise<ParallelResult<M>> {
    refuseNoModel("fitParallel", model);
    const { given, order, line } = await this.parallelOrder("fitParallel", model, x, y, options);
    const progress = this.progressOf(model, options, given);
    const { summary, weights } = await converse("doneParallel", line, order, progress);
    await taken(model, weights, progress);
    return new ParallelResult<M>(progress.epoch, progress.history, { ...summary, model });
  }

  private async parallelOrder<O extends FitParallelOptions>(
    where: string,
    model: tf.LayersModel | null,
    x: tf.Tensor,
    y: tf.Tensor,
    options: O,
  ) {
    if (!isRecord(options)) refuse(where, "an object of options", options);
    const { tolerance, maxIterations, timeLimit, seed } = this.options;
    const given = { ...withValues({ tolerance, maxIterations, timeLimit, seed }), ...withValues(options) } as O &
      FitParallelOptions;
    const { signal: own, callbacks: _callbacks, verbose: _verbose, sampleWeight, ...rest } = given;
    const parallel = rest as PlainParallel;
    const signal = own === undefined ? this.line.signal : abortSignal("signal", own);
    const order: Order = {
      ...{ kind: "order", job: nextJob(), ofDeep: false, validation: null, args: {}, options: {}, parallel },
      model: model && (await modelMessage(model)),
      x: [await tensorMessage("x", x)],
      y: [await tensorMessage("y", y)],
      sampleWeight: await numbersOf(sampleWeight),
    };
    return { given, order, line: { ...this.line, signal } };
  }

  private progressOf(
    model: tf.LayersModel,
    { callbacks, verbose }: Pick<FitArgs, "callbacks" | "verbose">,
    { tolerance = this.settings.tolerance, timeLimit = this.settings.timeLimit }: TrainerOptions = {},
  ): Progress {
    return new Progress(model, callbacks, verbose ?? 0, tolerance, timeLimit);
  }

  /** What the worker is sent: a model or its head, and data as that sees them. */
  private async orderOf(
    model: ModelMessage | null,
    x: tf.Tensor,
    y: tf.Tensor,
    args: FitArgs,
    trunk: Trunk | null = null,
    ofDeep = false,
  ): Promise<Order> {
    return {
      ...(await this.plainOrder(model, args, ofDeep)),
      x: [await seenMessage("x", x, trunk)],
      y: [await tensorMessage("y", y)],
      validation: await pairMessage(args, trunk),
    };
  }

  /** An order without its data. */
  private async plainOrder(
    model: ModelMessage | null,
    args: FitArgs,
    ofDeep = false,
  ): Promise<Omit<Order, "x" | "y" | "validation">> {
    const { validationData: _held, sampleWeight, callbacks: _callbacks, verbose: _verbose, warmStart, ...rest } = args;
    const start = warmStart === undefined ? {} : { warmStart: plainStart(warmStart) };
    return {
      kind: "order",
      job: nextJob(),
      model,
      ofDeep,
      sampleWeight: await numbersOf(sampleWeight),
      args: { ...rest, ...start } as PlainArgs,
      parallel: null,
      options: this.options,
    };
  }
}

/** The problem of a head, as one of the model that it was cut from. */
function ofWhole(problem: Problem, { cut, deep }: NetworkSpec): Problem {
  return { ...problem, spec: { ...problem.spec, cut, deep } };
}

async function headMessage(model: tf.LayersModel, cut: Cut): Promise<ModelMessage> {
  const head = headModel(model, cut);
  try {
    return await modelMessage(head);
  } finally {
    head.dispose();
  }
}

/** What has a value. */
function withValues<O extends object>(options: O): O {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as O;
}

/** Weights in the order of a model's own. */
function write(model: tf.LayersModel, weights: WeightsMessage): void {
  tf.tidy(() => {
    for (const [k, weight] of model.weights.entries()) assign(weight, tensorOf(weights[k]));
  });
}

/** The same, and the end of the fit; the weights are as they were where that throws. */
async function taken(model: tf.LayersModel, weights: WeightsMessage, progress: Progress): Promise<void> {
  const restore = await weightsBefore(model);
  try {
    write(model, weights);
    await progress.end();
  } catch (error) {
    restore();
    throw error;
  }
}

/** The numbers of a tensor as the head sees them: float32, as tfjs has computed them. */
async function seenMessage(name: string, x: tf.Tensor, trunk: Trunk | null): Promise<TensorMessage> {
  const seen = trunk === null ? x : await trunk.see(name, x);
  if (seen instanceof tf.Tensor || !isRecord(seen) || !("rows" in seen)) return tensorMessage(name, seen as tf.Tensor);
  const shape = [seen.rows, ...(trunk?.shape ?? []).map((size) => size ?? 1)];
  return { shape, dtype: "float32", values: Float32Array.from(seen.data) };
}

async function pairMessage(args: FitArgs, trunk: Trunk | null): Promise<Order["validation"]> {
  const pair = pairOf<tf.Tensor>(args);
  if (pair === null) return null;
  return [
    [await seenMessage("validationData[0]", pair[0], trunk)],
    [await tensorMessage("validationData[1]", pair[1])],
  ];
}

/** The tensors of all inputs or outputs. */
function eachMessage(
  name: string,
  given: ModelTensors,
  names: readonly string[],
  side: "input" | "output",
): Promise<TensorMessage[]> {
  return Promise.all(tensorsOf(name, given, names, side).map((tensor) => tensorMessage(name, tensor)));
}

/** A start without the functions that the result it comes from has. */
function plainStart({ gates, blocks, regularization }: StartingPoint): StartingPoint {
  if (regularization === undefined) return { gates, blocks };
  return { gates, blocks, regularization: { standardized: regularization.standardized } };
}
