/** The gap of a point by sums over shards: objective, prices and the dual objective, each exact. */

import { concatenated, dot, largestOf } from "../linear/vectors.js";
import type { ConvexProgram } from "../types.js";
import type { Aside, FromState } from "./cluster.js";
import type { RowSums } from "./crew.js";
import { hasKinks } from "./kinks/index.js";
import { bestBias, biasSums } from "./outputBias.js";

/** Scales of the dual point that are tried in one trip, and trips at most: a part of 1 / 8 is left after each. */
const SCALES = 17;
const MOST_TRIPS = 7;
/** Of the gap: what another trip may still bring when it is left out. */
const ENOUGH = 1e-3;

/** A point, and what the shards know it by: their state, or what they look at beside it. */
export interface Judged {
  readonly from: FromState | Aside;
  readonly blocks: Float64Array; // [P x C x d]
  readonly bias: Float64Array; // [C]
}

/** A bound of the program from below, an objective, and the bias with which it is one. */
export interface Verdict {
  readonly primal: number;
  readonly dual: number;
  readonly bias: Float64Array; // [C]; where it is free the best for these blocks
}

/** The best that was seen. */
export interface Best {
  readonly primal: number;
  readonly dual: number;
  readonly blocks: Float64Array; // [B x C x d]
  readonly bias: Float64Array; // [C]
}

export type Charged = Pick<ConvexProgram, "penalty" | "beta" | "outputBias" | "loss" | "X">;

/** Objective, bound, and what kinks leave of the gap, at a point; a free bias is minimised over first, so that the gradient there is balanced. */
export async function judge(
  crew: RowSums,
  program: Charged,
  point: Judged,
): Promise<Verdict & { readonly left: number }> {
  const slopes = await slopesAt(crew, program, point);
  const kinked = hasKinks(program.loss);
  const value = kinked ? await truthAt(crew, point, slopes.bias) : slopes.value;
  const primal = value + chargeOf(program, point.blocks, slopes.bias);
  const dual = await boundAt(crew, program, point, slopes, primal, largestPrice(program, slopes.pull));
  const left = kinked ? await kinkGap(crew, program, point, slopes, value, point.blocks) : 0;
  return { primal, dual, bias: slopes.bias, left };
}

/** The loss at a point with the bias that is the best where it is free, and its gradient N. */
export interface Slopes {
  readonly bias: Float64Array; // [C]
  readonly value: number;
  readonly sums: Float64Array; // [C]: of the columns of N
  readonly pull: Float64Array; // [P x C x d]: X'D_i N
}

export async function slopesAt(crew: RowSums, program: Charged, point: Judged): Promise<Slopes> {
  const C = program.loss.outputs;
  const bias = await balanced(crew, program, point);
  const answer = await pullAt(crew, point, bias);
  return { bias, value: answer[0], sums: answer.subarray(1, 1 + C), pull: answer.subarray(1 + C) };
}

/** What the program charges for blocks and bias. */
export function chargeOf(program: Charged, blocks: Float64Array, bias: Float64Array): number {
  const { penalty, beta, outputBias, loss, X } = program;
  const penalties = eachBlock(program, blocks, (block) => penalty.value(block, loss.outputs, X.cols));
  const ridge = outputBias?.ridge ?? 0;
  const charge = ridge * bias.reduce((sum, c) => sum + c * c, 0);
  return beta * penalties.reduce((sum, value) => sum + value, 0) + charge;
}

/** The best bound that N, scaled, is good for; `largest` is its largest price. */
export async function boundAt(
  crew: RowSums,
  program: Charged,
  point: Judged,
  slopes: Slopes,
  primal: number,
  largest: number,
): Promise<number> {
  const { beta, outputBias } = program;
  const ridge = outputBias?.ridge ?? 0;
  const { sums } = slopes;
  const cost = (s: number) => (ridge > 0 ? sums.reduce((sum, value) => sum + (s * value) ** 2, 0) / (4 * ridge) : 0);
  return bestScale(beta / largest, primal, async (scales) => {
    const conjugates = await conjugatesAt(crew, program, point, slopes, scales);
    return conjugates.map((value, k) => -value - cost(scales[k]));
  });
}

