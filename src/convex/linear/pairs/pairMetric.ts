/** The inverse Hessian's approximation by the last few pairs of steps and changes of the gradient (Nocedal 1980). */

import type { VectorPairs } from "../../kernels/types.js";
import { log } from "../elementary.js";
import { largestOf, multipleInto, norm, timesInto } from "../vectors.js";
import { plainPairs } from "./plainPairs.js";

/** Pairs that are kept, unless there is room for another number. */
export const MEMORY = 10;
/** Pairs whose curvature is below this share of |y|^2, in the unit of the first that is kept, would spoil the metric. */
const FLAT = 1e-12;
/** A change of the gradient that is so many powers of two off that unit has a curvature that no earlier pair tells of. */
const FAR = 40;
/** Powers of two that a double has room for beside numbers that are near its own bounds. */
const MOST = 1000;

/** The diagonal of an inverse Hessian, up to a factor, or what it is at x. */
export type Scales = Float64Array | ((x: Float64Array) => Float64Array);

export class PairMetric {
  private readonly kept: { readonly place: number; readonly curvature: number }[] = []; // oldest first
  private readonly q: Float64Array;
  private unit = 0; // the exponent of u

  constructor(
    size: number,
    private readonly scalesAt: Scales,
    private readonly pairs: VectorPairs = plainPairs(size, MEMORY),
  ) {
    this.q = new Float64Array(size);
  }

  get empty(): boolean {
    return this.kept.length === 0;
  }

  forget(): void {
    this.kept.length = 0;
  }

  /**
   * Pairs are kept in float32, which has few exponents: each is t s and t u y, t a power of two by which s is of size one, and u one by
   * which the first y was. That is the metric over u, to the last bit.
   */
  learn(from: Float64Array, to: Float64Array, before: Float64Array, after: Float64Array): void {
    const [size, change] = [exponentOf(largestApart(from, to)), exponentOf(largestApart(before, after))];
    if (!Number.isFinite(size) || !Number.isFinite(change)) return; // one of them is zero, or nothing that can be told of
    if (Math.abs(change - size + this.unit) > FAR) this.forget();
    if (this.empty) this.unit = bounded(size - change);
    const { kept, pairs } = this;
    const oldest = kept.length === pairs.count ? kept.shift() : undefined;
    const place = oldest?.place ?? this.free();
    const { move, turn } = pairs.at(place);
    apartInto(from, to, bounded(-size), move);
    apartInto(before, after, bounded(this.unit - size), turn);
    const { curvature, square } = pairs.products(place);
    if (curvature > FLAT * square) kept.push({ place, curvature });
  }

  /** Minus the metric at x times the gradient; valid until the next. */
  direction(gradient: Float64Array, x: Float64Array): Float64Array {
    const { kept, pairs, q } = this;
    const scales = typeof this.scalesAt === "function" ? this.scalesAt(x) : this.scalesAt;
    if (kept.length > 0) {
      multipleInto(-1, gradient, q);
      pairs.apply(
        kept.map(({ place }) => place),
        kept.map(({ curvature }) => curvature),
        scales,
        q,
      );
      multipleInto(2 ** this.unit, q, q);
      return q;
    }
    // A step of length one: nothing is known of the scale yet.
    const size = exponentOf(largestOf(gradient));
    multipleInto(-(2 ** bounded(Number.isFinite(size) ? -size : 0)), gradient, q);
    timesInto(scales, q);
    multipleInto(1 / Math.max(norm(q), Number.MIN_VALUE), q, q);
    return q;
  }

  private free(): number {
    const taken = this.kept.map(({ place }) => place);
    return Array.from({ length: this.pairs.count }, (_, k) => k).find((k) => !taken.includes(k)) ?? 0;
  }
}

/** e of 2^e <= size < 2^(e + 1), to within one; -Infinity of zero. */
function exponentOf(size: number): number {
  return Math.floor(log(size) / Math.LN2);
}

function bounded(exponent: number): number {
  return Math.max(-MOST, Math.min(MOST, exponent));
}

function largestApart(a: Float64Array, b: Float64Array): number {
  let most = 0;
  for (let p = 0; p < a.length; p++) most = Math.max(most, Math.abs(b[p] - a[p]));
  return most;
}

/** out := 2^exponent (b - a). */
function apartInto(a: Float64Array, b: Float64Array, exponent: number, out: Float32Array): void {
  const factor = 2 ** exponent;
  for (let p = 0; p < out.length; p++) out[p] = factor * (b[p] - a[p]);
}
