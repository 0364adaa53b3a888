/** Descents that move polynomial units, and points of them made into networks and back. */

export { decomposeMatrix } from "./decompose.js";
export { descendUnits } from "./descendUnits.js";
export { networkOf, type UnitPoint, withFewUnits } from "./unitPoint.js";
