/** The linear systems of the solvers: matrices in the samples, dense, in columns or of low rank, and their factors. */

export { ColumnSystem } from "./column.js";
export { type CoupledSystem, prefersProducts, SketchMemory, solveCoupled } from "./coupled.js";
export { DENSE_ROWS, solveNewton } from "./newton.js";
export type { OutputCurvature } from "./newtonSystem.js";
export {
  type Hidden,
  hiddenCurvature,
  LEAST_RANK,
  largestRank,
  partialCholesky,
  sketchCost,
  timesSquaredRows,
} from "./partialCholesky.js";
export { RankOneTerms } from "./woodbury.js";
