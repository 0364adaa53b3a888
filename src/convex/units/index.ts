/** Networks of tanh, sign and polynomial units, built unit by unit: what units are worth, and how they join and move. */

export { activate, outputsOfUnit, type Polynomial, type UnitActivation } from "./hiddenUnits.js";
export { polynomialUnits, solveIncrementally, trivialUnitBeta } from "./incremental.js";
export { insertUnits } from "./insertUnits.js";
export { decomposeMatrix, descendUnits, networkOf, type UnitPoint, withFewUnits } from "./moving/index.js";
export { columnsOf, type DearUnits, type UnitOracle } from "./oracle.js";
export { onePlace, outputsAtPlace, type Places, placesOf, placesOfRows } from "./places.js";
export type { SolvedUnit, UnitNetwork, UnitOptions, UnitProblem, UnitSolution } from "./problem.js";
