/** Where a growth stands: a program with its gates so far, and a point of it. */

import { GateCollector } from "../arrangements/gateCollector.js";
import { GapJudge } from "../certificate/index.js";
import { bindProducts } from "../kernels/index.js";
import type { Kernels } from "../kernels/types.js";
import { inTurns } from "../linear/pieces.js";
import { gaussianSource } from "../linear/random.js";
import { dot } from "../linear/vectors.js";
import { slopeOf } from "../network.js";
import { blockOutputs, columnsOf, predict, zeroBlocks } from "../operators/blocks.js";
import { biasAlone, dualPointAt } from "../operators/dualPoint.js";
import { sparse } from "../recovery/lift.js";
import { Clock } from "../solvers/clock.js";
import { advice, type Solution, type SolveBudget } from "../solvers/solution.js";
import { chooseSolver, withProducts } from "../solvers/solve.js";
import type { ConvexProgram, SparseBlocks } from "../types.js";
import {
  descended,
  descendsRoughly,
  type MovingNeurons,
  outputsOf,
  programAt,
  smallNeurons,
} from "./descents/index.js";
import { type Effort, passOver } from "./effort.js";
import { evenly } from "./evenly.js";
import { distinct, type Priced } from "./oracle.js";
import { RESERVE, secondsToJudge } from "./pace.js";

/**
 * Steps of the descent from random neurons at most; it ends where a window of them together takes less than this share off the objective, as
 * other rounds then do more. The last fifth of the time is for these where it is no longer steep; else it has all but what the bound takes,
 * which is reckoned as this share at most. Where neurons are few a row, more of the time is for rounds, since newcomers bring what more steps do
 * not (a fifth, three fifths: 5,000 x 50, 268 neurons, 15 s, 0.0202 and 0.0192; 400 neurons on 1,000 rows, 5 s, 0.00608 and 0.00610).
 */
const FIRST_DESCENT = 4000;
const WINDOW = 50;
const WORTHWHILE = 3e-4;
const STEEP = 3e-3;
const FIRST_TIME = 0.8;
const FEW_A_ROW = 1 / 3;
const FIRST_TIME_OF_FEW = 0.4;
const MOST_REST = 0.5;
/**
 * Where time is short, fewer neurons descend, so that they come this many steps far at this many multiplications a second, in float64
 * and in float32.
 */
const FIRST_STEPS = 400;
const RATE = 3e9;
const ROUGH_RATE = 12e9;
/** The same of several outputs. */
const ROUGH_RATE_OF_SEVERAL = 6e9;
const FEWEST_NEURONS = 60;
/**
 * So many are worth having where they come this far: spambase after 2 s, 100, 200 and 300 neurons, 0.13980, 0.13932 and 0.14116; 5,000 x 50
 * after 0.6 s, 100, 150 and 200, 0.0494, 0.0437 and 0.0481, after 1.5 s 0.0391, 0.0290 and 0.0267; 20,000 x 50 after a second, 60, 100 and
 * 200, 0.1259, 0.1287 and 0.1449.
 */
const ENOUGH_NEURONS = 200;
const ENOUGH_STEPS = 80;
/**
 * What random neurons say together at first, of the loss's own Newton step: a descent has to unlearn what they say at random, and
 * finds nothing where they say next to nothing (200 neurons, Boston, after 100 evaluations: 0.0550 from all of it, 0.0455 from a
 * tenth, 0.0493 from a hundredth).
 */
const FIRST_SHARE = 0.1;
/**
 * |w| / |a| of random neurons, whose |w| are alike and whose |a| are not: what they say then changes faster than where they turn, and
 * those that say little turn when others have found their place. 200 neurons, after a second, with a ratio of 1 and all alike, and so:
 * Figure 1 recipe, n = 1,000, 0.00658 and 0.00620, wine-quality 0.2454 and 0.2424, pima 0.3541 and 0.3523 (ratios of 16 and 256:
 * 0.00634 and 0.00628, 0.2446 and 0.2475, 0.3529 and 0.3553; a ratio of 1 with outputs that are not alike 0.00647).
 */
const FIRST_RATIO = 64;
const SIZES_SEED = 4177;
/** Directions that are made between two turns of the host. */
const TOGETHER = 32;
/** Seconds of it that are taken whatever the time. */
const MOMENT = 0.2;
/** Newcomers that join at once, the dearest first. */
export const JOINING = 100;

