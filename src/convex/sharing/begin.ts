/** Where sharing begins: the lower end of two descents, from random neurons and from a network. */

import { firstPause, mayDescendRoughly } from "../growth/index.js";
import { type Kernels, rowProductsFor } from "../kernels/index.js";
import { gaussianSource } from "../linear/random.js";
import { transpose } from "../linear/vectors.js";
import { forward } from "../network.js";
import { Clock } from "../solvers/clock.js";
import type { SolveBudget } from "../solvers/solution.js";
import type { ConvexProgram, Matrix } from "../types.js";
import { descendTogether, type SharedPoint } from "./descent.js";
import { SharingEffort } from "./effort.js";
import { type SharedNeurons, SharedObjective } from "./neurons.js";
import { workOfGate } from "./prices.js";
import { randomNeurons } from "./randomStart.js";
import { onSomeSamples } from "./someSamples.js";

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
/** Where the axes of wide rows took more than this share of it, they are not of these passes. */
const AXES_SHARE = 2 / 3;
/**
 * A pass in float64 makes so many multiplications a second. Where it takes this share of the time, what follows is so many of them, or this
 * share of what is left.
 */
const EXACT_RATE = 1.2e9;
const DEAR_PASS = 0.05;
const DEAR_PASSES = 3.5;
const MOST_DEAR_REST = 0.7;
/** Where all samples leave time for fewer steps than these, so many of them descend that there is time for enough. */
const FEW_STEPS = 50;
const ENOUGH_STEPS = 120;
const FEWEST_SAMPLES = 100;
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
  const most = Math.min(units, neuronsFor(program, effort, clock.left));
  const steps = effort.stepsIn(clock.left, effort.neuronsIn(clock.left, most, true));
  const count = Math.max(FEWEST_SAMPLES, Math.ceil((program.loss.rows * steps) / ENOUGH_STEPS));
  const some = steps < FEW_STEPS ? onSomeSamples(program, count, seed) : program;
  const rough = await mayDescendRoughly(some, kernels, () => clock.pause());
  const axes = clock.seconds;
  const start = drawn(some, kernels, most, clock, draw, effort, rough);
  const drawing = clock.seconds;
  const passes = axes > AXES_SHARE * drawing ? drawing - axes : drawing;
  const many = start.outputs.length / program.loss.outputs;
  const bound = secondsToBound(program, many);
  const kept = bound < BOUND_SHARE * clock.left && effort.stepsIn(clock.left, many) >= STEEP_STEPS;
  const pass = (many * program.X.rows * program.X.cols) / EXACT_RATE;
  const hurried = pass > DEAR_PASS * clock.left;
  const rest = hurried
    ? Math.min(DEAR_PASSES * pass, MOST_DEAR_REST * clock.left)
    : Math.min(AFTERWARDS * passes, MOST_REST * clock.left);
  const pause = firstPause(clock, rest + (kept ? bound : 0));
  const descend = (from: SharedNeurons, on: ConvexProgram) =>
    descendTogether(from, [], units, on, kernels, pause, effort, undefined, hurried);
  let point = await descend(start, some);
  if (some !== program && !(await pause())) point = await descend(point.neurons, program);
  const ended = !(await pause());
  if (!ended && (hurried || some !== program)) point = judgedOn(program, kernels, point.neurons);
  return { point, effort, draw, ended, judging: hurried ? rest : JUDGING * drawing };
}

/** Neurons with what they come to on all samples, in float64: one pass over the rows, which need not be held. */
function judgedOn(program: ConvexProgram, kernels: Kernels, neurons: SharedNeurons): SharedPoint {
  const { X, pooling = null } = program;
  const { weights, outputs, bias } = neurons;
  const [d, C] = [X.cols, bias.length];
  const m = outputs.length / C;
  const turned = (data: Float64Array, rows: number, cols: number): Matrix => {
    const across = new Float64Array(data.length);
    transpose(data, cols, rows, across);
    return { rows, cols, data: across };
  };
  const network = { kernel: turned(weights, d, m), gates: null, output: turned(outputs, m, C), bias, pooling };
  const said = forward(network, X, rowProductsFor(kernels, X));
  return { neurons, value: new SharedObjective(program, kernels).value(neurons, said), outputs: said };
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
  const given = { neurons: network, outputs: null, value: new SharedObjective(program, kernels).value(network) };
  if ((await pause()) && point === null) return given;
  const many = Math.min(
    units,
    Math.max(neuronsFor(program, effort, clock.left), network.outputs.length / network.bias.length),
  );
  const rough = point !== null || (await mayDescendRoughly(program, kernels, pause));
  const random = point ?? (await descend(drawn(program, kernels, many, clock, draw, effort, rough)));
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
function drawn(
  program: ConvexProgram,
  kernels: Kernels,
  most: number,
  clock: Clock,
  draw: () => number,
  effort: SharingEffort,
  rough: boolean, // whether they descend in float32
): SharedNeurons {
  const m = effort.neuronsIn(clock.left, most, rough);
  return randomNeurons(new SharedObjective(program, kernels), program, kernels, m, draw);
}
