/** The gap of a point by sums over shards: objective, prices and the dual objective, each exact. */

import { concatenated } from "../linear/vectors.js";
import type { ConvexProgram } from "../types.js";
import type { FromState } from "./cluster.js";
import type { RowSums } from "./crew.js";
import { type BiasSums, bestBias, biasSums } from "./outputBias.js";
import { type BlockSpace, penaltyOf } from "./space.js";

/** Scales of the dual point that are tried in one trip, and trips at most: a part of 1 / 8 is left after each. */
const SCALES = 17;
const MOST_TRIPS = 7;
/** Of the gap: what another trip may still bring when it is left out. */
const ENOUGH = 1e-3;

/** A point and the state of the shards that it is. */
export interface Judged {
  readonly from: FromState;
  readonly blocks: Float64Array; // [B x C x d]
  readonly bias: Float64Array; // [C]
}

/** A bound of the program from below, the objective of blocks that all rows allow, and the bias with which it is one. */
export interface Verdict {
  readonly primal: number;
  readonly dual: number;
  readonly blocks: Float64Array; // [B x C x d]
  readonly bias: Float64Array; // [C]; where it is free the best for these blocks
}

type Charged = Pick<ConvexProgram, "penalty" | "beta" | "outputBias" | "loss" | "X">;

/** Objective and bound at a point; a free bias is minimised over first, so that the gradient there is balanced. */
export async function judge(crew: RowSums, program: Charged, space: BlockSpace, point: Judged): Promise<Verdict> {
  const { beta, outputBias, loss } = program;
  const C = loss.outputs;
  const bias = await balanced(program, point.bias, (c) => constantsAt(crew, point, c));
  const answer = await pullAt(crew, point, bias);
  const sums = answer.subarray(1, 1 + C);
  const ridge = outputBias?.ridge ?? 0;
  const inside = await space.inside(crew, point.blocks);
  const own = inside.moved
    ? await objectiveAside(crew, program, space, { ...point, blocks: inside.blocks })
    : { primal: answer[0] + chargeOf(program, point.blocks, bias), bias };
  const { primal } = own;
  const largest = space.largestPrice(answer.subarray(1 + C), beta);
  // What rounding left of the sums of the columns is taken off every row, so that they are zero.
  const free = outputBias !== null && ridge === 0;
  const rest = free ? sums.map((sum) => sum / loss.rows) : new Float64Array(C);
  const cost = (s: number) => (ridge > 0 ? sums.reduce((sum, value) => sum + (s * value) ** 2, 0) / (4 * ridge) : 0);
  const head = concatenated(minus(bias, point.bias), rest);
  const dual = await bestScale(beta / largest, primal, async (scales) => {
    const conjugates = await crew.ask({ ...point.from, op: "conjugates" }, concatenated(head, scales));
    return conjugates.map((value, k) => -value - cost(scales[k]));
  });
  return { ...own, dual, blocks: inside.blocks };
}

/** The objective of blocks that are not the state's, with the best bias for them where it is free. */
async function objectiveAside(
  crew: RowSums,
  program: Charged,
  space: BlockSpace,
  { from, blocks, bias: start }: Judged,
): Promise<Pick<Verdict, "primal" | "bias">> {
  await crew.lookAside(space.folded(blocks), start);
  const at = async (c: Float64Array) => {
    const call = { ...from, op: "bias", aside: true } as const;
    return biasSums(await crew.ask(call, minus(c, start)), c.length);
  };
  const bias = await balanced(program, start, at);
  const { value } = await at(bias);
  return { primal: value + chargeOf(program, blocks, bias), bias };
}

function chargeOf(program: Charged, blocks: Float64Array, bias: Float64Array): number {
  const ridge = program.outputBias?.ridge ?? 0;
  return program.beta * penaltyOf(program, blocks) + ridge * bias.reduce((sum, c) => sum + c * c, 0);
}

/** The largest price of the gradient at the best network without neurons, whose bias `point` has: no beta above it lets a neuron in. */
export async function priceAt(crew: RowSums, program: Charged, space: BlockSpace, point: Judged): Promise<number> {
  const answer = await pullAt(crew, point, point.bias);
  return space.exactPrice(crew, answer.subarray(1 + program.loss.outputs));
}

/** The loss where all outputs are some constants [C], from a point without neurons, and the sums of its derivatives. */
export async function constantsAt(crew: RowSums, { from, bias }: Judged, c: Float64Array) {
  return biasSums(await crew.ask({ ...from, op: "bias" }, minus(c, bias)), c.length);
}

/** The bias of a point, the best one where it is free. */
async function balanced(
  { outputBias }: Charged,
  start: Float64Array,
  at: (c: Float64Array) => Promise<BiasSums>,
): Promise<Float64Array> {
  return outputBias === null || outputBias.ridge > 0 ? start : bestBias(at, outputBias, start);
}

function pullAt(crew: RowSums, { from, bias }: Judged, at: Float64Array): Promise<Float64Array> {
  return crew.ask({ ...from, op: "judge" }, minus(at, bias));
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
