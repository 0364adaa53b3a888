/** The columns in which a program is posed, where these are not those of x: fewer dimensions, or standardised columns. */

import type { NetworkWeights } from "../network.js";
import type { Matrix } from "../types.js";
import { type RowSpace, reducedRows, unfoldedWeights } from "./axes/index.js";
import { type Standardized, standardizedRows, unstandardizedWeights } from "./standardized.js";

export type Coordinates = RowSpace | Standardized;

export function isStandardized(space: Coordinates): space is Standardized {
  return "spread" in space;
}

/** The rows of x in these columns. */
export function rowsIn(X: Matrix, space: Coordinates): Matrix {
  return isStandardized(space) ? standardizedRows(X, space) : reducedRows(X, space);
}

/** Weights in these columns as layers hold them for x, in float32 numbers; with a `biasColumn` t the last row is the bias over t. */
export function weightsForX(weights: NetworkWeights, space: Coordinates, biasColumn: number): NetworkWeights {
  return isStandardized(space)
    ? unstandardizedWeights(weights, space, biasColumn)
    : unfoldedWeights(weights, space, biasColumn);
}
