/** Networks of shards that are to be as narrow as their layer: descents whose objective and gradient are sums over rows. */

export { layerSums, squaresOf } from "./layer.js";
export { narrowedOnShards } from "./narrow.js";
