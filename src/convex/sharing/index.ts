/** ReLU networks whose neurons feed all outputs: how they are found, and the bound by what such neurons are worth. */

export { descendFromRandom, type RandomEnd } from "./begin.js";
export { SharedObjective, sharedNeurons } from "./neurons.js";
export {
  LAST_PROJECTIONS,
  mayShareOutputs,
  type SharedBudget,
  type SharedRound,
  type SharedSolution,
  sharedGap,
  shareOutputs,
} from "./shareOutputs.js";
