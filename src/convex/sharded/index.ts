/**
 * Rows that are in no one place: a driver that holds blocks and decides, shards that hold rows and add, one round trip an iteration.
 *
 * FISTA of `solvers/fista.ts` on sums: the driver makes the step and the momentum, which need blocks only; a shard answers for the
 * line search and, at once, with the gradient at the point that comes next if the step is accepted. Objective, gap and the loss of what
 * is written are sums over rows too, and exact.
 */

export type { Checkpoint } from "./checkpoint.js";
export {
  type AskShards,
  allFacts,
  type Cluster,
  type FitAnswer,
  fitLost,
  fitSilent,
  lostTooOften,
  MOST_WORKERS_LOST,
  refusedBy,
  type ShardAnswer,
  type ShardCall,
  type ShardFacts,
  type ShardMessage,
  type ShardRefusal,
  type ShardSpec,
  type SweepOrder,
  silentShard,
  summed,
} from "./cluster.js";
export { boundWith, Cones, MOST_COLUMNS, Whole } from "./cones/index.js";
export { Crew, type RowSums, type Traffic } from "./crew.js";
export { chosenGates, distinctGates } from "./gates/index.js";
export { hasKinks } from "./kinks/index.js";
export { lossElsewhere } from "./lossElsewhere.js";
export {
  collectMoments,
  foldOf,
  MOST_NUMBERS,
  MomentRows,
  type Moments,
  momentNumbers,
  together,
  without,
} from "./moments/index.js";
export { factsOf, gatherRows, isTensor, iterableOf, moduleFailed, numbersIn, pairOf, RowRefusal } from "./rows.js";
export { Shard } from "./shard.js";
export {
  type AtZero,
  beginAt,
  type Coned,
  lookAtZero,
  type ShardedBudget,
  type ShardedRound,
  type ShardedSolution,
  solveSharded,
} from "./solve.js";
export { narrowedOnShards } from "./width/index.js";
export { numbersOf } from "./written.js";
