/** A network as it is written, on its way to the shards that judge it: one row of numbers. */

import { concatenated } from "../linear/vectors.js";
import type { NetworkWeights } from "../network.js";
import type { Matrix } from "../types.js";

/** Kernel and, where there are any, gates [d x m] each, read-out [m x C], bias [C]. */
export function numbersOf({ kernel, gates, output, bias }: NetworkWeights): Float64Array {
  return concatenated(kernel.data, gates?.data ?? new Float64Array(0), output.data, bias);
}

/** The network of so many units that these numbers are, which have gates or are ReLU. */
export function networkFrom(
  numbers: Float64Array,
  d: number,
  units: number,
  C: number,
  biasColumn: number,
  gated = true,
): NetworkWeights {
  const size = d * units;
  const read = gated ? 2 * size : size;
  return {
    kernel: { rows: d, cols: units, data: numbers.slice(0, size) },
    gates: gated ? { rows: d, cols: units, data: numbers.slice(size, read) } : null,
    output: { rows: units, cols: C, data: numbers.slice(read, read + units * C) },
    bias: numbers.slice(read + units * C),
    pooling: null,
    biasColumn,
  };
}

/** The blocks [P x C x d] and the bias of the network that these numbers are, whose gates are among the generators [P x d]. */
export function blocksOf(
  numbers: Float64Array,
  generators: Float64Array,
  {
    d,
    units,
    C,
    biasColumn,
  }: { readonly d: number; readonly units: number; readonly C: number; readonly biasColumn: number },
): { readonly blocks: Float64Array; readonly bias: Float64Array } {
  const { kernel, gates, output, bias } = networkFrom(numbers, d, units, C, biasColumn);
  const blocks = new Float64Array(generators.length * C);
  const places = new Map(
    Array.from({ length: generators.length / d }, (_, i) => [generators.subarray(i * d, (i + 1) * d).join(), i]),
  );
  const column = ({ data }: Matrix, j: number) => Float64Array.from({ length: d }, (_, p) => data[p * units + j]);
  for (let j = 0; j < units; j++) {
    const read = output.data.subarray(j * C, (j + 1) * C);
    const own = column(kernel, j);
    if (gates === null || read.every((entry) => entry === 0) || own.every((entry) => entry === 0)) continue;
    const gate = places.get(column(gates, j).join());
    if (gate === undefined) throw new Error("A unit has a gate that is none of the program's.");
    for (let c = 0; c < C; c++) for (let p = 0; p < d; p++) blocks[(gate * C + c) * d + p] += own[p] * read[c];
  }
  return { blocks, bias };
}
