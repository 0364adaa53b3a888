/** Where sharing begins: the lower end of two descents, from random neurons and from a network. */

import { firstPause, mayDescendRoughly } from "../growth/index.js";
import type { Kernels } from "../kernels/types.js";
import { gaussianSource } from "../linear/random.js";
import { Clock } from "../solvers/clock.js";
import type { SolveBudget } from "../solvers/solution.js";
import type { ConvexProgram } from "../types.js";
import { descendTogether } from "./descent.js";
import { SharingEffort } from "./effort.js";
import { type SharedNeurons, SharedObjective } from "./neurons.js";
import { workOfGate } from "./prices.js";
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
/**
 * Where a limit is enough for more steps than these, more neurons get lower: twice as many where it is enough for four times as many,
 * up to the most, and to the rows (digits of 65 columns, 15 s: 0.18313 with 200, 0.18298 with 400, 0.18322 with 960).
 */
const LONG_STEPS = 1000;
const MOST_NEURONS = 1000;
/** Drawing them takes some passes over the data: what follows the descent takes so many times as long, and the judge of it all. */
const AFTERWARDS = 4;
const JUDGING = 2;
/** Of the time that is left, what these may take at most. */
const MOST_REST = 0.5;
/** Of the time that is left: what the second of two descents takes before it is asked whether it gets below the first. */
const SECOND_SHARE = 0.1;
/** A bound of all gates goes through the data for each, at so many multiplications a second; there is time for it where this share is enough. */
const BOUND_RATE = 2.2e9;
const BOUND_SHARE = 1 / 6;
/** Multiplications for each entry of the data that making a neuron's gate takes. */
const PATTERN = 3;
/** A descent that makes fewer steps than these is steep to its end, and has that time, too. */
const STEEP_STEPS = 100;

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
  const start = await drawn(
    program,
    kernels,
    Math.min(units, neuronsFor(program, effort, clock.left)),
    clock,
    draw,
    effort,
  );
  const drawing = clock.seconds;
  const many = start.outputs.length / program.loss.outputs;
  const bound = secondsToBound(program, many);
  const kept = bound < BOUND_SHARE * clock.left && effort.stepsIn(clock.left, many) >= STEEP_STEPS;
  const pause = firstPause(clock, Math.min(AFTERWARDS * drawing, MOST_REST * clock.left) + (kept ? bound : 0));
  const point = await descendTogether(start, [], units, program, kernels, pause, effort);
  return { point, effort, draw, ended: !(await pause()), judging: JUDGING * drawing };
}

/** Seconds that so many gates and a bound of them are foretold to take. */
export function secondsToBound(program: Pick<ConvexProgram, "X" | "loss">, gates: number): number {
  return (gates * (PATTERN * program.X.rows * program.X.cols + workOfGate(program))) / BOUND_RATE;
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
  const descend = (from: SharedNeurons, hopeless?: (lowest: number, before: number) => boolean) =>
    descendTogether(from, [], units, program, kernels, pause, effort, hopeless);
  const given = { neurons: network, value: new SharedObjective(program, kernels).value(network) };
  if ((await pause()) && point === null) return given;
  const many = Math.min(
    units,
    Math.max(neuronsFor(program, effort, clock.left), network.outputs.length / network.bias.length),
  );
  const random = point ?? (await descend(await drawn(program, kernels, many, clock, draw, effort)));
  const most = SECOND_SHARE * clock.left;
  const from = clock.seconds;
  /** Another window as the last one would not bring it below the random one's end, and it has taken its time. */
  const hopeless = (lowest: number, before: number) =>
    (effort.dear || clock.seconds - from > most) && 2 * lowest - before > random.value;
  const other = (await pause()) ? given : await descend(network, hopeless);
  return random.value < other.value ? random : other;
}

function neuronsFor({ X, loss }: ConvexProgram, effort: SharingEffort, seconds: number): number {
  const long = Math.sqrt(effort.stepsIn(seconds, FIRST_NEURONS) / LONG_STEPS);
  if (Number.isFinite(long) && long > 1) {
    return Math.max(FIRST_NEURONS, Math.min(Math.floor(long * FIRST_NEURONS), MOST_NEURONS, loss.rows));
  }
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
  const rough = await mayDescendRoughly(program, kernels, () => clock.pause());
  const m = effort.neuronsIn(clock.left, most, rough);
  return randomNeurons(new SharedObjective(program, kernels), program, kernels, m, draw);
}
