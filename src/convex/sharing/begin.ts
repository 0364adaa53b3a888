/** Where sharing begins: the lower end of two descents, from random neurons and from a network. */

import { firstPause, neuronsInTime } from "../growth/index.js";
import type { Kernels } from "../kernels/types.js";
import { gaussianSource } from "../linear/random.js";
import { Clock } from "../solvers/clock.js";
import type { SolveBudget } from "../solvers/solution.js";
import type { ConvexProgram } from "../types.js";
import { descendTogether } from "./descent.js";
import { SharingEffort } from "./effort.js";
import { type SharedNeurons, SharedObjective } from "./neurons.js";
import { randomNeurons } from "./randomStart.js";

/**
 * Neurons of the descent from random ones, where there is time for so many. Where nobody set a time and so many steps of them all are too
 * dear, as many as the columns ask for, but never fewer than the fewest: filters of 3 x 3 on digits end at 1.3817 with 100 and with 200,
 * in half the time, digits of 65 columns at 0.1837 and 0.1831.
 */
const FIRST_NEURONS = 200;
const FEWEST_NEURONS = 100;
const EACH_COLUMN = 10;
const FAR = 500;
/** Drawing them takes some passes over the data: what follows the descent takes so many times as long, and the judge of it all. */
const AFTERWARDS = 4;
const JUDGING = 2;
/** Of the time that is left, what these may take at most. */
const MOST_REST = 0.5;
/** A bound of all gates goes through the data for each, at so many multiplications a second; there is time for it where this share is enough. */
const BOUND_RATE = 1.5e9;
const BOUND_SHARE = 1 / 6;

/** Neurons, and what the network's objective is there. */
export interface SharedPoint {
  readonly neurons: SharedNeurons;
  readonly value: number;
}

/** Where a descent from random neurons ended, and what it has drawn and spent. */
export interface RandomEnd {
  readonly point: SharedPoint;
  readonly effort: SharingEffort;
  readonly draw: () => number;
  /** False where it was cut short. */
  readonly ended: boolean;
  /** Seconds of the judge of what comes of it, after all that. */
  readonly judging: number;
}

/** The end of a descent from at most `units` random neurons, for `shareOutputs` to go on from: it may be all that there is time for. */
export async function descendFromRandom(
  program: ConvexProgram,
  kernels: Kernels,
  { seconds, stopped = () => false, patient = false }: Pick<SolveBudget, "seconds" | "stopped" | "patient">,
  { seed, units }: { readonly seed: number; readonly units: number },
): Promise<RandomEnd> {
  const draw = gaussianSource(seed);
  const effort = new SharingEffort(program, patient);
  const clock = new Clock(seconds, stopped);
  const start = await drawn(program, kernels, Math.min(units, neuronsFor(program, effort)), clock, draw, effort);
  const drawing = clock.seconds;
  const bound = secondsToBound(program, start.outputs.length / program.loss.outputs);
  const rest = Math.min(AFTERWARDS * drawing, MOST_REST * clock.left);
  const pause = firstPause(clock, rest + (bound < BOUND_SHARE * clock.left ? bound : 0));
  const point = await descendTogether(start, [], units, program, kernels, pause, effort);
  return { point, effort, draw, ended: !(await pause()), judging: JUDGING * drawing };
}

/** Seconds that a bound of the gates of so many neurons is foretold to take. */
export function secondsToBound({ X, loss }: Pick<ConvexProgram, "X" | "loss">, neurons: number): number {
  return (neurons * X.rows * X.cols * loss.outputs) / BOUND_RATE;
}

/** The lower end of two descents, from random neurons and then from a network, which stays as it is where time is over before that. */
export async function begun(
  network: SharedNeurons,
  program: ConvexProgram,
  kernels: Kernels,
  clock: Clock,
  units: number,
  { effort, draw, point = null }: Pick<RandomEnd, "effort" | "draw"> & { readonly point?: SharedPoint | null },
): Promise<SharedPoint> {
  const pause = () => clock.pause();
  const descend = (from: SharedNeurons, goal?: number) =>
    descendTogether(from, [], units, program, kernels, pause, effort, goal);
  const given = { neurons: network, value: new SharedObjective(program, kernels).value(network) };
  if ((await pause()) && point === null) return given;
  const most = Math.min(units, Math.max(neuronsFor(program, effort), network.outputs.length / network.bias.length));
  const random = point ?? (await descend(await drawn(program, kernels, most, clock, draw, effort)));
  const other = (await pause()) ? given : await descend(network, random.value);
  return random.value < other.value ? random : other;
}

function neuronsFor({ X }: ConvexProgram, effort: SharingEffort): number {
  if (effort.steps(FAR, FIRST_NEURONS) === FAR) return FIRST_NEURONS;
  return Math.max(FEWEST_NEURONS, Math.min(FIRST_NEURONS, EACH_COLUMN * X.cols));
}

/** At most so many random neurons, as many as the time is enough for. */
async function drawn(
  program: ConvexProgram,
  kernels: Kernels,
  most: number,
  clock: Clock,
  draw: () => number,
  effort: SharingEffort,
): Promise<SharedNeurons> {
  const few = effort.neuronsIn(clock.left, most);
  const m = await neuronsInTime(program, kernels, few, clock.left, () => clock.pause());
  return randomNeurons(new SharedObjective(program, kernels), program, kernels, m, draw);
}
