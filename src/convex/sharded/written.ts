/** A network as it is written, on its way to the shards that judge it: one row of numbers. */

import { concatenated } from "../linear/vectors.js";
import type { NetworkWeights } from "../network.js";

/** Kernel and gates [d x m] each, read-out [m x C], bias [C]. */
export function numbersOf({ kernel, gates, output, bias }: NetworkWeights): Float64Array {
  return concatenated(kernel.data, gates?.data ?? new Float64Array(0), output.data, bias);
}

/** The network of `units` gated units that these numbers are. */
export function networkFrom(
  numbers: Float64Array,
  d: number,
  units: number,
  C: number,
  biasColumn: number,
): NetworkWeights {
  const size = d * units;
  return {
    kernel: { rows: d, cols: units, data: numbers.slice(0, size) },
    gates: { rows: d, cols: units, data: numbers.slice(size, 2 * size) },
    output: { rows: units, cols: C, data: numbers.slice(2 * size, 2 * size + units * C) },
    bias: numbers.slice(2 * size + units * C),
    pooling: null,
    biasColumn,
  };
}
