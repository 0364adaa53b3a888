/** What a sharded fit answers with. */

import type * as tf from "@tensorflow/tfjs";
import type { Traffic } from "../../convex/sharded/index.js";
import type { Matrix, SparseBlocks } from "../../convex/types.js";
import { TrainedResult, type TrainedSummary } from "../report/result.js";

/** Of the shards: who ran them, their rows, and what crossed the wire. */
export interface ShardsReport extends Traffic {
  readonly cluster: string;
  readonly rows: readonly number[]; // of each shard
  readonly restarts: number; // of workers that were lost
}

/** As `FitSummary`, but for what is with the rows. */
export interface ShardedSummary<M extends tf.LayersModel = tf.Sequential> extends TrainedSummary<M> {
  readonly iterations: number; // of the solver: one a round of Newton steps, 20 of FISTA
  readonly rows: number; // of all shards
  /** The gates of the program [P x d], and its solution over them. */
  readonly generators: Matrix;
  readonly blocks: SparseBlocks;
  readonly shards: ShardsReport;
}

/** What a sharded fit answers with. */
export class ShardedResult<M extends tf.LayersModel = tf.Sequential>
  extends TrainedResult<ShardedSummary<M>, M>
  implements ShardedSummary<M>
{
  declare readonly iterations: number;
  declare readonly rows: number;
  declare readonly generators: Matrix;
  declare readonly blocks: SparseBlocks;
  declare readonly shards: ShardsReport;
}
