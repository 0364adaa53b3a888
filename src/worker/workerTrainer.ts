/** The page's side: fit and train as ConvexReLUTrainer has them, with all the work in a worker. */

import * as tf from "@tensorflow/tfjs";
import { isRecord, refuse, shown } from "../arguments.js";
import { ConvexError, type ErrorCode } from "../errors.js";
import type { FitArgs, TrainArgs } from "../optimizers/convexReLUTrainer.js";
import { type Depth, readOptions, type TrainerOptions } from "../optimizers/options.js";
import { frozenNotes, withCharge } from "../optimizers/pose/regularization.js";
import type { Cut } from "../optimizers/read/anatomy.js";
import { frozenCharge } from "../optimizers/read/frozenCharge.js";
import { type NetworkSpec, readModel, scheduleOf } from "../optimizers/read/model.js";
import { type Trunk, trunkOf } from "../optimizers/read/trunk.js";
import type { Problem, StartingPoint } from "../optimizers/records.js";
import { claimedOfHead } from "../optimizers/report/head.js";
import { Progress } from "../optimizers/report/progress.js";
import { FitResult } from "../optimizers/report/result.js";
import { headModel, writeHead } from "../optimizers/write/headModel.js";
import { OPTIMIZER, templateOf } from "../optimizers/write/template.js";
import { assign, weightsBefore } from "../optimizers/write/weights.js";
import { ownOptimizer, resized } from "../optimizers/write/width.js";
import { healthOf, listen, type PortHealth, type WorkerPort } from "./port.js";
import { problemOf } from "./problemMessage.js";
import type { FromWorker, ModelMessage, Order, PlainArgs, TensorMessage, ToWorker } from "./protocol.js";
import { buffersOf, modelMessage, modelOf, tensorMessage, tensorOf } from "./wire.js";

type Done = Extract<FromWorker, { kind: "done" }>;

/** Longer than a slow network needs for a worker's script: TensorFlow.js is about a megabyte. */
const ANSWER_SECONDS = 20;

