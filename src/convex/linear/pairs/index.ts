/** Pairs of steps and changes of a gradient, and the metric that L-BFGS makes of the last few. */

export { MEMORY, PairMetric, type Scales } from "./pairMetric.js";
export { plainPairs } from "./plainPairs.js";
