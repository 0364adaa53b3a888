/**
 * The inverse Hessian's approximation by the last few pairs of steps and changes of the gradient (Nocedal 1980).
 *
 * Pairs are kept in float32, which changes them by less than a curved function does: at many variables the time goes into
 * reading them. For the same reason every loop does what two neighbours of the recursion want, and is a function of its own: V8 does
 * not keep its code for long functions with loops.
 */

import { multipleInto, norm, sumInto } from "./vectors.js";

const MEMORY = 10;
/** Pairs whose curvature is below this share of |y|^2 would spoil the metric. */
const FLAT = 1e-12;

/** The diagonal of an inverse Hessian, up to a factor, or what it is at x. */
export type Scales = Float64Array | ((x: Float64Array) => Float64Array);

export class PairMetric {
  private readonly moves: Float32Array[] = [];
  private readonly turns: Float32Array[] = [];
  private readonly curvatures: number[] = []; // move' turn

  constructor(
    private readonly size: number,
    private readonly scalesAt: Scales,
  ) {}

  get empty(): boolean {
    return this.moves.length === 0;
  }

  forget(): void {
    this.moves.length = 0;
    this.turns.length = 0;
    this.curvatures.length = 0;
  }

  learn(from: Float64Array, to: Float64Array, before: Float64Array, after: Float64Array): void {
    const full = this.moves.length === MEMORY;
    const move = (full ? this.moves.shift() : undefined) ?? new Float32Array(this.size);
    const turn = (full ? this.turns.shift() : undefined) ?? new Float32Array(this.size);
    if (full) this.curvatures.shift();
    sumInto(to, -1, from, move);
    sumInto(after, -1, before, turn);
    const curvature = product(move, turn);
    if (!(curvature > FLAT * product(turn, turn))) return;
    this.moves.push(move);
    this.turns.push(turn);
    this.curvatures.push(curvature);
  }

  /** Minus the metric at x times the gradient, by the two-loop recursion. */
  direction(gradient: Float64Array, x: Float64Array): Float64Array {
    const { moves, turns, curvatures } = this;
    const scales = typeof this.scalesAt === "function" ? this.scalesAt(x) : this.scalesAt;
    const q = new Float64Array(this.size);
    multipleInto(-1, gradient, q);
    const last = moves.length - 1;
    if (last < 0) {
      // A step of length one: nothing is known of the scale yet.
      scaleInto(1, scales, q);
      multipleInto(1 / Math.max(norm(q), Number.MIN_VALUE), q, q);
      return q;
    }
    const shares = new Float64Array(last + 1);
    shares[last] = product(moves[last], q) / curvatures[last];
    for (let k = last; k > 0; k--)
      shares[k - 1] = addAndMultiply(-shares[k], turns[k], q, moves[k - 1]) / curvatures[k - 1];
    addMultiple(-shares[0], turns[0], q);
    scaleInto(curvatures[last] / scaledSquare(scales, turns[last]), scales, q);
    let share = product(turns[0], q);
    for (let k = 0; k < last; k++) share = addAndMultiply(shares[k] - share / curvatures[k], moves[k], q, turns[k + 1]);
    addMultiple(shares[last] - share / curvatures[last], moves[last], q);
    return q;
  }
}

/** a'b. */
function product(a: Float32Array, b: Float32Array | Float64Array): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let p = 0;
  for (; p + 3 < a.length; p += 4) {
    s0 += a[p] * b[p];
    s1 += a[p + 1] * b[p + 1];
    s2 += a[p + 2] * b[p + 2];
    s3 += a[p + 3] * b[p + 3];
  }
  for (; p < a.length; p++) s0 += a[p] * b[p];
  return s0 + s1 + (s2 + s3);
}

/** q += factor a. */
function addMultiple(factor: number, a: Float32Array, q: Float64Array): void {
  for (let p = 0; p < q.length; p++) q[p] += factor * a[p];
}

/** q += factor a; then b'q. */
function addAndMultiply(factor: number, a: Float32Array, q: Float64Array, b: Float32Array): number {
  let s0 = 0;
  let s1 = 0;
  let p = 0;
  for (; p + 1 < q.length; p += 2) {
    const first = q[p] + factor * a[p];
    const second = q[p + 1] + factor * a[p + 1];
    q[p] = first;
    q[p + 1] = second;
    s0 += b[p] * first;
    s1 += b[p + 1] * second;
  }
  if (p < q.length) {
    q[p] += factor * a[p];
    s0 += b[p] * q[p];
  }
  return s0 + s1;
}

/** q := factor scales q, entry by entry. */
function scaleInto(factor: number, scales: Float64Array, q: Float64Array): void {
  for (let p = 0; p < q.length; p++) q[p] *= factor * scales[p];
}

/** sum_p scales_p a_p^2. */
function scaledSquare(scales: Float64Array, a: Float32Array): number {
  let s0 = 0;
  let s1 = 0;
  let p = 0;
  for (; p + 1 < a.length; p += 2) {
    s0 += scales[p] * a[p] * a[p];
    s1 += scales[p + 1] * a[p + 1] * a[p + 1];
  }
  if (p < a.length) s0 += scales[p] * a[p] * a[p];
  return s0 + s1;
}
