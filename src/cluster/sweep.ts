/** Many fits that do not know of each other: folds, betas, seeds and data sets, each done by whichever worker is free. */

import { availableParallelism } from "node:os";
import { deserialize } from "node:v8";
import { count, isRecord, optional, refuse, refuseUnknown, sendable, urlOf } from "../arguments.js";
import type { Cluster, FitAnswer } from "../convex/sharded/index.js";
import { ConvexError } from "../errors.js";
import { type Bar, makeBar } from "../optimizers/report/bar.js";

export interface SweepOptions {
  /** Who runs the workers: `local()` or `ray()`. It is opened and closed by the sweep. */
  readonly cluster: Cluster;
  /**
   * A module whose `fit(args, { index })` does one fit and returns, or resolves with, what is to be known of it: numbers, arrays, typed
   * arrays and plain objects. A path counts from the current folder.
   */
  readonly load: string | URL;
  /** Workers at a time; default as many as this machine has cores. */
  readonly workers?: number;
  /** 1 shows a bar in a terminal, lines elsewhere; default 0. */
  readonly verbose?: number;
  /** Ends the sweep; workers are ended where they are. */
  readonly signal?: AbortSignal;
}

/** How one fit ended. */
export interface FitOutcome<Args, Value = unknown> {
  readonly index: number; // among the fits
  readonly args: Args;
  /** What the module's `fit` returned; undefined where there is an error. */
  readonly value: Value | undefined;
  /** Why there is no value: what the fit threw, or that it took its workers with it. The others go on. */
  readonly error: ConvexError | null;
  readonly tries: number; // workers that had it: above 1 where some were lost
}

/** A sweep that runs: its outcomes as they come, and all of them. */
export interface Sweep<Args, Value = unknown> extends AsyncIterable<FitOutcome<Args, Value>> {
  /** Of all fits, or of those that came before it was ended, in the order of the fits; rejects where the cluster can't be had. */
  readonly outcomes: Promise<FitOutcome<Args, Value>[]>;
}

const NAMES = ["cluster", "load", "workers", "verbose", "signal"];
const MOST_WORKERS = 4096;
const BAR_FORMAT = "sweep [{bar}] {value} of {total} fits | {failed} failed | {seconds} s, {left} left";

/**
 * Does all fits on a cluster, each by the ordinary trainer or whatever else the module does. A fit whose worker is lost is done again, by
 * another one, up to three times. To leave the loop early ends the sweep.
 *
 * @example
 * ```js
 * // fits.mjs: export async function fit({ beta, fold }) { ...; return { objective: result.objective.total, error }; }
 * const fits = grid({ beta: [1e-1, 1e-2, 1e-3], fold: [0, 1, 2, 3, 4] });
 * for await (const { args, value, error } of sweep(fits, { cluster: local(), load: "./fits.mjs", verbose: 1 })) console.log(args, value);
 * ```
 *
 * @throws ConvexError "options/unknown" or "options/value", before any worker starts.
 */
export function sweep<Args, Value = unknown>(fits: readonly Args[], options: SweepOptions): Sweep<Args, Value> {
  refuseUnknown("sweep", options, NAMES);
  const { cluster, verbose = 0, signal } = options;
  if (!Array.isArray(fits) || fits.length === 0)
    refuse("sweep", "an array of at least one fit", fits, "Give what the module's fit is to get, one entry a fit.");
  if (!isRecord(cluster) || typeof (cluster as Partial<Cluster>).run !== "function")
    refuse("sweep: cluster", 'local() or ray() of "tfjs-convex/sharded", or one with run', cluster, "Import one.");
  if (signal !== undefined && typeof signal?.addEventListener !== "function")
    refuse("sweep: signal", "the signal of an AbortController", signal);
  fits.forEach((args, index) => {
    sendable(`sweep: fit ${index}`, args);
  });
  const workers = optional(options.workers, (value) => count("sweep: workers", value, MOST_WORKERS));
  return new Running(fits, {
    ...{ cluster, signal, verbose: count("sweep: verbose", verbose, 2, 0) },
    load: urlOf("sweep: load", options.load),
    workers: workers ?? availableParallelism(),
  });
}

