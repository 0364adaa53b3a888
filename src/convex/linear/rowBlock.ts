/** Rows of a matrix a few at a time, whether it holds them or makes them. */

import type { Matrix } from "../types.js";

/** Rows [from, from + count) of X as [count x cols]; valid until the next call for the same matrix. */
export function rowBlock(X: Matrix, from: number, count: number): Float64Array {
  if (X.block !== undefined) return X.block(from, count);
  return X.data.subarray(from * X.cols, (from + count) * X.cols);
}

/** Calls `use` with blocks of at most `most` rows, in order. */
export function eachBlock(
  X: Matrix,
  most: number,
  use: (rows: Float64Array, from: number, count: number) => void,
): void {
  for (let from = 0; from < X.rows; from += most) {
    const count = Math.min(most, X.rows - from);
    use(rowBlock(X, from, count), from, count);
  }
}
