/**
 * Squared loss after one pass over the rows: A'A, A'y and y'y, fold by fold.
 *
 * The pass costs n (P d)^2 / 16 additions. Then every beta, every fold that is left out and every start is a problem of P d numbers, whose
 * objective and gap are as exact as sums over the rows are; its rounding is a share of y'y, not of what is left of it.
 */

import type { Crew } from "../crew.js";
import { pairsOf, productsOf } from "./layout.js";
import { type Moments, momentsOf } from "./moments.js";

export { foldOf } from "./folds.js";
export { type Moments, together, without } from "./moments.js";
export { MomentRows } from "./rows.js";

/** Numbers that a shard answers with at most at a time, if a gate's are no more: 32 MB. */
const TOGETHER = 2 ** 22;
/** Numbers that a driver should hold of all folds together: 1 GB. */
export const MOST_NUMBERS = 2 ** 27;

/** Numbers that the moments of so many folds are, about. */
export function momentNumbers(folds: number, gates: number, width: number): number {
  return folds * pairsOf(gates) * productsOf(width);
}

/** The moments of every fold, of shards that have the gates [P x d]. */
export async function collectMoments(
  crew: Crew,
  { gates, width, outputs, folds, seed }: MomentsWish,
): Promise<Moments[]> {
  const dealing = { folds, seed, offsets: crew.offsets() };
  const nothing = new Float64Array(0);
  const linear = await crew.ask({ op: "moments", ...dealing }, nothing);
  const parts: Float64Array[] = [];
  for (let from = 0; from < gates; ) {
    let to = from + 1;
    while (to < gates && folds * (pairsOf(to + 1) - pairsOf(from)) * productsOf(width) <= TOGETHER) to += 1;
    parts.push(await crew.ask({ op: "pairs", ...dealing, from, to }, nothing));
    from = to;
  }
  return momentsOf(linear, parts, { folds, gates, width, outputs });
}

interface MomentsWish {
  readonly gates: number; // P
  readonly width: number; // d
  readonly outputs: number; // C
  readonly folds: number;
  readonly seed: number;
}
