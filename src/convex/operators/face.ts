/**
 * Least squares on the rows of a face: min over lambda of |z0 + X_F' lambda|, by a Cholesky factor of X_F X_F' = L L' that
 * follows the rows as they come and go.
 */

import { dotAt } from "../linear/vectors.js";
import type { Matrix } from "../types.js";

/** A row enters only if its part outside the span of the face is larger than this share of it. */
const INDEPENDENT = 1e-12;
/** When more than this share of the rows from the first leaving one on leaves, a new factor is cheaper than rotations. */
const REBUILT = 0.1;
/** Rotations after which a factor is made anew when it is taken up again: what they round adds up. */
const WORN = 1000;

/** The rows F that hold a projection onto a cone, with the Cholesky factor of X_F X_F' = L L', kept for the next projection. */
export interface KeptFace {
  readonly rows: Int32Array; // [F]
  readonly factor: Float64Array | null; // L by rows of its lower triangle, F (F + 1) / 2; null: too large to keep
  readonly rotations: number; // that the factor has seen
}

/** One face at a time; the work space is made once. */
export class Face {
  size = 0; // F
  readonly rows: Int32Array; // those of the face, in the order in which they came
  readonly lambda: Float64Array; // their multipliers
  readonly target: Float64Array; // the multipliers of the least squares, by `solve`
  readonly member: Uint8Array; // [n]
  readonly norms: Float64Array; // [n]: |x_j|
  private readonly capacity: number;
  private readonly factor: Float64Array; // L by rows of its lower triangle
  private readonly forward: Float64Array; // L^-1 (-X_F z0)
  private z0: Float64Array = new Float64Array(0);
  private rotations = 0;

  constructor(
    private readonly X: Matrix,
    private readonly gram: Float64Array | null, // X X' [n x n] where it is at hand; else products are made anew
  ) {
    const { rows: n, cols: d, data } = X;
    this.capacity = Math.min(n, d);
    this.rows = new Int32Array(this.capacity);
    this.lambda = new Float64Array(this.capacity);
    this.target = new Float64Array(this.capacity);
    this.forward = new Float64Array(this.capacity);
    this.factor = new Float64Array(triangle(this.capacity));
    this.member = new Uint8Array(n);
    this.norms = new Float64Array(n);
    for (let j = 0; j < n; j++) this.norms[j] = Math.sqrt(dotAt(data, j * d, data, j * d, d));
  }

  /** Begins with z0 [d], which must stay as it is, on the rows of a face that was kept. */
  begin(z0: Float64Array, kept: KeptFace | undefined): void {
    this.clear();
    this.z0 = z0;
    this.rotations = 0;
    if (kept === undefined) return;
    if (kept.factor === null || kept.rotations > WORN) {
      for (const row of kept.rows) this.append(row);
      return;
    }
    this.rotations = kept.rotations;
    this.size = kept.rows.length;
    this.rows.set(kept.rows);
    this.factor.set(kept.factor);
    this.lambda.fill(0, 0, this.size);
    for (let k = 0; k < this.size; k++) {
      this.member[this.rows[k]] = 1;
      this.advance(k);
    }
  }

  /** The face as it is; its factor too where it has at most `room` entries. */
  keep(room: number): KeptFace {
    const { size, rotations } = this;
    const entries = triangle(size);
    const factor = entries <= room ? this.factor.slice(0, entries) : null;
    return { rows: this.rows.slice(0, size), factor, rotations };
  }

  /** Leaves no row in the face. */
  clear(): void {
    for (let k = 0; k < this.size; k++) this.member[this.rows[k]] = 0;
    this.size = 0;
  }

