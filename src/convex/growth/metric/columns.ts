/** Columns of data whose sizes differ: what a weight on each moves by, and how far means are beside spreads. */

import { eachBlock } from "../../linear/rowBlock.js";
import type { Matrix } from "../../types.js";

/** Rows that are read together. */
const ROWS_AT_ONCE = 256;

interface Columns {
  readonly scales: Float64Array;
  /** |means| / |spreads|, of all columns that are not constant together. */
  readonly offset: number;
}

/** Those of X, for descents to come. */
const columnsKnown = new WeakMap<Matrix, Columns>();

/** For each column of X the scale of a weight on it. */
export function columnScalesOf(X: Matrix): Float64Array {
  return columnsIn(X).scales;
}

/** |means| / |spreads| of the columns of X that are not constant. */
export function offsetOf(X: Matrix): number {
  return columnsIn(X).offset;
}

function columnsIn(X: Matrix): Columns {
  const known = columnsKnown.get(X) ?? measured(X);
  columnsKnown.set(X, known);
  return known;
}

function measured(X: Matrix): Columns {
  const { rows: n, cols: d } = X;
  const squares = new Float64Array(d);
  // From the first row, lest a large mean drown the spread.
  const first = new Float64Array(d);
  const sums = new Float64Array(d);
  const spreads = new Float64Array(d);
  eachBlock(X, ROWS_AT_ONCE, (rows, from) => {
    if (from === 0) first.set(rows.subarray(0, d));
    for (let k = 0; k < rows.length; k += d) {
      for (let p = 0; p < d; p++) {
        const off = rows[k + p] - first[p];
        squares[p] += rows[k + p] ** 2;
        sums[p] += off;
        spreads[p] += off * off;
      }
    }
  });
  let [means, apart] = [0, 0];
  for (let p = 0; p < d; p++) {
    if (spreads[p] === 0) continue; // as that of a bias: its rounding is another bias
    means += (first[p] + sums[p] / n) ** 2;
    apart += Math.max(0, spreads[p] / n - (sums[p] / n) ** 2);
  }
  return { scales: columnScalesFrom(squares), offset: means === 0 ? 0 : Math.sqrt(means / apart) };
}

/** The same from the sums of the squares of the columns [d]. */
export function columnScalesFrom(squares: Float64Array): Float64Array {
  const all = squares.reduce((sum, square) => sum + square, 0);
  return squares.map((square) => {
    const others = all - square;
    return square > others && others > 0 ? others / (squares.length - 1) / square : 1;
  });
}