/** A program, for the sake of its gates, and a point of it. */
export interface State {
  readonly program: ConvexProgram;
  readonly blocks: SparseBlocks;
}

/** The best network without neurons. */
export function zeroState(program: ConvexProgram): State {
  return { program, blocks: { ...zeroBlocks(program), bias: biasAlone(program) } };
}

/** Neurons along the generators of the first gates, half of them turned to cut the rows evenly, outputs and signs in turn, after a first descent. */
export async function firstState(
  program: ConvexProgram,
  kernels: Kernels,
  clock: Clock,
  effort: Effort,
): Promise<State> {
  const { X, gates, loss, outputBias } = program;
  const Z = new Float64Array(loss.rows * loss.outputs);
  const still = zeroState(program);
  const { bias } = still.blocks;
  for (let k = 0; k < Z.length; k++) Z[k] = bias[k % loss.outputs];
  const C = blockOutputs(program);
  const generator = (i: number) => gates.generators.data.subarray(i * X.cols, (i + 1) * X.cols);
  const directions: { direction: Float64Array; output: number; sign: 1 | -1 }[] = [];
  const count = await neuronsInTime(program, kernels, gates.count, FIRST_TIME * clock.left, firstPause(clock));
  const rest = Math.min(MOST_REST * clock.left, RESERVE * secondsToJudge(program, count));
  const pause = firstPause(clock, rest, 1);
  const early = clock.part(count < FEW_A_ROW * loss.rows ? FIRST_TIME_OF_FEW : FIRST_TIME);
  for (let i = 0; i < count; i++) {
    const direction = Math.floor(i / (2 * C)) % 2 === 0 ? generator(i) : evenly(X, generator(i), kernels);
    directions.push({ direction, output: i % C, sign: Math.floor(i / C) % 2 === 0 ? 1 : -1 });
    if (i % TOGETHER === 0) await clock.pause();
  }
  const neurons = { ...smallNeurons(directions, X.cols, 1), bias };
  await clock.pause();
  const size = firstSize(program, kernels, neurons, Z);
  await clock.pause();
  const draw = gaussianSource(SIZES_SEED);
  const alike = smallNeurons(directions, X.cols, size);
  const start = {
    ...alike,
    weights: alike.weights.map((w) => Math.sqrt(FIRST_RATIO) * w),
    scales: alike.scales.map((a) => (Math.abs(draw()) * a) / Math.sqrt(FIRST_RATIO)),
    bias,
  };
  const steps = effort.affordable(FIRST_DESCENT, count);
  const wish = { window: WINDOW, share: () => (early.over ? STEEP : WORTHWHILE) };
  const first = await descended(program, kernels, start, steps, pause, wish);
  effort.descent(first.steps, count);
  const zero = loss.value(Z) + bias.reduce((sum, c) => sum + (outputBias?.ridge ?? 0) * c * c, 0);
  // The zero network is better where beta is so large that neurons die; its gates are those of the program.
  return first.value < zero ? programAt(program, first.neurons, kernels) : still;
}

/** The pause of a first descent, which ends by this share of the time that is left, or so many seconds before that is over. */
export function firstPause(clock: Clock, before = 0, part = FIRST_TIME): () => Promise<boolean> {
  const share = new Clock(Math.min(part * clock.left, Math.max(0, clock.left - before)), clock.stopped);
  // Where posing has taken all of the time, a moment is still well spent: the network without neurons is no answer.
  return async () => (await share.pause()) && (share.stopped() || clock.seconds > MOMENT);
}

/** How many of so many neurons come far enough from a random start in these seconds. */
async function neuronsInTime(
  program: ConvexProgram,
  kernels: Kernels,
  most: number,
  seconds: number,
  pause: () => Promise<boolean>,
): Promise<number> {
  const { X, loss } = program;
  const rate = loss.outputs === 1 ? ROUGH_RATE : ROUGH_RATE_OF_SEVERAL;
  const exactly = Math.min(most, neuronsWithin(RATE * seconds, X));
  const more = Math.min(most, neuronsWithin(rate * seconds, X));
  return more > exactly && (await descendsRoughly(program, kernels, more, pause)) ? more : exactly;
}

