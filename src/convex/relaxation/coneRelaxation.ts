/**
 * Upper bounds of max |V u| over the unit vectors u of a polyhedral cone K, V [C x d]: a copositive problem, relaxed.
 *
 * For p and q in the dual cone K* every u in K has (p'u)(q'u) >= 0. So with any weights l_k >= 0
 *   |V u|^2 <= u' (V'V + sum_k l_k (p_k q_k' + q_k p_k') / 2) u <= the largest eigenvalue of that matrix,
 * a bound for each choice of pairs and weights. Over all pairs the best one is the doubly nonnegative relaxation (a positive
 * semidefinite and a nonnegative part make a matrix copositive: Diananda 1962).
 *
 * Pairs are found by need: the best weights of those at hand have a dual, U >= 0 with trace 1, and the relaxation is solved when
 * U maps K* into K. What U q lacks to lie in K is a p in K* with p'U q < 0: the pair to add. The weights follow analytic centres
 * (Goffin, Haurie and Vial 1992). All happens in the span of the rows of V and of the pairs: outside of it the matrix is zero.
 */

import type { Kernels } from "../kernels/types.js";
import { orthogonaliseRows } from "../linear/eigen/index.js";
import { dot, norm } from "../linear/vectors.js";
import { EigenvalueBarrier, type Pair } from "./barrier.js";

/** Directions of U that are tried for pairs in a round. */
const TRIED = 4;
/** Turns of the power iteration that finds them. */
const POWERS = 6;
/** mu of the first round, times the number of barriers; its fall from round to round, once no pair has p'U q below DEEP mu. */
const FIRST_MU = 0.1;
const FALL = 0.3;
const DEEP = -30;
/** Weight of a new pair at most, against |V|^2. */
const HEAVIEST = 0.3;
/** A pair with p'U q above this, in units of mu, changes nothing. */
const IDLE = -1e-4;
/** Rounds, and pairs, after which nothing more is expected. */
const ROUNDS = 30;
const MOST_PAIRS = 150;
/** A unit vector whose part outside the span is shorter lies within. */
const WITHIN = 1e-12;
/** What y lacks counts from this share of y on: below it is made of the rounding of y. */
const MEANT = 1e-6;
/** What rounding may hide of an eigenvalue, relative to the sizes that are summed up: 1e-16 / MEANT, with room. */
const ROUNDING = 1e-9;

/** What y lacks to lie in the cone: Proj_K(y) - y, a vector of K*. */
export type Lack = (y: Float64Array) => Float64Array;

/** Unit vectors p and q of K* [d], and p'U q. */
interface Found {
  readonly p: Float64Array;
  readonly q: Float64Array;
  readonly product: number;
}

/** One cone's bound, which falls from round to round. */
export class ConeRelaxation {
  /** No unit vector u of the cone has a larger |V u|. */
  bound: number;
  private readonly scale: number; // |V|^2, which is 1 in all that follows
  private readonly basis: Float64Array[] = []; // of the span, orthonormal: first the right singular vectors of V
  private readonly squares: number[] = []; // of the singular values
  private readonly pairs: Pair[] = [];
  private weights: Float64Array = new Float64Array(0);
  private t = 1;
  private mu: number;
  private U: Float64Array; // [m x m]
  private tried: Float64Array[]; // in coordinates of the span
  private rounds = 0;

  constructor(
    V: Float64Array, // [C x d]
    outputs: number,
    private readonly d: number,
    private readonly kernels: Kernels,
  ) {
    const rows = V.slice();
    const values = orthogonaliseRows(rows, outputs, d, new Float64Array(outputs * outputs));
    const order = Array.from(values.keys()).sort((a, b) => values[b] - values[a]);
    this.bound = values[order[0]];
    this.scale = this.bound ** 2;
    for (const k of order) {
      if (!(values[k] > WITHIN * this.bound) || this.basis.length === d) continue;
      this.basis.push(rows.slice(k * d, (k + 1) * d).map((value) => value / values[k]));
      this.squares.push(values[k] ** 2 / this.scale);
    }
    const m = this.basis.length;
    this.mu = FIRST_MU / Math.max(1, m);
    this.t += this.mu;
    this.U = new Float64Array(m * m);
    for (let i = 0; i < m; i++) this.U[i * m + i] = this.mu / (this.t - this.squares[i]);
    this.tried = Array.from({ length: Math.min(TRIED, m) }, (_, k) =>
      Float64Array.from({ length: m }, (_, i) => (i === k ? 1 : 0)),
    );
  }

  /** Doubles that it holds. */
  get size(): number {
    return this.basis.length * (this.d + this.basis.length + 2 * this.pairs.length);
  }

  /**
   * A round: adds pairs and moves the weights to the next centre; false when no further one is expected to help. It ends early when
   * the bound is at most `enough`; `tolerance` is how near to the best bound of its pairs it is to come, relative.
   */
  sharpen(lack: Lack, enough: number, tolerance: number): boolean {
    if (this.basis.length === 0 || this.rounds >= ROUNDS || this.pairs.length >= MOST_PAIRS) return false;
    this.rounds += 1;
    const found = this.separate(lack);
    const barriers = this.basis.length + this.pairs.length + found.length;
    const least = (tolerance * this.bound ** 2) / (2 * this.scale * barriers);
    if (found.length === 0 && this.mu <= least) return false;
    const shallow = found.every(({ product }) => product > DEEP * this.mu);
    const next = this.rounds === 1 ? FIRST_MU / barriers : (shallow ? FALL : 1) * this.mu;
    this.mu = Math.max(least, next);
    return this.advance(found, enough);
  }

