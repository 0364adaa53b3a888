/** The oracle of a growth: the dearest gates that a search on all rows, or on a sample of them, finds at a dual point. */

import type { Kernels } from "../kernels/types.js";
import { gaussianSource } from "../linear/random.js";
import { rowBlock } from "../linear/rowBlock.js";
import { dot } from "../linear/vectors.js";
import { blockOutputs, columnsOf } from "../operators/blocks.js";
import { dualPointAtZero } from "../operators/dualPoint.js";
import type { ConvexProgram, SparseBlocks } from "../types.js";
import { passOver } from "./effort.js";
import { evenly } from "./evenly.js";
import { type Found, type Start, searchGates } from "./search.js";

/** Steps of the search in each of its rounds; after each the worse half of the starts is let go. */
const ASCENT_STEPS = 20;
const ASCENT_ROUNDS = 4;

/** Random starts of a search when time is up, for what is said of other gates, and starts that are gone from together then. */
export const FEWEST_STARTS = 16;

/** At zero: starts for each output and sign; multiplications that all may take, and passes of one. */
const ZERO_STARTS = 64;
const ZERO_WORK = 8e9;
const ZERO_PASSES = 75;
const ZERO_SEED = 1;

/** A gate is worth adding when it is priced this much above beta, relative to the tolerance asked for. */
const WORTH = 1;
/** Directions with a larger cosine are one newcomer. */
const SAME_COSINE = 0.999;

/** What the search found, and for which output and sign. */
export type Priced = Start & Found;

/** Searches from every start, until `pause` says that time is up. */
export async function search(
  program: ConvexProgram,
  kernels: Kernels,
  N: Float64Array, // [n x C]
  starts: readonly Start[],
  pause?: () => Promise<boolean>,
): Promise<Priced[]> {
  const { X, loss, pooling = null } = program;
  const ends = await searchGates(kernels, X, N, loss.outputs, starts, ASCENT_STEPS, ASCENT_ROUNDS, pooling, pause);
  return ends.map((end, k) => ({ ...starts[k], ...end }));
}

/**
 * The same where time is nearly up: some starts after others, the last ones first, and those that it was too late for are left out.
 * Answers with a few at least.
 */
export async function searchSome(
  program: ConvexProgram,
  kernels: Kernels,
  N: Float64Array,
  starts: readonly Start[],
  pause: () => Promise<boolean>,
): Promise<Priced[]> {
  const found: Priced[] = [];
  for (let to = starts.length; to > 0; to -= FEWEST_STARTS) {
    found.push(...(await search(program, kernels, N, starts.slice(Math.max(0, to - FEWEST_STARTS), to), pause)));
    if (await pause()) break;
  }
  return found;
}

/**
 * The largest price of a gate at the zero network that a search finds: the smallest beta at which that is optimal, if none is missed.
 * It does not depend on a seed, so that what is a share of it doesn't, either.
 */
export async function largestAtZero(
  program: ConvexProgram,
  kernels: Kernels,
  pause: () => Promise<boolean>,
): Promise<number> {
  const { X } = program;
  const kinds = 2 * blockOutputs(program);
  const affordable = Math.floor(ZERO_WORK / (ZERO_PASSES * passOver(X)));
  const count = Math.max(kinds, Math.min(kinds * ZERO_STARTS, affordable));
  const N = dualPointAtZero(program);
  const found = await search(
    program,
    kernels,
    N,
    randomStarts(program, kernels, count, gaussianSource(ZERO_SEED)),
    pause,
  );
  return found.reduce((most, { value }) => Math.max(most, value), 0);
}

/** The same on some samples only; what is found is priced on all of them, and so is every start, also when time is up. */
export async function searchOn(
  samples: Int32Array,
  program: ConvexProgram,
  kernels: Kernels,
  N: Float64Array,
  starts: readonly Start[],
  pause?: () => Promise<boolean>,
): Promise<Priced[]> {
  const { X, loss, pooling = null } = program;
  const [K, C] = [pooling?.patches ?? 1, loss.outputs];
  const part = { rows: samples.length * K, cols: X.cols, data: new Float64Array(samples.length * K * X.cols) };
  const residual = new Float64Array(samples.length * C);
  samples.forEach((sample, k) => {
    part.data.set(rowBlock(X, sample * K, K), k * K * X.cols);
    residual.set(N.subarray(sample * C, (sample + 1) * C), k * C);
  });
  const ends = await searchGates(kernels, part, residual, C, starts, ASCENT_STEPS, ASCENT_ROUNDS, pooling, pause);
  const there = ends.map(({ direction }, k) => ({ ...starts[k], direction }));
  // The first step of an ascent is where it begins.
  const priced = await searchGates(kernels, X, N, C, [...there, ...starts], 1, 1, pooling);
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

/** The neurons themselves, which may be worth more a step beyond their cones, and random directions for every output and sign. */
export function startsFrom(
  program: ConvexProgram,
  kernels: Kernels,
  blocks: SparseBlocks,
  random: number,
  draw: () => number,
): Start[] {
  const d = program.X.cols;
  const { output, sign } = columnsOf(program, blocks.index);
  const starts: Start[] = Array.from(blocks.index, (_, k) => ({
    direction: blocks.vectors.slice(k * d, (k + 1) * d),
    output: output[k],
    sign: sign[k] > 0 ? 1 : -1,
  }));
  return [...starts, ...randomStarts(program, kernels, random, draw)];
}

/** Random directions for every output and sign, every other round of them such that they cut the rows evenly. */
export function randomStarts(program: ConvexProgram, kernels: Kernels, count: number, draw: () => number): Start[] {
  const kinds = 2 * blockOutputs(program);
  return Array.from({ length: count }, (_, k) => {
    const kind = k % kinds;
    const direction = Float64Array.from({ length: program.X.cols }, draw);
    return {
      direction: Math.floor(k / kinds) % 2 === 0 ? direction : evenly(program.X, direction, kernels),
      output: kind >> 1,
      sign: kind % 2 === 0 ? 1 : -1,
    };
  });
}

/** What is priced above beta, the dearest first. */
export function worthOf(found: readonly Priced[], { beta }: ConvexProgram, tolerance: number): Priced[] {
  return found.filter(({ value }) => value > beta * (1 + WORTH * tolerance)).sort((a, b) => b.value - a.value);
}

/** The first of directions that are nearly the same, at most `most`. */
export function distinct(priced: readonly Priced[], most: number): Priced[] {
  const kept: Priced[] = [];
  for (const candidate of priced) {
    if (kept.length === most) break;
    const twin = kept.some(
      ({ output, sign, direction }) =>
        output === candidate.output && sign === candidate.sign && dot(direction, candidate.direction) > SAME_COSINE,
    );
    if (!twin) kept.push(candidate);
  }
  return kept;
}
