/**
 * Clusters for `ConvexReLUTrainer.fitSharded` and for `sweep`, for Node: processes of this machine, or Ray. Its own entry, "tfjs-convex/sharded", so that
 * nothing of it comes into a page.
 */

export type {
  AskShards,
  Checkpoint,
  Cluster,
  FitAnswer,
  ShardAnswer,
  ShardCall,
  ShardFacts,
  ShardMessage,
  ShardSpec,
  SweepOrder,
} from "../convex/sharded/index.js";
export { fileCheckpoint } from "./fileCheckpoint.js";
export { type FileRows, type FileRowsOptions, fileRows } from "./fileRows.js";
export { type LocalOptions, local } from "./local.js";
export type { ShardProgram } from "./program.js";
export { type RayOptions, ray } from "./ray.js";
export type { RowFile } from "./rowFile.js";
export { type FitOutcome, grid, type Sweep, type SweepOptions, sweep } from "./sweep.js";
