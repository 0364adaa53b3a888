/**
 * What units a t^2 + b t + c with weights of length one are worth, exactly (Bartan and Pilanci 2021, "neural spectrahedra").
 *
 * N' h(X u) = u'Qu + q'u + c 1'N with Q = a sum_k N_k x_k x_k' and q = b X'N: a trust region problem on the sphere, from one
 * eigendecomposition a feed for both signs. So bounds are over all units there are, and no semidefinite program is solved.
 */

import { eigenInPieces } from "../linear/eigen/index.js";
import { atOnce, inTurns, type Pieces, unlessOver } from "../linear/pieces.js";
import type { Polynomial } from "./hiddenUnits.js";
import { columnsOf, type DearUnits, type UnitOracle } from "./oracle.js";
import { formAtPlace, type Places } from "./places.js";
import { maximiseOnSphere } from "./trustRegion.js";

/** A unit that an output would take up from a place. */
export interface PricedUnit {
  readonly value: number; // sign N_c' h(X u)
  readonly sign: 1 | -1;
  readonly feed: number;
  readonly u: Float64Array; // [d]
}

interface Prices {
  readonly N: Float64Array;
  readonly ceiling: number;
  /** The dearest of every feed and sign, and eigenvectors: near other local maxima. */
  readonly units: readonly PricedUnit[];
}

export class PolynomialOracle implements UnitOracle {
  readonly exact = true;
  private last: Prices | null = null;

  constructor(
    private readonly places: Places,
    private readonly outputs: number,
    private readonly activation: Polynomial,
  ) {}

  /** Prices all units at N, feed by feed; false where it was told to end before, and then no ceiling is known, and some units may be. */
  async look(N: Float64Array, pause: () => Promise<boolean>): Promise<boolean> {
    if (this.last?.N !== N || !Number.isFinite(this.last.ceiling)) this.last = await inTurns(this.pricesAt(N), pause);
    return this.last.ceiling < Number.POSITIVE_INFINITY;
  }

  /** Infinity where `look` was told to end early. */
  ceiling(N: Float64Array): number {
    return this.price(N).ceiling;
  }

  async dearest(
    N: Float64Array,
    _known: readonly Float64Array[] = [],
    pause: () => Promise<boolean> = async () => false,
  ): Promise<DearUnits> {
    const whole = await this.look(N, pause);
    const units = this.above(N, Number.NEGATIVE_INFINITY);
    if (units.length === 0) return { largest: Number.POSITIVE_INFINITY, units: [firstAxis(this.places.d)] };
    return {
      largest: whole ? Math.max(0, units[0].value) : Number.POSITIVE_INFINITY,
      units: units.slice(0, 2 * this.outputs * this.places.list.length).map(({ u }) => u),
    };
  }

  /** The units that were found to be worth more than `price`, the dearest first; the first of them is the dearest of all. */
  above(N: Float64Array, price: number): PricedUnit[] {
    return this.price(N)
      .units.filter(({ value }) => value > price)
      .sort((a, b) => b.value - a.value);
  }

  private price(N: Float64Array): Prices {
    if (this.last?.N !== N) this.last = atOnce(this.pricesAt(N));
    return this.last;
  }

  private *pricesAt(N: Float64Array): Pieces<Prices> {
    const units: PricedUnit[] = [];
    let ceiling = 0;
    const columns = columnsOf(N, this.outputs);
    for (let feed = 0; feed < columns.length * this.places.list.length; feed++) {
      if (feed > 0 && (yield)) return { N, ceiling: Number.POSITIVE_INFINITY, units };
      const place = Math.floor(feed / this.outputs);
      const priced = yield* unlessOver(this.ofColumn(columns[feed % this.outputs], place, feed));
      if (priced === null) return { N, ceiling: Number.POSITIVE_INFINITY, units };
      ceiling = Math.max(ceiling, priced.ceiling);
      units.push(...priced.units);
    }
    return { N, ceiling, units };
  }

  private *ofColumn(N: Float64Array, place: number, feed: number): Pieces<Omit<Prices, "N"> | null> {
    const { c } = this.activation;
    const { d, list } = this.places;
    const { Q, q, total } = formAtPlace(this.activation, list[place], N, d);
    const size = N.reduce((sum, value) => sum + Math.abs(value), 0);
    const eigen = yield* unlessOver(eigenInPieces(Q, d));
    if (eigen === null) return null;
    const slack = Math.abs(c) * size * N.length * Number.EPSILON; // of the sum over N
    const units: PricedUnit[] = [];
    let ceiling = 0;
    for (const sign of [1, -1] as const) {
      const rest = sign * c * total;
      const best = maximiseOnSphere(eigen, q, sign);
      ceiling = Math.max(ceiling, best.ceiling + rest + slack);
      units.push({ value: best.value + rest, sign, feed, u: best.u });
      for (let i = 0; i < d; i++) {
        const v = eigen.vectors.data.slice(i * d, (i + 1) * d);
        let along = 0;
        for (let p = 0; p < d; p++) along += q[p] * v[p];
        if (sign * along < 0) for (let p = 0; p < d; p++) v[p] = -v[p];
        units.push({ value: sign * eigen.values[i] + Math.abs(along) + rest, sign, feed, u: v });
      }
    }
    return { ceiling, units };
  }
}

/** Some unit, where time sufficed for none. */
function firstAxis(d: number): Float64Array {
  return Float64Array.from({ length: d }, (_, p) => Number(p === 0));
}
