/**
 * Clusters for `ConvexReLUTrainer.fitSharded`, for Node: processes of this machine, or Ray. Its own entry, "tfjs-convex/sharded", so that
 * nothing of it comes into a page.
 */

export type {
  AskShards,
  Checkpoint,
  Cluster,
  ShardAnswer,
  ShardCall,
  ShardFacts,
  ShardMessage,
  ShardSpec,
} from "../convex/sharded/index.js";
export { fileCheckpoint } from "./fileCheckpoint.js";
export { type LocalOptions, local } from "./local.js";
export type { ShardProgram } from "./program.js";
export { type RayOptions, ray } from "./ray.js";
