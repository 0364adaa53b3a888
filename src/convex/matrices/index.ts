/** The formulations whose variable is a matrix. */

export {
  type DeepFormulation,
  type DeepProblem,
  type DeepSolution,
  decayOfLayers,
  deepOneHot,
  deepOutputs,
  deepRankOne,
  deepScalar,
  deepSchatten,
  deepWhitened,
  meanCharge,
  schattenCharge,
} from "./deep/index.js";
export type {
  LayerWeights,
  MatrixBudget,
  MatrixFormulation,
  MatrixProblem,
  MatrixProgram,
  MatrixSolution,
} from "./formulation.js";
export {
  directionsOf,
  discriminated,
  type GeneratorProblem,
  type GeneratorSolution,
  linearGenerators,
} from "./generator.js";
export { type PolynomialProblem, polynomialNetworks, polynomialObjective } from "./polynomial.js";
export { KRIVINE, type QuantizedProblem, type QuantizedSolution, quantizedNetworks } from "./quantized.js";
export type { SignUnit } from "./signForms.js";
