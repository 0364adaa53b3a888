/** The formulations whose variable is a matrix. */

export type { LayerWeights, MatrixFormulation, MatrixProblem, MatrixProgram, MatrixSolution } from "./formulation.js";
export { type PolynomialProblem, polynomialNetworks } from "./polynomial.js";
export { KRIVINE, type QuantizedProblem, type QuantizedSolution, quantizedNetworks } from "./quantized.js";
export type { SignUnit } from "./signForms.js";