/** Numbers the fits of this realm, so that several trainers can share a worker. */
const counter = { jobs: 0 };

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
  private readonly signal: AbortSignal | null;
  private readonly options: Omit<TrainerOptions, "signal">;
  private readonly tolerance: number;
  private readonly formulation: "relu" | "gated" | null;
  private readonly depth: Depth | null;
  private readonly health: PortHealth;

  /** @throws ConvexError "options/unknown" or "options/value", as ConvexReLUTrainer. */
  constructor(
    private readonly worker: WorkerPort,
    options: TrainerOptions = {},
  ) {
    if (typeof worker?.postMessage !== "function") {
      throw new ConvexError(
        "worker/port",
        `WorkerTrainer: expected a Worker, got ${shown(worker)}. ` +
          `Pass new Worker(new URL("./trainer.worker.ts", import.meta.url), { type: "module" }).`,
      );
    }
    const { tolerance, formulation, depth, signal } = readOptions(options);
    const { signal: _signal, ...plain } = options;
    this.options = plain;
    this.signal = signal;
    this.tolerance = tolerance;
    this.formulation = formulation;
    this.depth = depth;
    this.health = healthOf(worker);
  }

  /**
   * As {@link ConvexReLUTrainer.fit}, in the worker.
   *
   * @throws ConvexError as fit does; "worker/transfer" for a loss or metric that is a function of the user's own; "worker/failed"
   * when the worker breaks; "worker/silent" when it has not heard of its first fit after 20 seconds.
   */
  async fit<M extends tf.LayersModel>(model: M, x: tf.Tensor, y: tf.Tensor, args: FitArgs = {}): Promise<FitResult<M>> {
    if (!isRecord(args)) refuse("fit", "an object of options", args);
    const depth = scheduleOf(model, { formulation: this.formulation, depth: this.depth });
    const spec = readModel(model, this.formulation, "fit", true, depth);
    if (depth === "alternate" || depth === "layerwise") return this.fitWhole(model, x, y, args);
    const trunk = trunkOf(model, "write", spec.cut);
    const frozen = await frozenCharge(model, "write", spec.cut);
    const progress = this.progressOf(model, args);
    const order = await this.orderOf(await headMessage(model, spec.cut), x, y, args, trunk, depth !== null);
    const done = await this.converse(order, progress);
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
    const { summary, problem, weights } = await this.converse(order, progress);
    const restore = await weightsBefore(model);
    try {
      tf.tidy(() => {
        for (const [k, weight] of model.weights.entries()) assign(weight, tensorOf(weights[k]));
      });
      await progress.end();
    } catch (error) {
      restore();
      throw error;
    }
    return new FitResult(progress.epoch, progress.history, { ...summary, problem: problemOf(problem), model });
  }

  /** As {@link ConvexReLUTrainer.train}, in the worker. */
  async train(x: tf.Tensor, y: tf.Tensor, args: TrainArgs): Promise<FitResult> {
    if (!isRecord(args)) refuse("train", "an object of options", args, "Pass { loss }.");
    const [features, outputs] = [x?.shape?.[1] ?? 1, y?.shape?.[1] ?? 1];
    const template = templateOf(args, this.formulation ?? "relu", features, outputs);
    try {
      const progress = this.progressOf(template, args);
      const order = await this.orderOf(null, x, y, args);
      const { model, summary, problem } = await this.converse(order, progress);
      if (model === null) throw new Error("WorkerTrainer: the worker sent no model.");
      await progress.end();
      const built = ownOptimizer(await modelOf(model, OPTIMIZER));
      return new FitResult(progress.epoch, progress.history, { ...summary, problem: problemOf(problem), model: built });
    } finally {
      template.dispose();
    }
  }

  private progressOf(model: tf.LayersModel, { callbacks, verbose }: FitArgs): Progress {
    return new Progress(model, callbacks, verbose ?? 0, this.tolerance);
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
    const { validationData, sampleWeight, callbacks: _callbacks, verbose: _verbose, warmStart, ...rest } = args;
    const start = warmStart === undefined ? {} : { warmStart: plainStart(warmStart) };
    const weights = sampleWeight instanceof tf.Tensor ? sampleWeight : sampleWeight && Float32Array.from(sampleWeight);
    counter.jobs += 1;
    return {
      kind: "order",
      job: counter.jobs,
      model,
      ofDeep,
      x: await seenMessage("x", x, trunk),
      y: await tensorMessage("y", y),
      validation: await pairMessage(validationData, trunk),
      sampleWeight:
        weights instanceof Float32Array
          ? { shape: [weights.length], dtype: "float32", values: weights }
          : weights
            ? await tensorMessage("sampleWeight", weights)
            : null,
      args: { ...rest, ...start } as PlainArgs,
      options: this.options,
    };
  }

  /** Sends the order and answers the worker until it is done. */
  private converse(order: Order, progress: Progress): Promise<Done> {
    const { worker, signal, health } = this;
    const { job } = order;
    const say = (message: ToWorker, transfer: ArrayBuffer[] = []) => worker.postMessage(message, transfer);
    const abort = () => say({ kind: "abort", job });
    const endings: (() => void)[] = [() => signal?.removeEventListener("abort", abort), () => progress.close()];
    const conversation = new Promise<Done>((resolve, reject) => {
      const giveUp = (error: unknown) => {
        abort();
        say({ kind: "go", job, stop: true });
        reject(error);
      };
      const hear = async (message: FromWorker): Promise<void> => {
        switch (message.kind) {
          case "heard":
            health.heard = true;
            return clearTimeout(patience);
          case "begin":
            await progress.begin(message.samples, message.epochs, message.metrics);
            return say({ kind: "go", job, stop: false });
          case "epoch":
            return say({ kind: "go", job, stop: await progress.record(message.epoch, { ...message.logs }) });
          case "done":
            return resolve(message);
          case "refused":
            return reject(new ConvexError(message.code as ErrorCode, message.message));
          case "failed":
            return reject(broken(message.message));
        }
      };
      endings.push(
        listen(worker, "message", (value) => {
          const message = value as FromWorker;
          if (message?.job === job) hear(message).catch(giveUp);
        }),
        health.onFailure((why) => reject(broken(why))),
      );
      const patience = health.heard ? undefined : setTimeout(() => giveUp(silent()), 1000 * ANSWER_SECONDS);
      endings.push(() => clearTimeout(patience));
      const { model, x, y, validation, sampleWeight } = order;
      try {
        say(order, buffersOf([model, x, y, ...(validation ?? []), sampleWeight]));
      } catch (error) {
        reject(untransferable(error));
      }
      signal?.addEventListener("abort", abort);
      if (signal?.aborted) abort();
    });
    return conversation.finally(() => {
      for (const end of endings) end();
    });
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

/** The numbers of a tensor as the head sees them: float32, as tfjs has computed them. */
async function seenMessage(name: string, x: tf.Tensor, trunk: Trunk | null): Promise<TensorMessage> {
  const seen = trunk === null ? x : await trunk.see(name, x);
  if (seen instanceof tf.Tensor || !isRecord(seen) || !("rows" in seen)) return tensorMessage(name, seen as tf.Tensor);
  const shape = [seen.rows, ...(trunk?.shape ?? []).map((size) => size ?? 1)];
  return { shape, dtype: "float32", values: Float32Array.from(seen.data) };
}

async function pairMessage(pair: FitArgs["validationData"], trunk: Trunk | null): Promise<Order["validation"]> {
  if (pair === undefined || pair === null) return null;
  if (!Array.isArray(pair) || pair.length !== 2) {
    throw new ConvexError(
      "options/value",
      `validationData: expected a pair [x, y] of tensors, got ${Array.isArray(pair) ? `${pair.length} entries` : typeof pair}. ` +
        `Change it or leave it out.`,
    );
  }
  return [await seenMessage("validationData[0]", pair[0], trunk), await tensorMessage("validationData[1]", pair[1])];
}

function broken(why: string): ConvexError {
  return new ConvexError(
    "worker/failed",
    `WorkerTrainer: expected the worker to answer, got ${why}. ` +
      `Check that its script loads and calls serveTrainer(); the model's weights are as they were.`,
  );
}

function silent(): ConvexError {
  return new ConvexError(
    "worker/silent",
    `WorkerTrainer: expected the worker to hear of the fit within ${ANSWER_SECONDS} seconds, got no answer. ` +
      `Call serveTrainer() in its script, with parentPort in Node, and look at its console for why the script has not loaded; ` +
      `the model's weights are as they were.`,
  );
}

function untransferable(error: unknown): ConvexError {
  return new ConvexError(
    "worker/transfer",
    `WorkerTrainer: expected options and arguments that can be copied, got ${(error as Error).message} ` +
      `Functions can't be sent to a worker: leave them out, or use ConvexReLUTrainer.`,
  );
}

/** A start without the functions that the result it comes from has. */
function plainStart({ gates, blocks, regularization }: StartingPoint): StartingPoint {
  if (regularization === undefined) return { gates, blocks };
  return { gates, blocks, regularization: { standardized: regularization.standardized } };
}
