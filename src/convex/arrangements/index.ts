/** The gate sets of the data, from where they come, and how many there can be. */

export type { ReadPatterns } from "../linear/bits.js";
export { arrangementBound, gateSetBytes } from "./count.js";
export { type EnumerateOptions, enumerateGates, enumerating } from "./enumerate.js";
export {
  type Arrangements,
  defaultFirstGates,
  defaultStarts,
  type Growth,
  type GrowthMethod,
  gatesFrom,
  gathering,
  resolvingGates,
} from "./gateSet.js";
export { sampleGates } from "./sample.js";
