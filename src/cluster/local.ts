/** Shards as child processes of this one: no engine at all, and the least overhead there is. */

import { optional, positive, refuseUnknown } from "../arguments.js";
import {
  allFacts,
  type Cluster,
  lostTooOften,
  refusedBy,
  type ShardAnswer,
  type ShardFacts,
  type ShardMessage,
  type ShardRefusal,
  type ShardSpec,
  silentShard,
  summed,
} from "../convex/sharded/index.js";
import { ConvexError } from "../errors.js";
import { commandOf, type ShardProgram } from "./program.js";
import { Gone, WorkerProcess } from "./worker.js";

export interface LocalOptions {
  /** Seconds to wait for a worker that reads its rows, or answers a call; default 600. */
  readonly patience?: number;
  /** How workers are started; default by the `node` that runs this. */
  readonly program?: ShardProgram;
}

/** Workers of one shard that may be lost one after another, none of them having answered. */
const MOST_LOST = 5;
const PATIENCE = 600;

/**
 * Processes of this machine, one a shard. One that is lost is started again, reads its rows again, and goes on where the others are.
 *
 * @throws ConvexError "options/unknown" or "options/value".
 */
export function local(options: LocalOptions = {}): Cluster {
  refuseUnknown("local", options, ["patience", "program"]);
  const patience = optional(options.patience, (value) => positive("local: patience", value)) ?? PATIENCE;
  return new LocalCluster(patience, commandOf(options.program ?? {}));
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
    private readonly command: readonly string[],
  ) {}

  get pids(): readonly number[] {
    return this.workers.map(({ pid }) => pid);
  }

  async open(specs: readonly ShardSpec[]): Promise<readonly ShardFacts[]> {
    if (this.isOpen) {
      throw new ConvexError(
        "options/value",
        "local: expected one fit at a time on a cluster, got a second one. Make another cluster for it.",
      );
    }
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
