/** Shards as child processes of this one: no engine at all, and the least overhead there is. */

import { optional, positive, refuseUnknown } from "../arguments.js";
import {
  allFacts,
  type Cluster,
  fitLost,
  fitSilent,
  lostTooOften,
  MOST_WORKERS_LOST,
  refusedBy,
  type ShardAnswer,
  type ShardFacts,
  type ShardMessage,
  type ShardRefusal,
  type ShardSpec,
  type SweepOrder,
  silentShard,
  summed,
} from "../convex/sharded/index.js";
import { ConvexError } from "../errors.js";
import { MOST_SECONDS, PATIENCE } from "./patience.js";
import { commandOf, type ShardProgram } from "./program.js";
import { secondUse } from "./secondUse.js";
import { Gone, WorkerProcess } from "./worker.js";

export interface LocalOptions {
  /** Seconds to wait for a worker that reads its rows, or answers a call; default 600. A fit of a sweep has as long as it takes, unless this is given. */
  readonly patience?: number;
  /** How workers are started; default by the `node` that runs this. */
  readonly program?: ShardProgram;
}

/** Workers of one shard that may be lost one after another, none of them having answered. */
const MOST_LOST = 5;

/**
 * Processes of this machine, one a shard. One that is lost is started again, reads its rows again, and goes on where the others are.
 *
 * @throws ConvexError "options/unknown" or "options/value".
 */
export function local(options: LocalOptions = {}): Cluster {
  refuseUnknown("local", options, ["patience", "program"]);
  const patience = optional(options.patience, (value) => positive("local: patience", value));
  return new LocalCluster(patience ?? PATIENCE, patience ?? MOST_SECONDS, commandOf(options.program ?? {}));
}

class LocalCluster implements Cluster {
  readonly name = "local";
  restarts = 0;
  private isOpen = false;
  private specs: readonly ShardSpec[] = [];
  private workers: WorkerProcess[] = [];
  private lost: number[] = []; // of each shard, since its last answer

  constructor(
    private readonly patience: number,
    private readonly patienceOfFits: number,
    private readonly command: readonly string[],
  ) {}

  get pids(): readonly number[] {
    return this.workers.map(({ pid }) => pid);
  }

