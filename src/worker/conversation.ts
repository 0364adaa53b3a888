/** One order and the answers to what the worker says until it is done. */

import { ConvexError, type ErrorCode } from "../errors.js";
import type { Progress } from "../optimizers/report/progress.js";
import { listen, type PortHealth, type WorkerPort } from "./port.js";
import type { FromWorker, Order, ToWorker } from "./protocol.js";
import { buffersOf } from "./wire.js";

/** Longer than a slow network needs for a worker's script: TensorFlow.js is about a megabyte. */
const ANSWER_SECONDS = 20;

/** Numbers the orders of this realm, so that several trainers can share a worker. */
const counter = { jobs: 0 };

export function nextJob(): number {
  counter.jobs += 1;
  return counter.jobs;
}

/** What an order ends with. */
type Done = Extract<FromWorker, { kind: "done" | "doneAlone" | "doneParallel" }>;

/** Who is spoken to, and what ends it. */
export interface Line {
  readonly worker: WorkerPort;
  readonly health: PortHealth;
  readonly signal: AbortSignal | null;
}

/** Sends the order and answers the worker until it is done, as it says by an answer of this kind. */
export function converse<K extends Done["kind"]>(
  kind: K,
  { worker, health, signal }: Line,
  order: Order,
  progress: Progress,
): Promise<Extract<Done, { kind: K }>> {
  const { job } = order;
  const say = (message: ToWorker, transfer: ArrayBuffer[] = []) => worker.postMessage(message, transfer);
  const abort = () => say({ kind: "abort", job });
  const endings: (() => void)[] = [() => signal?.removeEventListener("abort", abort), () => progress.close()];
  const conversation = new Promise<Extract<Done, { kind: K }>>((resolve, reject) => {
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
        case kind:
          return resolve(message as Extract<Done, { kind: K }>);
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
    const { model, x, y, validation } = order;
    try {
      say(order, buffersOf([model, ...x, ...y, ...(validation ?? []).flat()]));
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