/** L*(s N) for some scales s. */
export function conjugatesAt(
  crew: RowSums,
  { outputBias, loss }: Charged,
  point: Judged,
  { bias, sums }: Slopes,
  scales: Float64Array,
): Promise<Float64Array> {
  // What rounding left of the sums of the columns is taken off every row, so that they are zero.
  const free = outputBias !== null && outputBias.ridge === 0;
  const rest = free ? sums.map((sum) => sum / loss.rows) : new Float64Array(loss.outputs);
  return crew.ask({ ...point.from, op: "conjugates" }, concatenated(minus(bias, point.bias), rest, scales));
}

/** What kinks leave of the gap, L(Z) + L*(N) - <N, Z>; `value` is L(Z), `multiplied` what the shards multiply. */
export async function kinkGap(
  crew: RowSums,
  program: Charged,
  point: Judged,
  slopes: Slopes,
  value: number,
  multiplied: Float64Array, // [P x C x d]
): Promise<number> {
  const [conjugate] = await conjugatesAt(crew, program, point, slopes, Float64Array.of(1));
  return value + conjugate - dot(slopes.pull, multiplied) - dot(slopes.sums, slopes.bias);
}

/** The loss itself at a point with another bias, where shards have it rounded off. */
export async function truthAt(crew: RowSums, { from, bias }: Judged, at: Float64Array): Promise<number> {
  const [value] = await crew.ask({ ...from, op: "truth" }, minus(at, bias));
  return value;
}

/** The gradient at the best network without neurons, whose bias `point` has, [P x C x d]: no beta above its largest price lets a neuron in. */
export async function slopeAtZero(crew: RowSums, program: Charged, point: Judged): Promise<Float64Array> {
  const answer = await pullAt(crew, point, point.bias);
  return answer.subarray(1 + program.loss.outputs);
}

/** The loss where all outputs are some constants [C], from a point without neurons, and the sums of its derivatives. */
export async function constantsAt(crew: RowSums, { from, bias }: Judged, c: Float64Array) {
  return biasSums(await crew.ask({ ...from, op: "bias" }, minus(c, bias)), c.length);
}

/** The bias of a point, the best one where it is free. */
export async function balanced(crew: RowSums, { outputBias }: Charged, point: Judged): Promise<Float64Array> {
  if (outputBias === null || outputBias.ridge > 0) return point.bias;
  return bestBias((c) => constantsAt(crew, point, c), outputBias, point.bias);
}

function pullAt(crew: RowSums, { from, bias }: Judged, at: Float64Array): Promise<Float64Array> {
  return crew.ask({ ...from, op: "judge" }, minus(at, bias));
}

export function largestPrice(program: Charged, pull: Float64Array): number {
  return largestOf(pricesOf(program, pull));
}

/** What each block [P] is priced at. */
export function pricesOf(program: Charged, pull: Float64Array): Float64Array {
  const { penalty, loss, X } = program;
  return Float64Array.from(eachBlock(program, pull, (block) => penalty.dualNorm(block, loss.outputs, X.cols)));
}

function eachBlock({ loss, X }: Charged, all: Float64Array, use: (block: Float64Array) => number): number[] {
  const size = loss.outputs * X.cols;
  return Array.from({ length: all.length / size }, (_, i) => use(all.subarray(i * size, (i + 1) * size)));
}

/** The largest of a concave function on [0, limit], many scales a trip, until what may be left is nothing to the gap. */
async function bestScale(
  limit: number,
  primal: number,
  values: (scales: Float64Array) => Promise<Float64Array>,
): Promise<number> {
  let low = 0;
  let high = Number.isFinite(limit) ? limit : 2;
  let best = Number.NEGATIVE_INFINITY;
  const own = Math.min(1, high); // the gradient itself, where it is feasible
  for (let trip = 0; trip < MOST_TRIPS; trip++) {
    const grid = Float64Array.from({ length: SCALES }, (_, k) => low + ((high - low) * k) / (SCALES - 1));
    const found = await values(trip === 0 ? concatenated(grid, Float64Array.of(own)) : grid);
    let at = 0;
    for (let k = 0; k < SCALES; k++) if (found[k] > found[at]) at = k;
    for (const value of found) best = Math.max(best, value);
    const [left, right] = [Math.max(0, at - 1), Math.min(SCALES - 1, at + 1)];
    // A concave function rises no more beside its best sample than it fell to the sample next to that.
    const open = found[at] - Math.min(found[left], found[right]);
    if (open <= ENOUGH * Math.max(primal - best, Number.EPSILON * Math.abs(primal))) break;
    [low, high] = [grid[left], grid[right]];
  }
  return best;
}

function minus(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, k) => value - b[k]);
}
