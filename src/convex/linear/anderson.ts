/**
 * Anderson acceleration of x -> x + f(x), type II: the next point is the combination of the last ones whose combined f is
 * shortest (Anderson 1965; Walker and Ni 2011, eq. 2.2), with regularized weights, and without the points that led to a much
 * longer f (as in Zhang, O'Donoghue and Boyd 2020, section 3).
 */

import { smallSolve } from "./smallSolve.js";

/** Differences that are remembered, and the numbers in all of them (128 MB). */
const MEMORY = 10;
const MOST_NUMBERS = 2 ** 24;
/** Added to the diagonal of the Gram matrix of the differences, relative to its trace. */
const SHIFT = 1e-8;
/** An f that is longer than the last by more than this ends the memory. */
const LONGER = 2;

export class Anderson {
  private moves: Float64Array[] = []; // differences of x + f(x)
  private turns: Float64Array[] = []; // of f(x)
  private readonly gram = new Float64Array(MEMORY ** 2); // of the turns
  private readonly products = new Float64Array(MEMORY); // of the turns with the last f
  private count = -1; // differences so far; -1: no point yet
  private size = 0; // |f|^2 at the last point
  private f = new Float64Array(0); // there
  private end = this.f; // x + f(x) there

  /** To be called when f becomes another function. */
  forget(): void {
    this.count = -1;
  }

  /** x := the point after x, f being f(x); `inner` is the product in which f is to be short. */
  move(x: Float64Array, f: Float64Array, inner: (a: Float64Array, b: Float64Array) => number): void {
    const { gram, products } = this;
    const memory = Math.min(MEMORY, Math.floor(MOST_NUMBERS / (2 * x.length)));
    const size = inner(f, f);
    if (!(size <= LONGER ** 2 * this.size)) this.forget();
    this.size = size;
    if (memory === 0) {
      for (let k = 0; k < x.length; k++) x[k] += f[k];
      return;
    }
    if (this.f.length !== x.length) this.makeRoom(x.length);
    const at = this.count++ % memory;
    if (!(at >= 0)) {
      this.f.set(f);
      for (let k = 0; k < x.length; k++) this.end[k] = x[k] += f[k];
      return;
    }
    const { moves, turns } = this;
    moves[at] ??= new Float64Array(x.length);
    turns[at] ??= new Float64Array(x.length);
    this.step(x, f, moves[at], turns[at]);
    const m = Math.min(this.count, memory);
    for (let i = 0; i < m; i++) {
      gram[i * MEMORY + at] = gram[at * MEMORY + i] = inner(turns[i], turns[at]);
      products[i] += gram[at * MEMORY + i];
    }
    products[at] = inner(turns[at], f);
    const A = Float64Array.from({ length: m * m }, (_, k) => gram[Math.floor(k / m) * MEMORY + (k % m)]);
    let trace = 0;
    for (let i = 0; i < m; i++) trace += A[i * m + i];
    for (let i = 0; i < m; i++) A[i * m + i] += SHIFT * trace;
    const shares = products.slice(0, m);
    smallSolve(A, shares, m);
    if (shares.every(Number.isFinite)) combine(x, shares, moves);
  }

  private makeRoom(size: number): void {
    this.moves = [];
    this.turns = [];
    this.f = new Float64Array(size);
    this.end = new Float64Array(size);
  }

  /** x += f; what that and f have moved by since the last point. */
  private step(x: Float64Array, f: Float64Array, move: Float64Array, turn: Float64Array): void {
    const { f: before, end } = this;
    for (let k = 0; k < x.length; k++) {
      const slope = f[k];
      const next = x[k] + slope;
      turn[k] = slope - before[k];
      move[k] = next - end[k];
      before[k] = slope;
      end[k] = x[k] = next;
    }
  }
}

/** x -= sum_i shares_i moves_i, two at a time: x is read and written half as often. */
function combine(x: Float64Array, shares: Float64Array, moves: readonly Float64Array[]): void {
  const m = shares.length;
  for (let i = 0; i < m; i += 2) {
    const last = i + 1 === m;
    const [a, s] = [moves[i], shares[i]];
    const [b, t] = last ? [a, 0] : [moves[i + 1], shares[i + 1]];
    for (let k = 0; k < x.length; k++) x[k] -= s * a[k] + t * b[k];
  }
}
