/** The worker's side: fits what the page orders, round by round. */

import * as tf from "@tensorflow/tfjs";
import { isRecord, refuse, refuseUnknown } from "../arguments.js";
import { hostKernels } from "../convex/kernels/index.js";
import { ConvexError } from "../errors.js";
import { registerLayers } from "../layers/index.js";
import { ConvexReLUTrainer, FIT_ARGS, type FitArgs, type TrainArgs } from "../optimizers/convexReLUTrainer.js";
import { fitHead } from "../optimizers/deep/fit.js";
import { readOptions, type TrainerOptions } from "../optimizers/options.js";
import { fitParallel, type ParallelOptions, type ParallelResult, trainParallel } from "../optimizers/parallel/index.js";
import { anatomyOf } from "../optimizers/read/anatomy.js";
import type { ModelTensors } from "../optimizers/read/data.js";
import { white } from "../optimizers/read/normalization/index.js";
import { readSplit } from "../optimizers/read/split.js";
import { type Trunk, trunkOf } from "../optimizers/read/trunk.js";
import type { FitResult, FitSummary, SummaryAlone } from "../optimizers/report/result.js";
import { listen, type WorkerPort } from "./port.js";
import { problemMessage } from "./problemMessage.js";
import type { FromWorker, Order, PlainParallel, TensorMessage, ToWorker } from "./protocol.js";
import { buffersOf, modelMessage, modelOf, tensorMessage, tensorOf } from "./wire.js";

/**
 * Makes a worker serve `WorkerTrainer`: the only line that the worker's script needs.
 *
 * Orders are served one after another. Tensors in the worker live on tfjs's "cpu" backend; the solve does not use them.
 *
 * @param port the worker's own scope, which is the default in a page's worker; in Node the parentPort of worker_threads.
 *
 * @example
 * ```ts
 * // trainer.worker.ts
 * import { serveTrainer } from "tfjs-convex";
 * serveTrainer();
 * ```
 */
export function serveTrainer(port: WorkerPort = globalThis as unknown as WorkerPort): void {
  if (!isRecord(port) || typeof port.postMessage !== "function")
    refuse(
      "serveTrainer",
      "a port with postMessage",
      port,
      "Call it in a worker, in Node with parentPort.",
      "worker/port",
    );
  registerLayers();
  const jobs = new Map<number, Job>();
  let queue: Promise<unknown> = tf.setBackend("cpu");
  listen(port, "message", (value) => {
    const message = value as ToWorker;
    if (message?.kind === "order") {
      port.postMessage({ kind: "heard", job: message.job } satisfies FromWorker, []);
      const job = new Job(message, port);
      jobs.set(message.job, job);
      queue = queue.then(() => job.run()).then(() => jobs.delete(message.job));
    } else if (message?.kind === "go") {
      jobs.get(message.job)?.go(message.stop);
    } else if (message?.kind === "abort") {
      jobs.get(message.job)?.abort();
    }
  });
}

/** One fit. */
class Job {
  private readonly controller = new AbortController();
  private resume: ((stop: boolean) => void) | null = null;
  /** Whether the page has given up before it was asked anything. */
  private abandoned = false;

  constructor(
    private readonly order: Order,
    private readonly port: WorkerPort,
  ) {}

  abort(): void {
    this.controller.abort();
  }

  go(stop: boolean): void {
    this.abandoned ||= stop && this.resume === null;
    this.resume?.(stop);
    this.resume = null;
  }

  /** Never rejects: what goes wrong is said to the page. */
  async run(): Promise<void> {
    const { job } = this.order;
    try {
      const { parallel } = this.order;
      const { message, transfer } = await (parallel === null ? this.fit() : this.fitParallel(parallel));
      this.port.postMessage(message, transfer);
    } catch (error) {
      const { message } = error as Error;
      this.say(
        error instanceof ConvexError
          ? { kind: "refused", job, code: error.code, message }
          : { kind: "failed", job, message: String((error as Error)?.stack ?? error) },
      );
    }
  }

  private async fit(): Promise<{ message: FromWorker; transfer: ArrayBuffer[] }> {
    const { job, model, validation, sampleWeight, options, args } = this.order;
    const trainer = new ConvexReLUTrainer({ ...options, signal: this.controller.signal });
    const [x, y, ...held] = [this.order.x, this.order.y, ...(validation ?? [])].map((all) => all.map(tensorOf));
    const weighted = sampleWeight === null ? {} : { sampleWeight };
    const relay = new Relay(this);
    const given = {
      ...args,
      ...weighted,
      ...(validation === null ? {} : { validationData: held.map(oneOrAll) as [ModelTensors, ModelTensors] }),
      callbacks: relay,
    };
    let replica: tf.Sequential | null = null;
    let result: FitResult | null = null;
    try {
      if (model === null) {
        result = await trainer.train(x[0], y[0], given as unknown as TrainArgs);
      } else {
        replica = await modelOf(model);
        const run = this.order.ofDeep ? fitOfDeep(options, this.controller.signal) : trainer.fit.bind(trainer);
        result = await run(replica, x, y, given as unknown as FitArgs);
      }
      if (result.noProgram !== undefined) {
        const weights = await messagesOf(result.model);
        const message = { kind: "doneAlone", job, summary: aloneOf(result, result.noProgram), weights } as const;
        return { message, transfer: buffersOf(weights) };
      }
      const built = model === null ? await modelMessage(result.model) : null;
      const weights = await messagesOf(result.model);
      const { train } = await readSplit(x[0], y[0], result.problem.spec, given, trunkIn(result));
      const problem = problemMessage(
        result.problem,
        await white(train, result.problem.spec, await hostKernels(options), async () => {}),
      );
      const { shape } = anatomyOf(result.model, "read").head.hidden.getWeights()[0];
      const units = shape[shape.length - 1]; // or filters
      const message = { kind: "done", job, summary: summaryOf(result), problem, units, weights, model: built } as const;
      return { message, transfer: buffersOf([...weights, built]) };
    } finally {
      tf.dispose([x, y, ...held].flat());
      if (result !== null && result.model !== replica) result.model.dispose();
      replica?.dispose();
    }
  }