  /** Pairs p, q of K* with p'U q < 0: from the leading directions of U, or else from the vectors of pairs at hand. */
  private separate(lack: Lack): Found[] {
    this.power();
    const found: Found[] = [];
    for (const coordinates of this.tried) {
      const x = this.combine(coordinates);
      const p = unitLack(lack, x);
      const q = unitLack(
        lack,
        x.map((value) => -value),
      );
      if (p === null || q === null) continue;
      if (this.pairs.length === 0) this.consider(p, q, found);
      else this.pairWith(q, lack, found);
    }
    if (found.length > 0) return found;
    for (const { p, q } of this.pairs) {
      for (const vector of [p, q]) this.pairWith(this.combine(vector), lack, found);
      if (found.length >= TRIED) break;
    }
    return found;
  }

  /** The best p for a q in K*, then the best q for that p. */
  private pairWith(q: Float64Array, lack: Lack, found: Found[]): void {
    const p = unitLack(lack, this.image(q));
    const best = p && unitLack(lack, this.image(p));
    if (p !== null && best !== null) this.consider(p, best, found);
  }

  private consider(p: Float64Array, q: Float64Array, found: Found[]): void {
    const product = dot(p, this.image(q));
    if (product < IDLE * this.mu) found.push({ p, q, product });
  }

  /** Nears the leading eigenvectors of U, from those of the round before. */
  private power(): void {
    const { U } = this;
    const m = this.basis.length;
    for (let turn = 0; turn < POWERS; turn++) {
      const kept: Float64Array[] = [];
      for (const vector of this.tried) {
        const next = vector.map((_, i) => dot(U.subarray(i * m, (i + 1) * m), vector));
        const size = norm(next);
        for (const other of [...kept, ...kept]) {
          const along = dot(next, other);
          for (let i = 0; i < m; i++) next[i] -= along * other[i];
        }
        const length = norm(next);
        if (length > WITHIN * size) kept.push(next.map((value) => value / length));
      }
      this.tried = kept;
    }
  }

  /** Takes new pairs in and goes to the centre of mu. */
  private advance(found: readonly Found[], enough: number): boolean {
    const old = this.pairs.length;
    for (const { p, q } of found) this.pairs.push({ p: this.coordinates(p), q: this.coordinates(q) });
    const m = this.basis.length;
    const weights = padded(this.weights, this.pairs.length);
    found.forEach(({ product }, k) => {
      weights[old + k] = Math.min(HEAVIEST, this.mu / -product);
    });
    const barrier = new EigenvalueBarrier(padded(this.squares, m), this.pairs, this.kernels);
    const start = barrier.admit({ t: this.t, weights }, old);
    const centre = start && barrier.centre(start, this.mu, enough ** 2 / this.scale);
    if (centre === null) return false;
    this.t = centre.t;
    this.weights = centre.weights;
    this.U = centre.dual;
    this.tried = this.tried.map((vector) => padded(vector, m));
    const sizes = this.weights.reduce((sum, weight) => sum + weight, m);
    const square = Math.max(0, this.t) + ROUNDING * sizes;
    this.bound = Math.min(this.bound, Math.sqrt(square * this.scale));
    return true;
  }

  /** The coordinates of a unit vector, the span widened by what lies outside. */
  private coordinates(vector: Float64Array): Float64Array {
    const rest = vector.slice();
    const coordinates = new Float64Array(this.basis.length);
    for (let turn = 0; turn < 2; turn++) {
      this.basis.forEach((row, k) => {
        const along = dot(rest, row);
        coordinates[k] += along;
        for (let p = 0; p < this.d; p++) rest[p] -= along * row[p];
      });
    }
    const length = norm(rest);
    if (!(length > WITHIN) || this.basis.length === this.d) return coordinates;
    this.basis.push(rest.map((value) => value / length));
    return Float64Array.from([...coordinates, length]);
  }

  /** U y of a vector y [d]. */
  private image(y: Float64Array): Float64Array {
    const inside = Float64Array.from(this.basis, (row) => dot(row, y));
    const m = inside.length;
    return this.combine(inside.map((_, i) => dot(this.U.subarray(i * m, (i + 1) * m), inside)));
  }

  /** The vector [d] with these coordinates. */
  private combine(coordinates: Float64Array): Float64Array {
    const sum = new Float64Array(this.d);
    coordinates.forEach((value, k) => {
      const row = this.basis[k];
      for (let p = 0; p < sum.length; p++) sum[p] += value * row[p];
    });
    return sum;
  }
}

/** The direction of what y lacks; null when it lacks nothing. */
function unitLack(lack: Lack, y: Float64Array): Float64Array | null {
  const missing = lack(y);
  const length = norm(missing);
  return length > MEANT * norm(y) ? missing.map((value) => value / length) : null;
}

function padded(vector: ArrayLike<number>, length: number): Float64Array {
  const longer = new Float64Array(length);
  longer.set(vector);
  return longer;
}
