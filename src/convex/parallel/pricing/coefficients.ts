/** What the neurons of the second layer are worth on each row at a dual point, where patterns of those above have been chosen. */

import type { Matrix } from "../../types.js";
import type { Block } from "../branch.js";
import { factorsOf, sumRow } from "../cone.js";

/** x f is added to the row's coefficients, 0 <= x <= upper: what is bounded is the least of a range, what is not is the multiplier of a wall. */
export interface Move {
  readonly row: number;
  readonly factors: ArrayLike<number>; // f, one for each neuron of the second layer
  readonly upper: number;
}

/** c_i = base_i + sum x f_i. */
export interface Coefficients {
  readonly base: readonly Float64Array[]; // [n] for each neuron of the second layer
  readonly moves: readonly Move[];
}

/** c [n] for each neuron of the second layer, at x. */
export function coefficientsAt({ base, moves }: Coefficients, x: Float64Array): Float64Array[] {
  const c = base.map((values) => values.slice());
  moves.forEach(({ row, factors }, m) => {
    if (x[m] === 0) return;
    for (let i = 0; i < c.length; i++) c[i][row] += factors[i] * x[m];
  });
  return c;
}

/** A block's own: q D times its linear map of weights w, and a multiplier for each wall above the first layer. */
export function coefficientsOf(X: Matrix, { pieces, above }: Block, weights: Float64Array): Coefficients {
  const [{ on, sign }] = above[above.length - 1];
  const base = above[0].map(() => new Float64Array(weights.length));
  const moves: Move[] = [];
  for (let row = 0; row < weights.length; row++) {
    const layers = factorsOf(above, row);
    layers.forEach((layer, l) => {
      layer.forEach((factors, i) => {
        if (sumRow(X, pieces, factors, row).every((value) => value === 0)) return;
        const side = 2 * above[l][i].on[row] - 1;
        moves.push({ row, factors: factors.map((factor) => side * factor), upper: Number.POSITIVE_INFINITY });
      });
    });
    const [top] = layers[layers.length - 1];
    for (let i = 0; i < base.length; i++) base[i][row] = sign * on[row] * weights[row] * top[i];
  }
  return { base, moves };
}
