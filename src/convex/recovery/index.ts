/** From the blocks of a solution to as few neurons as do the same, and the way back. */

export { type HiddenNeuron, liftNeurons, sparse } from "./lift.js";
export { mergeNeurons } from "./merge.js";
export { pruning } from "./prune.js";
export { undecidedGates } from "./undecidedGates.js";
