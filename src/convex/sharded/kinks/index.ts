/** Losses with kinks on shards: rounded off about multipliers of the rows, which move as the steps of the driver end. */

export { anchoredLoss } from "./anchoredLoss.js";
export {
  hasKinks,
  type KinkState,
  kinksAfter,
  kinksAtFirst,
  kinksMoved,
  narrowTau,
  sharpTau,
} from "./kinks.js";
