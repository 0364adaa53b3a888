/** Where the path of solutions leads: between two changes of the active blocks they are smooth in beta. */

import { dot } from "../linear/vectors.js";
import type { SparseBlocks } from "../types.js";

/** The solution at one beta. */
export interface PathStop {
  readonly beta: number;
  readonly blocks: SparseBlocks;
}

/**
 * The line through the last two solutions, at another beta. Blocks that are zero at the last stay zero, and so does one that the
 * line would turn around: it leaves on the way. For programs without cones, over the same gates.
 */
export function extrapolate(before: PathStop, last: PathStop, beta: number, width: number): SparseBlocks {
  const step = (beta - last.beta) / (last.beta - before.beta);
  const vectorAt = ({ vectors }: SparseBlocks, k: number) => vectors.subarray(k * width, (k + 1) * width);
  const earlier = new Map(Array.from(before.blocks.index, (index, k) => [index, vectorAt(before.blocks, k)]));
  const kept = Array.from(last.blocks.index, (index, k) => {
    const now = vectorAt(last.blocks, k);
    const then = earlier.get(index);
    return { index, now, vector: now.map((value, p) => value + step * (value - (then?.[p] ?? 0))) };
  }).filter(({ now, vector }) => dot(now, vector) > 0);
  const vectors = new Float64Array(kept.length * width);
  kept.forEach(({ vector }, k) => {
    vectors.set(vector, k * width);
  });
  return {
    index: Int32Array.from(kept, ({ index }) => index),
    vectors,
    bias: last.blocks.bias.map((value, c) => value + step * (value - before.blocks.bias[c])),
  };
}
