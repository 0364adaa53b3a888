/** The formulations whose variable is a matrix. */

export type { LayerWeights, MatrixFormulation, MatrixProblem, MatrixProgram, MatrixSolution } from "./formulation.js";
export { type PolynomialProblem, polynomialNetworks } from "./polynomial.js";
