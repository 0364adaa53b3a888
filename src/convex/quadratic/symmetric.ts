/** Quasi-definite systems [P A'; A -W] (Vanderbei 1995): L D L' in any order, and refinement against the matrix as given. */

import { choleskyInPlace } from "../linear/cholesky.js";
import { largestOf } from "../linear/vectors.js";

/** Of the entries of P, per row: what they may have lost where they were made, in float64 and in float32. */
const ROUNDED = [1e-13, 1e-9, 1e-8, 1e-7, 1e-6];
/** Of the largest entry, added to the diagonal with its sign where a pivot would vanish. */
const REGULAR = 1e-11;
const REFINEMENTS = 6;
/** Of a row's terms: what refinement leaves when it is done. */
const REFINED = 1e-15;

export class Factored {
  private readonly L: Float64Array; // [size x size], below the diagonal
  private readonly D: Float64Array;

  /** M [size x size] symmetric, its first `positive` pivots to be above zero and the others below. */
  constructor(
    private readonly M: Float64Array,
    private readonly size: number,
    positive: number,
  ) {
    const largest = largestOf(M) || 1;
    const added = REGULAR * Math.min(1, largest);
    const L = M.slice();
    const D = new Float64Array(size);
    const scaled = new Float64Array(size);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < i; j++) {
        let sum = L[i * size + j];
        for (let k = 0; k < j; k++) sum -= scaled[k] * L[j * size + k];
        scaled[j] = sum; // L_ij D_j
      }
      const sign = i < positive ? 1 : -1;
      let pivot = L[i * size + i] + sign * added;
      for (let j = 0; j < i; j++) {
        L[i * size + j] = scaled[j] / D[j];
        pivot -= scaled[j] * L[i * size + j];
      }
      D[i] = sign * pivot > added ? pivot : sign * added;
    }
    [this.L, this.D] = [L, D];
  }

  solve(right: Float64Array): Float64Array {
    const x = this.once(right);
    let before = Number.POSITIVE_INFINITY;
    for (let turn = 0; turn < REFINEMENTS; turn++) {
      const { rest, share } = this.residual(right, x);
      if (!(share > REFINED && share < before)) break;
      before = share;
      const more = this.once(rest);
      for (let k = 0; k < x.length; k++) x[k] += more[k];
    }
    return x;
  }

  /** right - M x, and its largest share of the terms of its own row. */
  private residual(right: Float64Array, x: Float64Array) {
    const { M, size } = this;
    let share = 0;
    const rest = right.map((value, i) => {
      let [sum, terms] = [value, Math.abs(value)];
      for (let j = 0; j < size; j++) {
        const term = M[i * size + j] * x[j];
        sum -= term;
        terms += Math.abs(term);
      }
      if (terms > 0) share = Math.max(share, Math.abs(sum) / terms);
      return sum;
    });
    return { rest, share };
  }

  private once(right: Float64Array): Float64Array {
    const { L, D, size } = this;
    const x = right.slice();
    for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) x[i] -= L[i * size + j] * x[j];
    for (let i = 0; i < size; i++) x[i] /= D[i];
    for (let i = size - 1; i >= 0; i--) for (let j = 0; j < i; j++) x[j] -= L[i * size + j] * x[i];
    return x;
  }
}

/**
 * A symmetric P [n x n], with as much on its diagonal as makes it positive semidefinite where it is that up to what float32 may have rounded
 * off its entries; null where it is not.
 */
export function semidefinite(P: Float64Array, n: number): Float64Array | null {
  const sizes = Float64Array.from({ length: n }, (_, j) => largestOf(P.subarray(j * n, (j + 1) * n)) || 1);
  for (const share of ROUNDED) {
    const more = P.slice();
    for (let j = 0; j < n; j++) more[j * n + j] += share * n * sizes[j];
    const H = more.map((value, e) => value / Math.sqrt(sizes[e % n]) / Math.sqrt(sizes[Math.floor(e / n)]));
    if (choleskyInPlace(H, n)) return share === ROUNDED[0] ? P : more;
  }
  return null;
}
