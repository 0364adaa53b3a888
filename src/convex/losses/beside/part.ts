/**
 * The best coefficients of a linear part at given outputs of the network, by Newton steps from where they were last asked for: for
 * squares one product with F and one back.
 */

import { dot, largestOf, norm } from "../../linear/vectors.js";
import type { LinearColumns, LinearPart, Loss, Matrix } from "../../types.js";
import { PartNewton } from "./newton.js";

const NEWTON_STEPS = 100;
const HALVINGS = 40;
/** The gradient in c is zero at this share of the lengths of N and the columns of F: what is left is rounding. */
const STATIONARY = 1e-13;
/** The same of a gradient from which the rest may be taken off. */
const NEARLY = 3e-12;
/** Roundings of outputs that a slope may have, and entries of a dual point, in units of the curvature, that any domain has around zero. */
const ROUNDINGS = 64;
const INSIDE = 1e-3;
/** Of the loss at zero: less is none. */
const NOTHING = 1e-20;
/** Of all slopes: an output that has no more has none. */
const LEFT = 1e-10;
/** Of a value, relative. */
const ROUNDING = 1e-13;
/** A free column that a dual point sees by more than this share of both lengths is not balanced: the bound is none. */
const UNBALANCED = 1e-12;

/** L(Z + F c) + sum_p ridge_p |c_p|^2 at a c. */
interface Point {
  readonly c: Float64Array; // [k x C]
  readonly W: Float64Array; // Z + F c
  readonly N: Float64Array; // L'(W)
  readonly value: number;
  readonly slope: Float64Array; // F'N + 2 ridge c
}

/** Where M was last asked for. */
interface Found extends Point {
  readonly Z: Float64Array;
}

/** Lower, or, where values differ by rounding only, flatter. */
function isBetter(next: Point, before: Point): boolean {
  const room = ROUNDING * Math.abs(before.value);
  if (next.value < before.value - room) return true;
  return next.value <= before.value + room && dot(next.slope, next.slope) < dot(before.slope, before.slope);
}

export class Part implements LinearPart {
  readonly F: Matrix;
  readonly gram: Float64Array;
  readonly ridge: Float64Array;
  readonly maps: LinearColumns["maps"];
  private readonly columns: number; // k
  private readonly C: number;
  private readonly lengths: Float64Array; // [k]: of the columns of F
  private found: Found | null = null;
  private readonly newton: PartNewton;
  private zero: number | null = null; // the loss at zero

  constructor(
    readonly loss: Loss,
    { F, gram, ridge, maps }: LinearColumns,
  ) {
    this.F = F;
    this.gram = gram;
    this.ridge = ridge;
    this.maps = maps;
    this.columns = F.cols;
    this.C = loss.outputs;
    this.lengths = new Float64Array(F.cols);
    for (let k = 0; k < F.data.length; k++) this.lengths[k % F.cols] += F.data[k] ** 2;
    for (let p = 0; p < F.cols; p++) this.lengths[p] = Math.sqrt(this.lengths[p]);
    this.newton = new PartNewton(this);
  }

  best(Z: Float64Array): Float64Array {
    return this.at(Z).c.slice();
  }

  add(c: Float64Array, Z: Float64Array): void {
    const { F, C } = this;
    const { rows: n, cols: k, data } = F;
    for (let j = 0; j < n; j++) {
      for (let o = 0; o < C; o++) {
        let sum = 0;
        for (let p = 0; p < k; p++) sum += data[j * k + p] * c[p * C + o];
        Z[j * C + o] += sum;
      }
    }
  }

  pull(N: Float64Array): Float64Array {
    const { F, C } = this;
    const { rows: n, cols: k, data } = F;
    const sums = new Float64Array(k * C);
    for (let j = 0; j < n; j++) {
      for (let o = 0; o < C; o++) {
        const value = N[j * C + o];
        if (value !== 0) for (let p = 0; p < k; p++) sums[p * C + o] += data[j * k + p] * value;
      }
    }
    return sums;
  }

  /** sum_p |F_p'N|^2 / (4 ridge_p); infinity where a free column sees N. */
  charge(N: Float64Array): number {
    const { C, ridge, lengths } = this;
    const seen = this.pull(N);
    const size = norm(N);
    let sum = 0;
    for (let at = 0; at < seen.length; at++) {
      const p = Math.floor(at / C);
      if (ridge[p] > 0) sum += seen[at] ** 2 / (4 * ridge[p]);
      else if (Math.abs(seen[at]) > UNBALANCED * lengths[p] * size) return Number.POSITIVE_INFINITY;
    }
    return sum;
  }

