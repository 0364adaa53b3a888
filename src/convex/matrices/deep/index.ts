/** Closed forms of deep networks: linear ones, and those of ReLU units on data of a special kind. */

export { deepOutputs } from "./network.js";
export { deepOneHot } from "./oneHot.js";
export { type DeepFormulation, type DeepProblem, type DeepSolution, decayOfLayers, meanCharge } from "./problem.js";
export { deepRankOne } from "./rankOne.js";
export { deepScalar } from "./scalar.js";
export { deepSchatten, schattenCharge } from "./schatten.js";
export { deepWhitened } from "./whitened.js";
