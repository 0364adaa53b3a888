/**
 * The search for neurons that feed all outputs and are worth more than beta: ascent of |N'(X u)_+| from random directions, by turns
 * with the outputs that the dual point N wants of them.
 */

import { searchGates } from "../growth/index.js";
import type { Kernels } from "../kernels/types.js";
import { concatenated, dot, norm } from "../linear/vectors.js";
import type { ConvexProgram } from "../types.js";
import type { SharedObjective } from "./neurons.js";
import type { SharedPrices } from "./prices.js";

/** Turns of the search between a direction and its outputs, and steps in each. */
const TURNS = 2;
const ASCENT_STEPS = 20;
/** Newcomers of a round at most. */
const JOINING = 100;
/** Directions with a larger cosine are one newcomer. */
const SAME_COSINE = 0.999;

/** A direction for a neuron, the unit outputs that it wants, and its price. */
export interface Newcomer {
  readonly direction: Float64Array;
  readonly outputs: Float64Array;
  readonly price: number;
}

/** The dearest that a bound has met on its way. */
export function fromPrices({ dearest }: SharedPrices): Newcomer[] {
  return dearest.map(({ direction, outputs, value }) => ({ direction, outputs, price: value }));
}

/** Ascent of |N'(X u)_+| from random directions, by turns with the outputs. */
export async function search(
  objective: SharedObjective,
  { X, loss, pooling = null }: ConvexProgram,
  kernels: Kernels,
  N: Float64Array,
  starts: number,
  draw: () => number,
  pause: () => Promise<boolean>,
): Promise<Newcomer[]> {
  const C = loss.outputs;
  let found = againstPull(
    objective,
    N,
    C,
    Array.from({ length: starts }, () => unit(Float64Array.from({ length: X.cols }, draw))),
  );
  for (let turn = 0; turn < TURNS; turn++) {
    // With its outputs held, each start aligns with a dual point of its own, one column.
    const wanted = new Float64Array(loss.rows * starts);
    for (let s = 0; s < loss.rows; s++) {
      const row = N.subarray(s * C, (s + 1) * C);
      for (let k = 0; k < starts; k++) wanted[s * starts + k] = dot(row, found[k].outputs);
    }
    const from = found.map(({ direction }, output) => ({ direction, output, sign: 1 as const }));
    const ends = await searchGates(kernels, X, wanted, starts, from, ASCENT_STEPS, 1, pooling, pause);
    found = againstPull(
      objective,
      N,
      C,
      ends.map(({ direction }) => direction),
    );
  }
  return found;
}

/** Each unit direction with the outputs that the dual point wants of it, and its price |N'(X u)_+|. */
function againstPull(
  objective: SharedObjective,
  N: Float64Array,
  C: number,
  directions: readonly Float64Array[],
): Newcomer[] {
  const m = directions.length;
  const pulls = objective.pulls(concatenated(...directions), N);
  return directions.map((direction, k) => {
    const pull = Float64Array.from({ length: C }, (_, c) => -pulls[c * m + k]);
    return { direction, outputs: unit(pull), price: norm(pull) };
  });
}

function unit(vector: Float64Array): Float64Array {
  const length = norm(vector);
  return length > 0 ? vector.map((value) => value / length) : vector;
}

/** The dearest first, of those above `least` and not nearly the same; no more than may join in a round. */
export function distinct(all: readonly Newcomer[], least: number): Newcomer[] {
  const kept: Newcomer[] = [];
  for (const candidate of all.filter(({ price }) => price > least).sort((a, b) => b.price - a.price)) {
    if (kept.length === JOINING) break;
    const twin = kept.some(
      ({ direction, outputs }) =>
        dot(direction, candidate.direction) > SAME_COSINE && dot(outputs, candidate.outputs) > SAME_COSINE,
    );
    if (!twin) kept.push(candidate);
  }
  return kept;
}