  /** N less its part in the span of the free columns. */
  private balance(N: Float64Array): void {
    const { ridge, lengths, C } = this;
    const seen = this.pull(N);
    for (let at = 0; at < seen.length; at++) {
      const p = Math.floor(at / C);
      seen[at] *= ridge[p] > 0 ? 0 : -1 / lengths[p] ** 2;
    }
    this.add(seen, N);
  }

  /** M at Z, with c warm from where it was last asked for. */
  at(Z: Float64Array): Found {
    const { found } = this;
    if (found?.Z.every((value, k) => value === Z[k])) return found;
    let now = this.pointAt(Z, found?.c ?? new Float64Array(this.columns * this.C));
    for (let step = 0; step < NEWTON_STEPS && !this.isDone(now); step++) {
      const direction = this.newton.direction(now.slope, now.W);
      const before = now;
      for (let half = 0, alpha = 1; half < HALVINGS && now === before; half++, alpha /= 2) {
        const next = this.pointAt(
          Z,
          before.c.map((value, k) => value + alpha * direction[k]),
        );
        if (isBetter(next, before)) now = next;
      }
      if (now === before) break;
    }
    if (this.loss.separable) this.dropSeparated(now.N);
    if (this.isNothing(now)) now = { ...now, N: new Float64Array(now.N.length), value: 0 };
    // Where no c is best, as with labels that F separates, N is no dual point, and what is left of it is none of a domain.
    if (this.isStationary(now, NEARLY) || this.isRounding(now)) this.balance(now.N);
    this.found = { ...now, Z: Z.slice() };
    return this.found;
  }

  private pointAt(Z: Float64Array, c: Float64Array): Point {
    const { loss, ridge, C } = this;
    const W = Z.slice();
    this.add(c, W);
    const N = new Float64Array(W.length);
    loss.gradient(W, N);
    const slope = this.pull(N);
    let value = loss.value(W);
    for (let at = 0; at < c.length; at++) {
      const weight = ridge[Math.floor(at / C)];
      value += weight * c[at] ** 2;
      slope[at] += 2 * weight * c[at];
    }
    return { c, W, N, value, slope };
  }

  private isDone(now: Point): boolean {
    return this.isNothing(now) || this.isStationary(now, STATIONARY);
  }

  /**
   * Whether the slope is the rounding of large outputs, as where a fit is nearly perfect, and zero lies inside the domain of L*, so that
   * taking it off N leads out of none.
   */
  private isRounding({ slope, W, N }: Point): boolean {
    const { lengths, loss, C } = this;
    const reach = ROUNDINGS * Number.EPSILON * loss.curvature * norm(W);
    if (!slope.every((value, at) => Math.abs(value) <= reach * lengths[Math.floor(at / C)])) return false;
    const largest = largestOf(N);
    const scale = (INSIDE * loss.curvature) / largest;
    return [scale, -scale].every((factor) => Number.isFinite(loss.conjugate(N.map((value) => factor * value))));
  }

  /** The slopes of an output whose labels are separated far are what is left of zero, and see free columns by as much. */
  private dropSeparated(N: Float64Array): void {
    const { C } = this;
    const limit = LEFT * norm(N);
    for (let o = 0; o < C; o++) {
      let square = 0;
      for (let k = o; k < N.length; k += C) square += N[k] ** 2;
      if (Math.sqrt(square) <= limit) for (let k = o; k < N.length; k += C) N[k] = 0;
    }
  }

  /** Whether what is left of the loss is rounding, of the residuals of a perfect fit or of labels that are separated far. */
  private isNothing({ value, W }: Point): boolean {
    this.zero ??= this.loss.value(new Float64Array(W.length));
    return value <= NOTHING * this.zero;
  }

  private isStationary({ c, N, slope }: Point, share: number): boolean {
    const { lengths, ridge, C } = this;
    const size = norm(N);
    return slope.every((value, at) => {
      const p = Math.floor(at / C);
      return Math.abs(value) <= share * Math.max(lengths[p] * size, 2 * ridge[p] * Math.abs(c[at]));
    });
  }
}
