/** B = L Q with orthonormal rows of Q, by reflections (Householder 1958): few long rows as a small triangle. */

import { atOnce, type Pieces } from "../linear/pieces.js";
import { reflect } from "../linear/vectors.js";

export interface RowFactor {
  readonly lower: Float64Array; // L [r x r]
  /** A row [r] times Q: [w]. */
  timesQ(row: Float64Array): Float64Array;
}

/** Factors B [r x w], w >= r; B is overwritten and kept. Singular values and left singular vectors of L are those of B. */
export function rowFactor(B: Float64Array, r: number, w: number): RowFactor {
  return atOnce(factoringRows(B, r, w));
}

/** The same in pieces; one that is told to end goes on. */
export function* factoringRows(B: Float64Array, r: number, w: number): Pieces<RowFactor> {
  const lower = new Float64Array(r * r);
  // Reflection k is I - v v' with |v|^2 = 2 (or v = 0), v from entry k of row k on.
  for (let k = 0; k < r; k++) {
    const v = B.subarray(k * w + k, (k + 1) * w);
    lower.set(B.subarray(k * w, k * w + k), k * r);
    let square = 0;
    for (const value of v) square += value * value;
    const length = Math.sqrt(square);
    // The sign that does not cancel.
    const pivot = v[0] > 0 ? -length : length;
    lower[k * r + k] = pivot;
    const scale = Math.sqrt(square - pivot * v[0]);
    v[0] -= pivot;
    for (let p = 0; p < v.length; p++) v[p] = scale > 0 ? v[p] / scale : 0;
    for (let i = k + 1; i < r; i++) reflect(B.subarray(i * w + k, (i + 1) * w), v);
    yield;
  }
  return {
    lower,
    timesQ(row) {
      const out = new Float64Array(w);
      out.set(row);
      for (let k = r - 1; k >= 0; k--) reflect(out.subarray(k), B.subarray(k * w + k, (k + 1) * w));
      return out;
    },
  };
}
