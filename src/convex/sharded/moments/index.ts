/**
 * Squared loss after one pass over the rows: A'A, A'y and y'y, fold by fold.
 *
 * The pass costs n (P d)^2 / 16 additions. Then every beta, every fold that is left out and every start is a problem of P d numbers, whose
 * objective and gap are as exact as sums over the rows are; its rounding, a share of the targets' squares about their means and not of
 * what is left of them, is on the safe side of both.
 */

import { concatenated } from "../../linear/vectors.js";
import type { Crew } from "../crew.js";
import { frameWidth } from "./frame.js";
import { pairsOf, productsOf } from "./layout.js";
import { type Moments, momentsOf } from "./moments.js";

export { foldOf } from "./folds.js";
export { type Moments, together, without } from "./moments.js";
export { MomentRows } from "./rows.js";

/** Numbers that a shard answers with at most at a time, if a gate's are no more: 32 MB. */
const TOGETHER = 2 ** 22;
/** Numbers that a driver should hold of all folds together: 1 GB. */
export const MOST_NUMBERS = 2 ** 27;

/** Numbers that the moments of so many folds are, about, for a model of so many columns. */
export function momentNumbers(folds: number, gates: number, inputs: number): number {
  return folds * pairsOf(gates) * productsOf(inputs + 1);
}

/** The moments of every fold about the means of all, of shards that have the gates [P x d]. */
export async function collectMoments(
  crew: Crew,
  { gates, inputs, biasColumn, outputs, folds, seed }: MomentsWish,
): Promise<Moments[]> {
  const all = await crew.ask({ op: "totals" }, new Float64Array(0));
  const means = all.map((sum) => sum / crew.rows);
  const frame = { means: means.slice(0, inputs), offsets: means.slice(inputs), biasColumn };
  const width = frameWidth(frame);
  const about = concatenated(frame.means, frame.offsets);
  const dealing = { folds, seed, offsets: crew.offsets() };
  const linear = await crew.ask({ op: "moments", ...dealing }, about);
  const parts: Float64Array[] = [];
  for (let from = 0; from < gates; ) {
    let to = from + 1;
    while (to < gates && folds * (pairsOf(to + 1) - pairsOf(from)) * productsOf(width) <= TOGETHER) to += 1;
    parts.push(await crew.ask({ op: "pairs", ...dealing, from, to }, about));
    from = to;
  }
  return momentsOf(linear, parts, { folds, gates, width, outputs, frame });
}

interface MomentsWish {
  readonly gates: number; // P
  readonly inputs: number; // columns of x
  readonly biasColumn: number;
  readonly outputs: number; // C
  readonly folds: number;
  readonly seed: number;
}
