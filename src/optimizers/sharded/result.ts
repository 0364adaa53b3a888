/** What a sharded fit answers with. */

import * as tf from "@tensorflow/tfjs";
import type { Traffic } from "../../convex/sharded/index.js";
import type { Certificate, Matrix, SparseBlocks, Status } from "../../convex/types.js";
import type { Objective, Regularization } from "../records.js";

/** Of the shards: who ran them, their rows, and what crossed the wire. */
export interface ShardsReport extends Traffic {
  readonly cluster: string;
  readonly rows: readonly number[]; // of each shard
  readonly restarts: number; // of workers that were lost
}

/** As `FitSummary`, but for what is with the rows. */
export interface ShardedSummary<M extends tf.LayersModel = tf.Sequential> {
  readonly model: M;
  readonly certificate: Certificate;
  readonly objective: Objective;
  readonly status: Status;
  readonly advice: string;
  readonly neurons: number;
  readonly regularization: Regularization;
  readonly notes: readonly string[];
  readonly solver: string;
  readonly engine: string;
  readonly seconds: number;
  readonly iterations: number; // of the solver, 20 a round
  readonly rows: number; // of all shards
  /** The gates of the program [P x d], and its solution over them. */
  readonly generators: Matrix;
  readonly blocks: SparseBlocks;
  readonly shards: ShardsReport;
}

/** A tf.History whose epochs are rounds of the solver. */
export class ShardedResult<M extends tf.LayersModel = tf.Sequential> extends tf.History implements ShardedSummary<M> {
  readonly model!: M;
  readonly certificate!: Certificate;
  readonly objective!: Objective;
  readonly status!: Status;
  readonly advice!: string;
  readonly neurons!: number;
  readonly regularization!: Regularization;
  readonly notes!: readonly string[];
  readonly solver!: string;
  readonly engine!: string;
  readonly seconds!: number;
  readonly iterations!: number;
  readonly rows!: number;
  readonly generators!: Matrix;
  readonly blocks!: SparseBlocks;
  readonly shards!: ShardsReport;

  constructor(epoch: readonly number[], history: Readonly<Record<string, number[]>>, summary: ShardedSummary<M>) {
    super();
    this.epoch = [...epoch];
    this.history = { ...history };
    Object.assign(this, summary);
  }
}