  private async fitParallel(given: PlainParallel): Promise<{ message: FromWorker; transfer: ArrayBuffer[] }> {
    const { job, model, sampleWeight } = this.order;
    const [x, y] = [this.order.x, this.order.y].map(([message]) => tensorOf(message));
    const weighted = sampleWeight === null ? {} : { sampleWeight };
    const options = { ...given, ...weighted, signal: this.controller.signal, callbacks: new Relay(this) };
    let used: tf.LayersModel | null = null;
    try {
      used = model && (await modelOf(model));
      const result =
        used === null ? await trainParallel(x, y, options as ParallelOptions) : await fitParallel(used, x, y, options);
      used = result.model;
      const weights = await messagesOf(result.model);
      const message = { kind: "doneParallel", job, summary: ofParallel(result), weights } as const;
      return { message, transfer: buffersOf(weights) };
    } finally {
      tf.dispose([x, y]);
      used?.dispose();
    }
  }

  /** Says something and waits for "go"; true when the page asks to stop. */
  ask(message: FromWorker): Promise<boolean> {
    if (this.abandoned) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.resume = resolve;
      this.say(message);
    });
  }

  get job(): number {
    return this.order.job;
  }

  private say(message: FromWorker): void {
    this.port.postMessage(message, []);
  }
}

function oneOrAll(tensors: tf.Tensor[]): ModelTensors {
  return tensors.length === 1 ? tensors[0] : tensors;
}

/** The fit of a head that was cut from a deep model: as it is there. */
function fitOfDeep(options: TrainerOptions, signal: AbortSignal) {
  const settings = { ...readOptions({ ...options, signal }), depth: null };
  return (model: tf.Sequential, [x]: tf.Tensor[], [y]: tf.Tensor[], args: FitArgs) => {
    refuseUnknown("fit", args, FIT_ARGS);
    return fitHead({ model, x, y, args, settings, width: settings.width, ours: false });
  };
}

/** What comes before the head in a model that was sent as a whole. */
function trunkIn({ model, problem }: FitResult): Trunk {
  return trunkOf(model, "read", problem.spec.cut);
}

/** A callback that hands the rounds on to the page. */
class Relay extends tf.CustomCallback {
  private model: tf.LayersModel | null = null;

  constructor(job: Job) {
    super(
      {
        onTrainBegin: async () => {
          const { samples, epochs, metrics } = this.params as { samples: number; epochs: number; metrics: string[] };
          await job.ask({ kind: "begin", job: job.job, samples, epochs, metrics });
        },
        onEpochEnd: async (epoch, logs) => {
          const stop = await job.ask({
            kind: "epoch",
            job: job.job,
            epoch,
            logs: { ...logs } as Record<string, number>,
          });
          if (stop && this.model !== null) this.model.stopTraining = true;
        },
      },
      "never",
    );
  }

  override setModel(model: unknown): void {
    this.model = model as tf.LayersModel;
  }
}

/** In the order of the model's own. */
function messagesOf(model: tf.LayersModel): Promise<TensorMessage[]> {
  return Promise.all(model.getWeights().map((weight) => tensorMessage("weight", weight)));
}

function ofParallel({
  certificate,
  objective,
  status,
  advice,
  branches,
  blocks,
  rounds,
  seconds,
}: ParallelResult<tf.LayersModel>) {
  return { certificate, objective, status, advice, branches, blocks, rounds, seconds };
}

/** What of a result can be copied as it is. */
function summaryOf(result: FitResult): Omit<FitSummary, "model" | "problem"> {
  const { gates, blocks, stages } = result;
  return { ...commonOf(result), gates, blocks, ...(stages === undefined ? {} : { stages }) };
}

function aloneOf(result: FitResult, noProgram: string): Omit<SummaryAlone, "model"> {
  return { ...commonOf(result), noProgram };
}

function commonOf(result: FitResult) {
  const { certificate, objective, status, advice, neurons, regularization, notes, solver, engine, seconds } = result;
  return {
    ...{ certificate, objective, status, advice, neurons, regularization, notes },
    ...{ solver, engine: `${engine}, in a worker`, seconds },
  };
}
