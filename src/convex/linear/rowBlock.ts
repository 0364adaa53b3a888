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

/** Rows that `block` makes where they are asked for, as `Matrix.block` does. */
export function rowsMadeBy(rows: number, cols: number, block: NonNullable<Matrix["block"]>): Matrix {
  return {
    rows,
    cols,
    get data() {
      return block(0, rows);
    },
    block,
  };
}

/** At most so many of the first rows, a view. */
export function firstRows({ rows, cols, data }: Matrix, most: number): Matrix {
  const count = Math.min(rows, most);
  return { rows: count, cols, data: data.subarray(0, count * cols) };
}

/** Every row [cols] of a matrix that holds them, turned into another; all answers are of one length. */
export function mapRows({ rows, cols, data }: Matrix, turn: (row: Float64Array) => Float64Array): Matrix {
  let out = new Float64Array(0);
  let width = cols;
  for (let i = 0; i < rows; i++) {
    const turned = turn(data.slice(i * cols, (i + 1) * cols));
    if (i === 0) [width, out] = [turned.length, new Float64Array(rows * turned.length)];
    out.set(turned, i * width);
  }
  return { rows, cols: width, data: out };
}
