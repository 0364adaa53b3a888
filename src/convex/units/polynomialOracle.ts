/**
 * What units a t^2 + b t + c with weights of length one are worth, exactly (Bartan and Pilanci 2021, "neural spectrahedra").
 *
 * N' h(X u) = u'Qu + q'u + c 1'N with Q = a sum_k N_k x_k x_k' and q = b X'N: a trust region problem on the sphere, from one
 * eigendecomposition for both signs. So bounds are over all units there are, and no semidefinite program is solved.
 */

import { eigenSymmetric } from "../linear/eigen/index.js";
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

  ceiling(N: Float64Array): number {
    return this.price(N).ceiling;
  }

  dearest(N: Float64Array): DearUnits {
    const [first, ...more] = this.above(N, Number.NEGATIVE_INFINITY);
    return {
      largest: Math.max(0, first.value),
      units: [first, ...more].slice(0, 2 * this.outputs * this.places.list.length).map(({ u }) => u),
    };
  }

  /** The units that were found to be worth more than `price`, the dearest first; the first of them is the dearest of all. */
  above(N: Float64Array, price: number): PricedUnit[] {
    return this.price(N)
      .units.filter(({ value }) => value > price)
      .sort((a, b) => b.value - a.value);
  }

  private price(N: Float64Array): Prices {
    if (this.last?.N === N) return this.last;
    const units: PricedUnit[] = [];
    let ceiling = 0;
    const columns = columnsOf(N, this.outputs);
    this.places.list.forEach((_, place) => {
      columns.forEach((column, output) => {
        const priced = this.ofColumn(column, place, place * this.outputs + output);
        ceiling = Math.max(ceiling, priced.ceiling);
        units.push(...priced.units);
      });
    });
    this.last = { N, ceiling, units };
    return this.last;
  }

  private ofColumn(N: Float64Array, place: number, feed: number): Omit<Prices, "N"> {
    const { c } = this.activation;
    const { d, list } = this.places;
    const { Q, q, total } = formAtPlace(this.activation, list[place], N, d);
    const size = N.reduce((sum, value) => sum + Math.abs(value), 0);
    const eigen = eigenSymmetric(Q, d);
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
