/**
 * The span of the rows of X without its singular vectors, by products: blocks of rows enter an orthonormal basis, those with the longest
 * remainders first, and leave the remainders of all others (Gram and Schmidt's method in blocks, each twice, since what is taken off is
 * rounded: Daniel, Gragg, Kaufman and Stewart 1976).
 */

import type { Kernels } from "../../kernels/types.js";
import type { Pieces } from "../../linear/pieces.js";
import { dotAt, norm, turned } from "../../linear/vectors.js";
import type { Matrix } from "../../types.js";
import type { RowSpace } from "./rowSpace.js";

/** Rows of a block, and multiplications of a piece that keep it to some 10 ms. */
const ROWS = { least: 8, most: 32 };
const PIECE = 2 ** 25;

/**
 * Remainders below `rounding` of the Frobenius norm of X are left out. `largest` and `tail` are Frobenius norms, of X and of what is left
 * out. Null where it is told to end before.
 */
export function* findingSpan(X: Matrix, rounding: number, kernels: Kernels): Pieces<RowSpace | null> {
  const { rows: n, cols: d } = X;
  const most = Math.min(n, d);
  const rest = X.data.slice();
  const lengths = lengthsOf(rest, d);
  const largest = norm(lengths);
  const basis = new Float64Array(most * d); // an axis a row
  const taken = new Float64Array(n * d);
  const asked = new Uint8Array(n);
  const height = Math.max(ROWS.least, Math.min(ROWS.most, Math.floor(PIECE / (n * d))));
  let found = 0;
  for (;;) {
    const chosen = longest(lengths, asked, rounding * largest).slice(0, Math.min(height, most - found));
    if (chosen.length === 0) break;
    const axes = yield* newAxes(rest, chosen, d, basis.subarray(0, found * d), rounding * largest, kernels);
    for (const k of chosen) asked[k] = 1;
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
    lengths.set(lengthsOf(rest, d));
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

/** What these rows add to a basis [k x d]: unit vectors, orthogonal to it and to one another. */
function* newAxes(
  rest: Float64Array,
  chosen: readonly number[],
  d: number,
  basis: Float64Array,
  least: number,
  kernels: Kernels,
): Pieces<Float64Array> {
  let rows = new Float64Array(chosen.length * d);
  chosen.forEach((k, to) => {
    rows.set(rest.subarray(k * d, (k + 1) * d), to * d);
  });
  // What a row keeps may be far shorter than it was, with a rounding that is large beside it: the second turn takes that off.
  for (const shortest of [least, 0]) {
    const count = rows.length / d;
    const k = basis.length / d;
    if (count > 0 && k > 0) {
      const along = new Float64Array(count * k);
      const inside = new Float64Array(count * d);
      kernels.multiplyTransposed(rows, basis, along, count, d, k);
      kernels.multiply(along, basis, inside, count, k, d);
      subtract(rows, inside);
    }
    rows = apart(rows, d, shortest);
    yield;
  }
  return rows;
}

/** Rows [count x d] made orthogonal to those before them, each of length 1; those that are then shorter than `least` are left out. */
function apart(rows: Float64Array, d: number, least: number): Float64Array<ArrayBuffer> {
  let kept = 0;
  for (let from = 0; from < rows.length; from += d) {
    const at = kept * d;
    if (at < from) rows.copyWithin(at, from, from + d);
    for (let other = 0; other < at; other += d) {
      const along = dotAt(rows, at, rows, other, d);
      for (let p = 0; p < d; p++) rows[at + p] -= along * rows[other + p];
    }
    const length = norm(rows.subarray(at, at + d));
    if (!(length > least)) continue;
    for (let p = 0; p < d; p++) rows[at + p] /= length;
    kept++;
  }
  return rows.slice(0, kept * d);
}

function lengthsOf(rows: Float64Array, d: number): Float64Array {
  return Float64Array.from({ length: rows.length / d }, (_, k) => Math.sqrt(dotAt(rows, k * d, rows, k * d, d)));
}

function subtract(from: Float64Array, what: Float64Array): void {
  for (let k = 0; k < what.length; k++) from[k] -= what[k];
}