/**
 * Every combination of the values of some names, the last name changing fastest.
 *
 * @throws ConvexError "options/value" for what are no lists.
 */
export function grid<Lists extends Readonly<Record<string, readonly unknown[]>>>(
  lists: Lists,
): { [Name in keyof Lists]: Lists[Name][number] }[] {
  if (!isRecord(lists)) refuse("grid", "an object of lists", lists);
  let made: Record<string, unknown>[] = [{}];
  for (const [name, values] of Object.entries(lists)) {
    if (!Array.isArray(values)) refuse(`grid: ${name}`, "a list of values", values);
    made = made.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
  }
  return made as { [Name in keyof Lists]: Lists[Name][number] }[];
}

interface Plan {
  readonly cluster: Cluster;
  readonly load: string;
  readonly workers: number;
  readonly verbose: number;
  readonly signal: AbortSignal | undefined;
}

class Running<Args, Value> implements Sweep<Args, Value> {
  readonly outcomes: Promise<FitOutcome<Args, Value>[]>;
  private readonly found: FitOutcome<Args, Value>[] = []; // as they came
  private readonly stop = new AbortController();
  private readonly began = performance.now();
  private ended = false;
  private readonly asleep = new Set<() => void>(); // who iterates, and has seen all that came
  private bar: Bar | null = null;
  private failed = 0;

  constructor(
    private readonly fits: readonly Args[],
    plan: Plan,
  ) {
    this.outcomes = this.run(plan);
    this.outcomes.catch(() => {}); // told to who iterates, too
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FitOutcome<Args, Value>> {
    try {
      for (let at = 0; ; at++) {
        while (at === this.found.length && !this.ended) {
          await new Promise<void>((resolve) => {
            this.asleep.add(resolve);
          });
        }
        if (at === this.found.length) break;
        yield this.found[at];
      }
      await this.outcomes; // or why there are no more
    } finally {
      if (!this.ended) this.stop.abort();
      await this.outcomes.catch(() => {});
    }
  }

  private async run({ cluster, load, workers, verbose, signal }: Plan): Promise<FitOutcome<Args, Value>[]> {
    const abort = () => this.stop.abort();
    signal?.addEventListener("abort", abort);
    try {
      if (verbose > 0) this.bar = await makeBar(BAR_FORMAT);
      this.bar?.start(this.fits.length, 0, this.words());
      if (signal?.aborted) abort();
      const order = { load, fits: this.fits, workers, signal: this.stop.signal };
      if (!this.stop.signal.aborted) await cluster.run?.({ ...order, onAnswer: (answer) => this.take(answer) });
      return [...this.found].sort((a, b) => a.index - b.index);
    } catch (error) {
      // What was stopped has ended as it was to.
      if (this.stop.signal.aborted) return [...this.found].sort((a, b) => a.index - b.index);
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.bar?.stop();
      this.ended = true;
      this.wake();
    }
  }

  private take({ index, tries, done, failed }: FitAnswer): void {
    const error = failed === undefined ? null : new ConvexError(failed.code, `fit ${index}: ${failed.text}`);
    const outcome = { index, args: this.fits[index], tries };
    try {
      const value = done === undefined ? undefined : (deserialize(Buffer.from(done, "base64")) as Value);
      this.found.push({ ...outcome, value, error });
    } catch {
      const unread = new ConvexError(
        "cluster/module",
        `fit ${index}: expected an answer of this Node's serialisation, got one that it can't read. Let workers have the Node of this process.`,
      );
      this.found.push({ ...outcome, value: undefined, error: unread });
    }
    if (this.found.at(-1)?.error !== null) this.failed += 1;
    this.bar?.update(this.found.length, this.words());
    this.wake();
  }

  private wake(): void {
    for (const resolve of this.asleep) resolve();
    this.asleep.clear();
  }

  private words(): Record<string, string> {
    const seconds = (performance.now() - this.began) / 1000;
    const done = this.found.length;
    const left = done === 0 ? "?" : `about ${Math.ceil((seconds / done) * (this.fits.length - done))} s`;
    return { failed: `${this.failed}`, seconds: seconds.toFixed(0), left };
  }
}
