/** Solver rounds -> tfjs epochs: callbacks, history, progress bar, and the wish to stop. */

import * as tf from "@tensorflow/tfjs";
import { ConvexError } from "../../errors.js";
import { type Bar, makeBar } from "./bar.js";

/** Callbacks as model.fit takes them. */
export type Callbacks =
  | tf.CustomCallbackArgs
  | tf.Callback
  | tf.CustomCallback
  | readonly (tf.CustomCallbackArgs | tf.Callback | tf.CustomCallback)[];

/** What a bar shows: how many powers of ten the gap has come down of those it has to. */
const BAR_FORMAT =
  "convex training [{bar}] gap {gap} of {tolerance} | objective {objective} | {seconds} s, {left} left";
const BAR_STEPS = 100;

/** Runs the callbacks of one fit. */
export class Progress {
  readonly epoch: number[] = [];
  readonly history: Record<string, number[]> = {};
  private readonly list: tf.CallbackList;
  private samples = 0;
  private bar: Bar | null = null;

  constructor(
    private readonly model: tf.LayersModel,
    callbacks: Callbacks | null | undefined,
    private readonly verbose: number,
    private readonly tolerance: number,
    private readonly timeLimit = Number.POSITIVE_INFINITY,
  ) {
    const given: readonly unknown[] = Array.isArray(callbacks) ? callbacks : [callbacks ?? {}];
    this.list = new tf.CallbackList(given.map(standardised));
  }

  async begin(samples: number, epochs: number, metrics: readonly string[]): Promise<void> {
    this.model.stopTraining = false;
    this.samples = samples;
    this.list.setModel(this.model);
    this.list.setParams({
      epochs,
      initialEpoch: 0,
      samples,
      steps: 1,
      batchSize: samples,
      verbose: this.verbose,
      doValidation: metrics.some((name) => name.startsWith("val_")),
      metrics: [...metrics],
    });
    if (this.verbose > 0) this.bar = await makeBar(BAR_FORMAT);
    this.bar?.start(BAR_STEPS, 0, {
      gap: "1",
      tolerance: this.tolerance.toExponential(0),
      objective: "?",
      seconds: "0",
      left: "?",
    });
    await this.list.onTrainBegin();
  }

  /** One epoch, and a turn for the host; true when a callback asked to stop. */
  async round(index: number, logs: Record<string, number>): Promise<boolean> {
    const stop = await this.record(index, logs);
    await turn();
    return stop || this.model.stopTraining;
  }

  /** One epoch without the turn, for a thread that has nothing else to do; true when a callback asked to stop. */
  async record(index: number, logs: Record<string, number>): Promise<boolean> {
    await this.list.onEpochBegin(index);
    await this.list.onBatchBegin(0, { batch: 0, size: this.samples });
    await this.list.onBatchEnd(0, { batch: 0, size: this.samples, loss: logs.loss });
    this.epoch.push(index);
    for (const [name, value] of Object.entries(logs)) {
      this.history[name] ??= [];
      this.history[name].push(value);
    }
    const share = Math.log(Math.max(logs.relativeGap, this.tolerance)) / Math.log(this.tolerance);
    this.bar?.update(Math.round(BAR_STEPS * Math.min(1, Math.max(0, share))), {
      gap: logs.relativeGap.toExponential(1),
      objective: logs.loss.toPrecision(6),
      seconds: logs.seconds.toFixed(1),
      left: secondsLeft(logs, this.tolerance, this.timeLimit),
      tolerance: this.tolerance.toExponential(0),
    });
    await this.list.onEpochEnd(index, { ...logs });
    return this.model.stopTraining;
  }

  /** Forgets all epochs after the first `count`: what they told of is not the model's any more. Callbacks have heard them. */
  takeBack(count: number): void {
    this.epoch.length = Math.min(this.epoch.length, count);
    for (const values of Object.values(this.history)) values.length = Math.min(values.length, count);
  }

  async end(): Promise<void> {
    this.close();
    await this.list.onTrainEnd();
  }

  /** Ends the bar; safe to call twice. */
  close(): void {
    this.bar?.stop();
    this.bar = null;
  }
}

/** What model.fit would make of one entry of `callbacks`. */
function standardised(entry: unknown): tf.Callback | tf.CustomCallback {
  if (typeof entry !== "object" || entry === null) {
    throw new ConvexError(
      "options/value",
      `callbacks: expected an object of handlers such as { onEpochEnd }, a tf.Callback or an array of them, got ${String(entry)}. ` +
        `Change it or leave it out.`,
    );
  }
  if ("setParams" in entry && typeof entry.setParams === "function") return entry as tf.Callback;
  const handlers = entry as tf.CustomCallbackArgs;
  if (handlers.onYield === undefined) return new tf.CustomCallback(handlers, "never");
  const nextFrameFunc = handlers.nextFrameFunc ?? turn;
  return new tf.CustomCallback(Object.assign(Object.create(handlers), { nextFrameFunc }), "auto");
}

/** A turn for the host. Not tf.nextFrame: a page in the background gets no frames, and would wait for ever. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** When the gap will be below the tolerance, if it goes on closing by the same factor in the same time, or when time is up. */
export function secondsLeft(
  { seconds, relativeGap }: Readonly<Record<string, number>>,
  tolerance: number,
  timeLimit: number,
): string {
  const closed = Math.log(1 / relativeGap);
  const open = Math.max(0, Math.log(relativeGap / tolerance));
  const expected = closed > 0 ? (seconds * open) / closed : Number.POSITIVE_INFINITY;
  const left = Math.min(expected, Math.max(0, timeLimit - seconds));
  return Number.isFinite(left) ? `about ${left < 10 ? left.toFixed(1) : Math.round(left)} s` : "?";
}
