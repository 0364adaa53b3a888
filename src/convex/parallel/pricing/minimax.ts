/**
 * min over 0 <= v <= upper of max_j |r_j(v)|, r = g + A v in pieces of d rows: a small cone program, by a barrier method.
 *
 * Every v bounds the minimum from above. Along the central path of weight mu the vectors z_j = 2 mu r_j / (t^2 - |r_j|^2) are what
 * proves it from below: their lengths sum to 1 and A'z is mu over the slack of v.
 */

import { choleskyInPlace, choleskySolve } from "../../linear/cholesky.js";
import { log } from "../../linear/elementary.js";
import { dot, dotAt } from "../../linear/vectors.js";
import type { Columns } from "./boundedLeastSquares.js";

const SHRINK = 0.05;
const NEAR = 1e-6;
const NEWTON_STEPS = 60;
const BACKTRACKS = 50;
const INSIDE = 0.95;
/** Where v begins: this share of what makes r as long as g. */
const BEGIN = 1e-2;
const ABOVE = 1.1;

export interface Minimax {
  readonly v: Float64Array;
  readonly z: Float64Array; // [m d]
}

/** Points along the central path, the last within `gap` of the minimum, relatively, unless numbers end before. */
export function minimax(columns: Columns, g: Float64Array, upper: Float64Array, d: number, gap: number): Minimax[] {
  const barrier = new Barrier(columns, g, upper, d);
  const terms = 2 * (g.length / d) + upper.length + upper.filter(Number.isFinite).length;
  const path: Minimax[] = [];
  for (let mu = barrier.t / terms; ; mu *= SHRINK) {
    const centered = barrier.center(mu);
    path.push({ v: barrier.v.slice(), z: barrier.dual(mu) });
    if (!centered || mu * terms <= gap * barrier.t) return path;
  }
}

class Barrier {
  v: Float64Array;
  t: number;
  private readonly count: number;
  private readonly A: Float64Array; // [rows x count]

  constructor(
    columns: Columns,
    private readonly g: Float64Array,
    private readonly upper: Float64Array,
    private readonly d: number,
  ) {
    this.count = upper.length;
    this.A = dense(columns, this.count);
    const sizes = Float64Array.from({ length: this.count }, (_, i) => {
      let square = 0;
      for (let p = 0; p < g.length; p++) square += this.A[p * this.count + i] ** 2;
      return Math.sqrt(square);
    });
    const length = Math.sqrt(dot(g, g));
    this.v = upper.map((most, i) => Math.min(most / 2, (BEGIN * length) / (sizes[i] > 0 ? sizes[i] : 1)));
    this.t = ABOVE * this.longest(this.rest(this.v));
  }

  dual(mu: number): Float64Array {
    const r = this.rest(this.v);
    const z = new Float64Array(r.length);
    for (let at = 0; at < r.length; at += this.d) {
      const room = this.t ** 2 - dotAt(r, at, r, at, this.d);
      for (let p = at; p < at + this.d; p++) z[p] = (2 * mu * r[p]) / room;
    }
    return z;
  }

  /** Newton to the central path; false where rounding ends it. */
  center(mu: number): boolean {
    const { count, d, A, g, upper } = this;
    const size = count + 1;
    let value = this.value(this.v, this.t, mu);
    for (let step = 0; step < NEWTON_STEPS; step++) {
      if (!Number.isFinite(value)) return false;
      const r = this.rest(this.v);
      const gradient = new Float64Array(size);
      const H = new Float64Array(size * size);
      gradient[count] = 1 / mu;
      for (let at = 0; at < g.length; at += d) {
        const room = this.t ** 2 - dotAt(r, at, r, at, d);
        const pulled = new Float64Array(size); // A_j'r_j, and -t
        for (let i = 0; i < count; i++) for (let p = at; p < at + d; p++) pulled[i] += A[p * count + i] * r[p];
        pulled[count] = -this.t;
        for (let i = 0; i < size; i++) {
          gradient[i] += (2 * pulled[i]) / room;
          for (let k = 0; k <= i; k++) H[i * size + k] += (4 * pulled[i] * pulled[k]) / room ** 2;
        }
        for (let p = at; p < at + d; p++) {
          for (let i = 0; i < count; i++) {
            const factor = (2 * A[p * count + i]) / room;
            if (factor === 0) continue;
            for (let k = 0; k <= i; k++) H[i * size + k] += factor * A[p * count + k];
          }
        }
        H[count * size + count] -= 2 / room;
      }
      for (let i = 0; i < count; i++) {
        gradient[i] -= 1 / this.v[i];
        H[i * size + i] += 1 / this.v[i] ** 2;
        if (!Number.isFinite(upper[i])) continue;
        gradient[i] += 1 / (upper[i] - this.v[i]);
        H[i * size + i] += 1 / (upper[i] - this.v[i]) ** 2;
      }
      if (!choleskyInPlace(H, size)) return false;
      const move = gradient.map((entry) => -entry);
      choleskySolve(H, size, move);
      const slope = dot(move, gradient);
      if (!(slope < 0)) return slope === 0;
      if (-slope <= NEAR) return true;
      let share = Math.min(1, INSIDE * this.reach(move));
      let moved = false;
      for (let k = 0; k < BACKTRACKS; k++, share /= 2) {
        const v = this.v.map((entry, i) => entry + share * move[i]);
        const t = this.t + share * move[count];
        const next = this.value(v, t, mu);
        if (!(next <= value + 0.1 * share * slope)) continue;
        moved = next < value;
        this.v = v;
        this.t = t;
        value = next;
        break;
      }
      if (!moved) return false;
    }
    return true;
  }

  private value(v: Float64Array, t: number, mu: number): number {
    const r = this.rest(v);
    let value = t / mu;
    if (!(t > 0)) return Number.NaN;
    for (let at = 0; at < r.length; at += this.d) value -= log(t ** 2 - dotAt(r, at, r, at, this.d));
    for (let i = 0; i < v.length; i++) {
      value -= log(v[i]);
      if (Number.isFinite(this.upper[i])) value -= log(this.upper[i] - v[i]);
    }
    return value;
  }

  private rest(v: Float64Array): Float64Array {
    return this.g.map((entry, p) => entry + dotAt(this.A, p * this.count, v, 0, this.count));
  }

  private longest(r: Float64Array): number {
    let most = Number.MIN_VALUE;
    for (let at = 0; at < r.length; at += this.d) most = Math.max(most, Math.sqrt(dotAt(r, at, r, at, this.d)));
    return most;
  }

  private reach(move: Float64Array): number {
    let reach = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.count; i++) {
      const room = move[i] < 0 ? this.v[i] : this.upper[i] - this.v[i];
      if (move[i] !== 0) reach = Math.min(reach, room / Math.abs(move[i]));
    }
    return reach;
  }
}

function dense({ rows, at, length, data }: Columns, count: number): Float64Array {
  const A = new Float64Array(rows * count);
  let from = 0;
  for (let i = 0; i < count; i++) {
    for (let p = 0; p < length[i]; p++) A[(at[i] + p) * count + i] = data[from + p];
    from += length[i];
  }
  return A;
}
