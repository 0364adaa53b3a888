/** A direction well within the region of a sign pattern. */

import { dot, largestOf } from "../linear/vectors.js";
import type { Matrix } from "../types.js";

/** Steps, of which each adds a row that is on its wrong side or nearest to it. */
const STEPS = 2000;
/** Margins, over the length of the direction, at which it is far enough from every row, and at which it is no direction yet. */
const ENOUGH = 1e-3;
const LEAST = 1e-10;

/**
 * The direction g for which the unit rows s_j x_j / |x_j|, s_j the sign that bit j of the pattern wants, have a margin: the point of
 * their hull that is nearest to the origin, by Gilbert's algorithm (1966) with exact line searches. It ends as soon as all margins
 * are above a thousandth of |g|, or are as large as they get. Null where no margin was found that rounding leaves alone.
 */
export function widest({ rows: n, cols: d, data }: Matrix, pattern: Uint32Array): Float64Array | null {
  const units: Float64Array[] = [];
  for (let j = 0; j < n; j++) {
    const row = data.subarray(j * d, (j + 1) * d);
    const largest = largestOf(row);
    if (largest === 0) continue;
    const sign = (pattern[j >>> 5] >>> (j & 31)) & 1 ? 1 : -1;
    const scaled = row.map((value) => (sign * value) / largest);
    const length = Math.sqrt(dot(scaled, scaled));
    units.push(scaled.map((value) => value / length));
  }
  const g = new Float64Array(d);
  if (units.length === 0) return g;
  g.set(units[0]);
  let margin = Number.NEGATIVE_INFINITY; // over the length
  for (let step = 0; step < STEPS; step++) {
    let least = 0;
    const margins = units.map((unit) => dot(unit, g));
    for (let j = 1; j < units.length; j++) if (margins[j] < margins[least]) least = j;
    const square = dot(g, g);
    margin = margins[least] / Math.sqrt(square);
    if (!(square > 0) || margin > ENOUGH || margins[least] >= square * (1 - 1e-9)) break;
    // g + t (u - g), t in [0, 1], nearest to the origin.
    const t = Math.min(1, (square - margins[least]) / (square - 2 * margins[least] + 1));
    for (let p = 0; p < d; p++) g[p] += t * (units[least][p] - g[p]);
  }
  return margin > LEAST ? g : null;
}
