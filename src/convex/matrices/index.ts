/** The formulations whose variable is a matrix. */

export { deepOutputs } from "./deepNetwork.js";
export { deepOneHot } from "./deepOneHot.js";
export { type DeepFormulation, type DeepProblem, type DeepSolution, meanCharge } from "./deepProblem.js";
export { deepRankOne } from "./deepRankOne.js";
export { deepScalar } from "./deepScalar.js";
export { deepSchatten, schattenCharge } from "./deepSchatten.js";
export { deepWhitened } from "./deepWhitened.js";
export type { LayerWeights, MatrixFormulation, MatrixProblem, MatrixProgram, MatrixSolution } from "./formulation.js";
export {
  directionsOf,
  discriminated,
  type GeneratorProblem,
  type GeneratorSolution,
  linearGenerators,
} from "./generator.js";
export { type PolynomialProblem, polynomialNetworks } from "./polynomial.js";
export { KRIVINE, type QuantizedProblem, type QuantizedSolution, quantizedNetworks } from "./quantized.js";
export type { SignUnit } from "./signForms.js";
