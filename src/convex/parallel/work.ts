/** How large a problem may be for all of its blocks to be priced. */

import { arrangementBound } from "../arrangements/index.js";
import type { Matrix } from "../types.js";

/** Rows of which all 2^n patterns D_2 may have to be looked at. */
const MOST_ROWS = 14;
/** Tuples of hidden neurons, which are listed for a pattern D_2. */
const MOST_TUPLES = 2 ** 18;

/** Null, or what is too much for all blocks to be priced. */
export function enumerationRefusal({ rows, cols }: Pick<Matrix, "rows" | "cols">, m: number): string | null {
  if (rows > MOST_ROWS) return `at most ${MOST_ROWS} rows, of which 2^n patterns are gone through, got ${rows}`;
  const tuples = tuplesOf(2 * arrangementBound(rows, Math.min(rows, cols)), m);
  if (tuples > MOST_TUPLES) return `at most ${MOST_TUPLES} tuples of hidden neurons, got up to ${tuples}`;
  return null;
}

/** Multisets of m among so many neurons. */
export function tuplesOf(neurons: number, m: number): number {
  let value = 1;
  for (let i = 1; i <= m; i++) value = (value * (neurons + i - 1)) / i;
  return Math.round(value);
}
