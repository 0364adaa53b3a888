/** The inverse Hessian's approximation by the last few pairs of steps and changes of the gradient (Nocedal 1980). */

import type { VectorPairs } from "../../kernels/types.js";
import { multipleInto, norm, sumInto, timesInto } from "../vectors.js";
import { plainPairs } from "./plainPairs.js";

/** Pairs that are kept. */
export const MEMORY = 10;
/** Pairs whose curvature is below this share of |y|^2 would spoil the metric. */
const FLAT = 1e-12;

/** The diagonal of an inverse Hessian, up to a factor, or what it is at x. */
export type Scales = Float64Array | ((x: Float64Array) => Float64Array);

export class PairMetric {
  private readonly kept: { readonly place: number; readonly curvature: number }[] = []; // oldest first
  private readonly q: Float64Array;

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

  learn(from: Float64Array, to: Float64Array, before: Float64Array, after: Float64Array): void {
    const { kept, pairs } = this;
    const oldest = kept.length === MEMORY ? kept.shift() : undefined;
    const place = oldest?.place ?? this.free();
    const { move, turn } = pairs.at(place);
    sumInto(to, -1, from, move);
    sumInto(after, -1, before, turn);
    const { curvature, square } = pairs.products(place);
    if (curvature > FLAT * square) kept.push({ place, curvature });
  }

  /** Minus the metric at x times the gradient; valid until the next. */
  direction(gradient: Float64Array, x: Float64Array): Float64Array {
    const { kept, pairs, q } = this;
    const scales = typeof this.scalesAt === "function" ? this.scalesAt(x) : this.scalesAt;
    multipleInto(-1, gradient, q);
    if (kept.length > 0) {
      pairs.apply(
        kept.map(({ place }) => place),
        kept.map(({ curvature }) => curvature),
        scales,
        q,
      );
      return q;
    }
    // A step of length one: nothing is known of the scale yet.
    timesInto(scales, q);
    multipleInto(1 / Math.max(norm(q), Number.MIN_VALUE), q, q);
    return q;
  }

  private free(): number {
    const taken = this.kept.map(({ place }) => place);
    return Array.from({ length: MEMORY }, (_, k) => k).find((k) => !taken.includes(k)) ?? 0;
  }
}