/** How many neurons come far enough in so many multiplications: two passes of each are a step. */
function neuronsWithin(multiplications: number, X: ConvexProgram["X"]): number {
  const [far, enough] = [FIRST_STEPS, ENOUGH_STEPS].map((steps) =>
    Math.floor(multiplications / (2 * steps * passOver(X))),
  );
  return Math.max(FEWEST_NEURONS, Math.min(ENOUGH_NEURONS, enough), far);
}

/** The size of each neuron at which their outputs together are a share of the loss's own Newton step from Z. */
function firstSize(program: ConvexProgram, kernels: Kernels, unit: MovingNeurons, Z: Float64Array): number {
  const { loss } = program;
  const N = new Float64Array(Z.length);
  loss.gradient(Z, N);
  return firstScale(N, loss.curvature, outputsOf(program, kernels, unit));
}

/** By what random neurons are to be multiplied that say `outputs` together where the loss has the gradient N. */
export function firstScale(N: Float64Array, curvature: number, outputs: Float64Array): number {
  const wanted = Number.isFinite(curvature) ? rms(N) / curvature : 1;
  const reached = rms(outputs);
  return wanted > 0 && reached > 0 ? (FIRST_SHARE * wanted) / reached : 1;
}

/** A point as it is, with the gap that its residual proves: a round that costs a projection a block, and may be `due` to be the last. */
export async function judged(
  { program, blocks }: State,
  kernels: Kernels,
  budget: SolveBudget,
  clock: Clock,
  due: () => boolean,
): Promise<Solution> {
  const dualPoint = dualPointOf({ program, blocks }, kernels);
  const products = bindProducts(program, kernels);
  const late = () => clock.late;
  const work = new GapJudge(program, products, null, late).gapAlone(blocks, dualPoint);
  const pause = async () => {
    await clock.pause();
    return clock.late;
  };
  const gap = await inTurns(work, pause).finally(() => products.dispose());
  const stop = (await budget.onRound?.({ index: 0, seconds: 0, gap, blocks, program })) === true;
  const finite = Number.isFinite(gap.primal) && !Number.isNaN(gap.dual);
  const going = stop || clock.stopped() ? "cancelled" : due() ? "timeLimit" : "solved";
  const status = finite ? going : "nonFinite";
  const solver = chooseSolver(program, budget.solver).name;
  return { status, advice: advice[status], blocks, gap, dualPoint, solver, iterations: 1, seconds: clock.seconds };
}

/** The relative fall of the objective; 1 for the first. */
export function fall(before: number, now: number): number {
  if (!Number.isFinite(before)) return 1;
  return before > 0 ? 1 - now / before : 0;
}

/** The dual point at the predictions. */
export function dualPointOf({ program, blocks }: State, kernels: Kernels): Float64Array {
  const { loss } = program;
  const Z = new Float64Array(loss.rows * loss.outputs);
  withProducts(program, kernels, (products) => predict(program, products, blocks, Z));
  return dualPointAt(program, Z);
}

/** The active gates with their blocks, or `all`, and the new ones. */
export function grown({ program, blocks }: State, worth: readonly Priced[], all: boolean): State {
  const { X, gates } = program;
  const C = blockOutputs(program);
  const d = X.cols;
  const columns = columnsOf(program, blocks.index);
  const collector = new GateCollector(X);
  const places = Array.from(columns.gate, (gate) =>
    collector.placeOf(gates.generators.data.subarray(gate * d, (gate + 1) * d), slopeOf(program.pooling) !== 0),
  );
  for (let i = 0; all && i < gates.count; i++) collector.add(gates.generators.data.subarray(i * d, (i + 1) * d));
  for (const { direction } of all ? distinct(worth, JOINING) : worth) collector.add(direction);
  // A program needs a gate, also where the zero network is optimal.
  if (collector.count === 0) return { program, blocks };
  const vectors = new Map(
    places.map((place, k) => {
      const half = columns.sign[k] > 0 ? 0 : collector.count;
      return [(place + half) * C + columns.output[k], blocks.vectors.subarray(k * d, (k + 1) * d)] as const;
    }),
  );
  return {
    program: { ...program, gates: collector.gateSet(false) },
    blocks: { ...sparse(vectors, d), bias: blocks.bias },
  };
}

function rms(values: Float64Array): number {
  return Math.sqrt(dot(values, values) / values.length);
}
