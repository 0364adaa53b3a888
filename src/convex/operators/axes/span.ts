/**
 * The span of the rows of X without its singular vectors, by products: blocks of rows enter an orthonormal basis, those with the longest
 * remainders first, and leave the remainders of all others (Gram and Schmidt's method in blocks, each twice, since what is taken off is
 * rounded: Daniel, Gragg, Kaufman and Stewart 1976).
 */

import type { Kernels } from "../../kernels/types.js";
import type { Pieces } from "../../linear/pieces.js";
import { dotAt, lengthsOfRows, norm, turned } from "../../linear/vectors.js";
import type { Matrix } from "../../types.js";
import { PIECE, type RowSpace } from "./rowSpace.js";
import { subtract, takeOff } from "./takeOff.js";

/** Rows of a block. */
const ROWS = { least: 8, most: 32 };
/**
 * An axis has the rounding of its row, over its remainder, and gives it to all rows by what they have along it: a row whose remainder is
 * below this share of the longest waits for a later block, when others have no more along it than it has.
 */
const SHARE = 1 / 8;

/**
 * Remainders below `rounding` of the Frobenius norm of X are left out. `largest` and `tail` are Frobenius norms, of X and of what is left
 * out. Null where it is told to end before.
 */
export function* findingSpan(X: Matrix, rounding: number, kernels: Kernels): Pieces<RowSpace | null> {
  const { rows: n, cols: d } = X;
  const most = Math.min(n, d);
  const rest = X.data.slice();
  const lengths = lengthsOfRows(rest, d);
  const largest = norm(lengths);
  const basis = new Float64Array(most * d); // an axis a row
  const taken = new Float64Array(n * d);
  const asked = new Uint8Array(n);
  const height = Math.max(ROWS.least, Math.min(ROWS.most, Math.floor(PIECE / (n * d))));
  let found = 0;
  for (;;) {
    const chosen = longest(lengths, asked, rounding * largest).slice(0, Math.min(height, most - found));
    if (chosen.length === 0) break;
    const { axes, of } = yield* newAxes(rest, chosen, d, basis.subarray(0, found * d), rounding * largest, kernels);
    for (const k of of) asked[k] = 1;
    basis.set(axes, found * d);
    const count = axes.length / d;
    found += count;
    if (found === most) break;
    if (yield) return null;
    const along = new Float64Array(n * count);
    kernels.multiplyTransposed(rest, axes, along, n, d, count);
    kernels.multiply(along, axes, taken, n, count, d);
    if (yield) return null;
    subtract(rest, taken);
    lengths.set(lengthsOfRows(rest, d));
    if (yield) return null;
  }
  const axes = { rows: found, cols: d, data: basis.subarray(0, found * d) };
  return { basis: turned(axes), mean: null, largest, tail: found === most ? 0 : norm(lengths), share: null };
}

/** The rows that were not asked and are longer than `least`, the longest first. */
function longest(lengths: Float64Array, asked: Uint8Array, least: number): number[] {
  const rows = Array.from(lengths.keys()).filter((k) => asked[k] === 0 && lengths[k] > least);
  return rows.sort((a, b) => lengths[b] - lengths[a]);
}

/** What these rows add to a basis [k x d], unit vectors, orthogonal to it and to one another, and the rows `of` which nothing is left. */
function* newAxes(
  rest: Float64Array,
  chosen: readonly number[],
  d: number,
  basis: Float64Array,
  least: number,
  kernels: Kernels,
): Pieces<{ readonly axes: Float64Array; readonly of: readonly number[] }> {
  const rows = new Float64Array(chosen.length * d);
  chosen.forEach((k, to) => {
    rows.set(rest.subarray(k * d, (k + 1) * d), to * d);
  });
  // What a row keeps may be far shorter than it was, with a rounding that is large beside it: the second turn takes that off.
  takeOff(rows, basis, d, kernels);
  const longest = lengthsOfRows(rows, d).reduce((a, b) => Math.max(a, b), 0);
  const shortest = Math.max(least, SHARE * longest);
  const order = apart(rows, d, shortest);
  yield;
  const axes = rows.slice(0, order.length * d);
  takeOff(axes, basis, d, kernels);
  apart(axes, d, 0);
  yield;
  return { axes, of: shortest === least ? chosen : order.map((place) => chosen[place]) };
}

/**
 * Makes the first rows orthogonal and of length 1, the longest remainder first, while it is longer than `least`; the places where these
 * rows were.
 */
function apart(rows: Float64Array, d: number, least: number): number[] {
  const lengths = lengthsOfRows(rows, d);
  const order = Array.from(lengths.keys());
  for (let kept = 0; kept < order.length; kept++) {
    let first = kept;
    for (let k = kept; k < order.length; k++) if (lengths[k] > lengths[first]) first = k;
    if (!(lengths[first] > least)) return order.slice(0, kept);
    const at = kept * d;
    if (first !== kept) {
      const longest = rows.slice(first * d, (first + 1) * d);
      rows.copyWithin(first * d, at, at + d);
      rows.set(longest, at);
      [order[kept], order[first]] = [order[first], order[kept]];
      [lengths[kept], lengths[first]] = [lengths[first], lengths[kept]];
    }
    for (let p = 0; p < d; p++) rows[at + p] /= lengths[kept];
    for (let k = kept + 1; k < order.length; k++) {
      const other = k * d;
      const along = dotAt(rows, at, rows, other, d);
      for (let p = 0; p < d; p++) rows[other + p] -= along * rows[at + p];
      lengths[k] = Math.sqrt(dotAt(rows, other, rows, other, d));
    }
  }
  return order;
}
