/** The oracle of a growth: the dearest gates that a search on all rows, or on a sample of them, finds at a dual point. */

import type { Kernels } from "../kernels/types.js";
import { rowBlock } from "../rowBlock.js";
import type { ConvexProgram } from "../types.js";
import { type Found, type Start, searchGates } from "./gateSearch.js";

/** Steps of the search in each of its rounds; after each the worse half of the starts is let go. */
const ASCENT_STEPS = 20;
const ASCENT_ROUNDS = 4;

/** What the search found, and for which output and sign. */
export type Priced = Start & Found;

/** Searches from every start. */
export function search(
  program: ConvexProgram,
  kernels: Kernels,
  N: Float64Array, // [n x C]
  starts: readonly Start[],
): Priced[] {
  const { X, loss, pooling = null } = program;
  const ends = searchGates(kernels, X, N, loss.outputs, starts, ASCENT_STEPS, ASCENT_ROUNDS, pooling);
  return ends.map((end, k) => ({ ...starts[k], ...end }));
}

/** The same on some samples only; what is found is priced on all of them, and so is every start. */
export function searchOn(
  samples: Int32Array,
  program: ConvexProgram,
  kernels: Kernels,
  N: Float64Array,
  starts: readonly Start[],
): Priced[] {
  const { X, loss, pooling = null } = program;
  const [K, C] = [pooling?.patches ?? 1, loss.outputs];
  const part = { rows: samples.length * K, cols: X.cols, data: new Float64Array(samples.length * K * X.cols) };
  const residual = new Float64Array(samples.length * C);
  samples.forEach((sample, k) => {
    part.data.set(rowBlock(X, sample * K, K), k * K * X.cols);
    residual.set(N.subarray(sample * C, (sample + 1) * C), k * C);
  });
  const ends = searchGates(kernels, part, residual, C, starts, ASCENT_STEPS, ASCENT_ROUNDS, pooling);
  const there = ends.map(({ direction }, k) => ({ ...starts[k], direction }));
  // The first step of an ascent is where it begins.
  const priced = searchGates(kernels, X, N, C, [...there, ...starts], 1, 1, pooling);
  return priced.map((end, k) => ({ ...starts[k % starts.length], ...end }));
}

/** So many different samples, drawn at random; null for all of them. */
export function drawnSamples(
  { loss }: ConvexProgram,
  count: number | undefined,
  draw: () => number,
): Int32Array | null {
  if (count === undefined || count >= loss.rows) return null;
  const order = Array.from({ length: loss.rows }, (_, k) => ({ k, key: draw() })).sort((a, b) => a.key - b.key);
  return Int32Array.from(order.slice(0, count), ({ k }) => k);
}