  /** Adds a row, its multiplier zero; false when it depends on the rows of the face. */
  append(row: number): boolean {
    const { size, factor, rows, gram } = this;
    if (size === this.capacity) return false;
    const { rows: n, cols: d, data } = this.X;
    const at = triangle(size);
    const square = this.norms[row] ** 2;
    let rest = square;
    for (let k = 0; k < size; k++) {
      const above = triangle(k);
      const product = gram === null ? dotAt(data, row * d, data, rows[k] * d, d) : gram[row * n + rows[k]];
      const value = (product - dotAt(factor, at, factor, above, k)) / factor[above + k];
      factor[at + k] = value;
      rest -= value * value;
    }
    if (!(rest > INDEPENDENT * square)) return false;
    factor[at + size] = Math.sqrt(rest);
    rows[size] = row;
    this.lambda[size] = 0;
    this.member[row] = 1;
    this.size++;
    this.advance(size);
    return true;
  }

  /** target := (X_F X_F')^-1 (-X_F z0). */
  solve(): void {
    const { factor, target, forward, size } = this;
    for (let k = 0; k < size; k++) target[k] = forward[k];
    for (let k = size - 1; k >= 0; k--) {
      const at = triangle(k);
      const value = target[k] / factor[at + k];
      target[k] = value;
      for (let i = 0; i < k; i++) target[i] -= value * factor[at + i];
    }
  }

  /** Drops places (increasing) of the face, one by one from the factor, or many by a new one. */
  remove(places: readonly number[]): void {
    if (places.length > REBUILT * (this.size - places[0])) this.rebuildWithout(places);
    else for (let k = places.length - 1; k >= 0; k--) this.rotateOut(places[k]);
  }

  /** z := z0 + X_F' lambda. */
  apply(z: Float64Array): void {
    const { cols: d, data } = this.X;
    z.set(this.z0);
    for (let k = 0; k < this.size; k++) {
      const from = this.rows[k] * d;
      const value = this.lambda[k];
      for (let p = 0; p < d; p++) z[p] += value * data[from + p];
    }
  }

  /** Entry k of L^-1 (-X_F z0) from those before it. */
  private advance(k: number): void {
    const { cols: d, data } = this.X;
    const at = triangle(k);
    const along = dotAt(data, this.rows[k] * d, this.z0, 0, d);
    this.forward[k] = -(along + dotAt(this.factor, at, this.forward, 0, k)) / this.factor[at + k];
  }

  /** Makes the factor anew from the first place that leaves. */
  private rebuildWithout(places: readonly number[]): void {
    const { rows, lambda } = this;
    const last = this.size;
    const first = places[0];
    for (let k = first; k < last; k++) this.member[rows[k]] = 0;
    this.size = first;
    for (let k = first, next = 0; k < last; k++) {
      if (k === places[next]) {
        next++;
        continue;
      }
      const multiplier = lambda[k]; // `append` writes to places before k
      if (this.append(rows[k])) lambda[this.size - 1] = multiplier;
    }
  }

  /** Drops one place; rotations make the factor triangular again (Golub and Van Loan 2013, section 6.5.3). */
  private rotateOut(place: number): void {
    const { factor, forward, rows, lambda } = this;
    this.member[rows[place]] = 0;
    const size = this.size - 1;
    this.size = size;
    this.rotations += size - place;
    rows.copyWithin(place, place + 1, size + 1);
    lambda.copyWithin(place, place + 1, size + 1);
    // The rows below move up by one; each is one entry too long until the rotations have passed it.
    for (let k = place; k < size; k++) {
      const at = triangle(k + 1);
      const a = factor[at + k];
      const b = factor[at + k + 1];
      const length = Math.sqrt(a * a + b * b);
      const c = a / length;
      const s = b / length;
      factor[at + k] = length;
      for (let i = k + 2, below = triangle(i); i <= size; i++, below += i) {
        const left = factor[below + k];
        const right = factor[below + k + 1];
        factor[below + k] = c * left + s * right;
        factor[below + k + 1] = c * right - s * left;
      }
      const left = forward[k];
      forward[k] = c * left + s * forward[k + 1];
      forward[k + 1] = c * forward[k + 1] - s * left;
      factor.copyWithin(triangle(k), at, at + k + 1);
    }
  }
}

/** Entries of a lower triangle with k rows. */
function triangle(k: number): number {
  return (k * (k + 1)) / 2;
}
