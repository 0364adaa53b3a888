/** Steps over batches of rows that are with shards: a batch has rows of every shard, told by a hash of their numbers among all. */

export { DealtRows } from "./dealt.js";
export { ShardedStochastic, type StochasticIterate, stochasticAt } from "./stochastic.js";
