/** How large a problem may be for all of its blocks to be priced. */

import { arrangementBound } from "../arrangements/index.js";
import { power } from "../linear/elementary.js";
import type { Matrix } from "../types.js";
import { tailCount } from "./branch.js";
import { choicesOf, treesOf } from "./pricing/index.js";

/** Choices of what the neurons above the first layer do on all rows: of three layers the patterns D_2 of 14 rows. */
const MOST_CHOICES = 2 ** 14;
/** Tuples of hidden neurons, which are listed for a choice. */
const MOST_TUPLES = 2 ** 18;
/** Neurons of the second layer, whose trees of signs are listed before anything is counted. */
const MOST_GROUPS = 6;

/** Null, or what is too much for all blocks to be priced. */
export function enumerationRefusal({ rows, cols }: Pick<Matrix, "rows" | "cols">, hidden: readonly number[]) {
  const groups = tailCount(hidden);
  if (groups > MOST_GROUPS) return `at most ${MOST_GROUPS} neurons of the second layer in a branch, got ${groups}`;
  const trees = treesOf(hidden);
  let most = 0;
  while (most < rows && choicesOf(trees, most + 1) <= MOST_CHOICES) most++;
  if (rows > most)
    return `at most ${most} rows, of which patterns of all layers above the first are gone through, got ${rows}`;
  const tuples = power(tuplesOf(2 * arrangementBound(rows, Math.min(rows, cols)), hidden[0]), groups);
  if (tuples > MOST_TUPLES) return `at most ${MOST_TUPLES} tuples of hidden neurons, got up to ${tuples}`;
  return null;
}

/** Multisets of m among so many neurons. */
export function tuplesOf(neurons: number, m: number): number {
  let value = 1;
  for (let i = 1; i <= m; i++) value = (value * (neurons + i - 1)) / i;
  return Math.round(value);
}
