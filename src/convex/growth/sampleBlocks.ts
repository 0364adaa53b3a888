/** Many neurons on all rows of the data, some samples at a time, so that memory does not grow with the number of patches. */

import { rowBlock } from "../linear/rowBlock.js";
import { ONE_PATCH, slopeOf } from "../network.js";
import type { Matrix, Pooling } from "../types.js";

/** Entries of the products of neurons and rows that are held at a time: 128 MB. */
const HELD = 2 ** 24;

/** How neurons read samples: pooled patches or plain rows, C outputs, of which neuron j feeds `columns[j]` (a C + c). */
export interface Reading {
  readonly pooling: Pooling;
  readonly outputs: number; // C
  readonly columns: Int32Array; // [m]
}

export function readingOf(pooling: Pooling | null | undefined, outputs: number, columns: Int32Array): Reading {
  return { pooling: pooling ?? ONE_PATCH, outputs, columns };
}

/** Calls `use` with the rows of samples [first, first + count), as many as `neurons` leave room for, in order. */
export function eachSampleBlock(
  X: Matrix,
  { patches }: Pooling,
  neurons: number,
  use: (rows: Float64Array, first: number, count: number) => void,
): void {
  const n = X.rows / patches;
  const together = Math.max(1, Math.floor(HELD / (Math.max(1, neurons) * patches)));
  for (let first = 0; first < n; first += together) {
    const count = Math.min(together, n - first);
    use(rowBlock(X, first * patches, count * patches), first, count);
  }
}

/** Z += a_j S (H_j)_+, or with a slope for negative products, for neuron j with products H [m x count K] at samples [first, first + count). */
export function addActivations(
  { pooling, outputs, columns }: Reading,
  scales: Float64Array,
  H: Float64Array,
  first: number,
  count: number,
  Z: Float64Array,
): void {
  const { patches, positions, scale } = pooling;
  const slope = slopeOf(pooling);
  const [even, odd] = [1 - slope, 1 + slope];
  for (let j = 0; j < columns.length; j++) {
    const a = 0.5 * scale * scales[j];
    const c = columns[j] % outputs;
    const position = (columns[j] - c) / outputs;
    for (let s = 0, at = j * count * patches; s < count; s++, at += patches) {
      let sum = 0; // h + |h| is 2 (h)_+ without a branch that no processor foresees
      for (let k = position; k < patches; k += positions) sum += odd * H[at + k] + even * Math.abs(H[at + k]);
      Z[(first + s) * outputs + c] += a * sum;
    }
  }
}

/**
 * Replaces the products of neuron j by (S' N)_c where it is active and 0, or the slope times that, elsewhere: times X, they are the gradient of
 * N_c' S (X w)_+. Returns that value.
 */
export function replaceByPull(
  { pooling, outputs, columns }: Reading,
  j: number,
  N: Float64Array,
  H: Float64Array,
  first: number,
  count: number,
): number {
  const { patches, positions, scale } = pooling;
  const falls = 1 - slopeOf(pooling);
  const c = columns[j] % outputs;
  const position = (columns[j] - c) / outputs;
  const words = new Int32Array(H.buffer, H.byteOffset, 2 * H.length);
  let value = 0;
  for (let s = 0, at = j * count * patches; s < count; s++, at += patches) {
    const pull = scale * N[(first + s) * outputs + c];
    if (positions > 1) for (let k = 0; k < patches; k++) if (k % positions !== position) H[at + k] = 0;
    for (let k = position; k < patches; k += positions) {
      const active = 1 + falls * (words[2 * (at + k) + 1] >> 31); // by its sign bit, for the same reason
      value += pull * active * H[at + k];
      H[at + k] = pull * active;
    }
  }
  return value;
}
