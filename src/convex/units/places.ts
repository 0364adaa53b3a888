/**
 * What units see of a sample: its row, or the patches of an image under each place of a read-out, whose outputs are averaged there.
 *
 * A unit feeds one output from one place; the two together are its feed, a C + c for place a and output c. That loses nothing: under an
 * l1 charge on every output weight a filter that feeds several is as dear as copies of it that feed one each.
 */

import type { Matrix, Pooling } from "../types.js";
import { outputsOfUnit, type UnitActivation } from "./hiddenUnits.js";

export interface Places {
  /** Of each place [n window x d]: row k window + t is patch t of sample k there. */
  readonly rows: readonly Matrix[];
  readonly window: number;
}

/** One place, which sees the samples as they are. */
export function onePlace(X: Matrix): Places {
  return { rows: [X], window: 1 };
}

/** The places of pooled patches X [n patches x d]. */
export function placesOf(X: Matrix, { patches, positions }: Pooling): Places {
  const window = patches / positions;
  if (positions === 1) return { rows: [X], window };
  const { cols: d } = X;
  const n = X.rows / patches;
  const rows = Array.from({ length: positions }, (_, a) => {
    const data = new Float64Array(n * window * d);
    for (let k = 0; k < n; k++) {
      for (let t = 0; t < window; t++) {
        const from = (k * patches + t * positions + a) * d;
        data.set(X.data.subarray(from, from + d), (k * window + t) * d);
      }
    }
    return { rows: n * window, cols: d, data };
  });
  return { rows, window };
}

/** Outputs [n] of a unit at a place. */
export function outputsAtPlace(activation: UnitActivation, places: Places, a: number, w: Float64Array): Float64Array {
  return averaged(outputsOfUnit(activation, places.rows[a], w), places.window);
}

/** Means [n] over windows. */
function averaged(values: Float64Array, window: number): Float64Array {
  if (window === 1) return values;
  const means = new Float64Array(values.length / window);
  for (let k = 0; k < values.length; k++) means[Math.floor(k / window)] += values[k] / window;
  return means;
}