  async open(specs: readonly ShardSpec[]): Promise<readonly ShardFacts[]> {
    if (this.isOpen) throw secondUse("local", "fit");
    this.isOpen = true;
    [this.specs, this.restarts, this.lost] = [specs, 0, []];
    this.workers = specs.map(() => new WorkerProcess(this.command));
    try {
      const opening = specs.map((_, shard) => this.opened(shard));
      for (const one of opening) one.catch(() => {}); // the first in order is told of
      const answers: (ShardFacts | ShardRefusal)[] = [];
      for (const one of opening) {
        answers.push(await one);
        allFacts(answers);
      }
      return allFacts(answers);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  sum(message: ShardMessage, restore: () => readonly ShardMessage[]): Promise<Float64Array> {
    return summed((asked, only) => this.ask(asked, only), message, restore);
  }

  async run(order: SweepOrder): Promise<void> {
    if (this.isOpen) throw secondUse("local", "sweep");
    [this.isOpen, this.restarts] = [true, 0];
    const todo = order.fits.map((_, index) => ({ index, tries: 0 }));
    const stop = () => this.workers.forEach((worker) => void worker.end(0));
    order.signal.addEventListener("abort", stop);
    try {
      const count = Math.min(order.workers, todo.length);
      this.workers = Array.from({ length: count }, () => new WorkerProcess(this.command));
      await Promise.all(this.workers.map((_, place) => this.work(place, todo, order)));
    } finally {
      order.signal.removeEventListener("abort", stop);
      await this.close();
    }
  }

  /** Does one fit after another until none is left to do. */
  private async work(place: number, todo: Job[], { load, fits, signal, onAnswer }: SweepOrder): Promise<void> {
    for (let job = todo.shift(); job !== undefined && !signal.aborted; job = todo.shift()) {
      const { index } = job;
      const tries = job.tries + 1;
      try {
        const call = { load, index, args: fits[index] };
        const frame = await this.workers[place].ask({ fit: call }, undefined, this.patienceOfFits);
        if (frame !== null && "fit" in frame.head) {
          onAnswer({ ...frame.head.fit, tries });
          continue;
        }
        onAnswer(fitSilent(index, tries, this.patienceOfFits));
        await this.workers[place].end(0);
      } catch (error) {
        // Where another one's fit has ended the sweep, workers go, and none is to follow them.
        if (!(error instanceof Gone) || signal.aborted || !this.isOpen) throw error;
        this.restarts += 1;
        if (tries < MOST_WORKERS_LOST) todo.push({ index, tries });
        else onAnswer(fitLost(index, tries, error.message));
      }
      if (todo.length > 0 && !signal.aborted && this.isOpen) this.workers[place] = new WorkerProcess(this.command);
    }
  }

  async close(): Promise<void> {
    this.isOpen = false;
    await Promise.all(this.workers.splice(0).map((worker) => worker.end()));
  }

  private ask(message: ShardMessage, only: number | null): Promise<ShardAnswer[]> {
    const shards = only === null ? this.specs.map((_, shard) => shard) : [only];
    return Promise.all(shards.map((shard) => this.askOne(shard, message)));
  }

  private async askOne(shard: number, { call, payload }: ShardMessage): Promise<ShardAnswer> {
    for (;;) {
      try {
        const frame = await this.workers[shard].ask({ call }, payload, this.patience);
        if (frame !== null && "stale" in frame.head) {
          this.lost[shard] = 0;
          return { stale: frame.head.stale, payload: frame.payload };
        }
        if (frame !== null && "refusal" in frame.head) throw refusedBy(shard, frame.head.refusal);
        await this.workers[shard].end(0); // it may be stopped, and will not end by itself
      } catch (error) {
        if (!(error instanceof Gone) || !this.isOpen) throw error;
      }
      await this.startAgain(shard);
    }
  }

  private async startAgain(shard: number): Promise<void> {
    for (;;) {
      this.lost[shard] = (this.lost[shard] ?? 0) + 1;
      this.restarts += 1;
      if (this.lost[shard] > MOST_LOST) throw lostTooOften(shard, this.lost[shard]);
      if (!this.isOpen) throw new Gone("The cluster was closed.");
      this.workers[shard] = new WorkerProcess(this.command);
      try {
        const opened = await this.opened(shard, true);
        if (!("rows" in opened)) throw refusedBy(shard, opened);
        return;
      } catch (error) {
        if (!(error instanceof Gone) || !this.isOpen) throw error;
      }
    }
  }

  /** @throws ConvexError for a worker that does not come; Gone where that is for the caller to mend (`again`). */
  private async opened(shard: number, again = false): Promise<ShardFacts | ShardRefusal> {
    try {
      const frame = await this.workers[shard].ask({ open: this.specs[shard] }, undefined, this.patience);
      if (frame === null) {
        await this.workers[shard].end(0);
        throw silentShard(shard, this.patience);
      }
      if ("facts" in frame.head) return frame.head.facts;
      if ("refusal" in frame.head) return frame.head.refusal;
      throw new Error("A worker answered to an opening as to a call.");
    } catch (error) {
      if (again || !(error instanceof Gone)) throw error;
      throw new ConvexError(
        "cluster/lost",
        `shard ${shard}: expected a worker that reads its rows, got none: ${error.message}. Look at what it printed; a shard that is ` +
          `too large for this machine is killed: cut the rows into more shards, or use fewer at a time.`,
      );
    }
  }
}

/** A fit that is to be done, and how many workers it has lost. */
interface Job {
  readonly index: number;
  readonly tries: number;
}
