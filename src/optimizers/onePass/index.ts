/**
 * Many betas from one pass over rows that are with shards: for squared loss some sums over them, fold by fold, say all that a path, its
 * certificates and cross-validation ask (`convex/sharded/moments`).
 */

export {
  crossValidateSharded,
  type ShardedCrossValidation,
  type ShardedCrossValidationArgs,
} from "./crossValidate.js";
export { pathSharded, type ShardedPathArgs, type ShardedPathPoint, type ShardedPathResult } from "./path.js";
