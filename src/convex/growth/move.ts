/** A move of a growth: neurons and newcomers descend the network's own objective, which is cheap on any number of rows. */

import type { Kernels } from "../kernels/types.js";
import { dualPointAt } from "../operators/dualPoint.js";
import type { Clock } from "../solvers/clock.js";
import { descended, joined, living, neuronsOf, outputsOf, programAt, smallNeurons } from "./descents/index.js";
import type { Effort } from "./effort.js";
import { resized } from "./neuronSizes.js";
import { distinct, type Priced, randomStarts, search, worthOf } from "./oracle.js";
import { fall, JOINING, type State } from "./state.js";

/** Steps of the descent from a solution, and where solves are dear. */
const DESCENT = 120;
const LONG_DESCENT = 200;
/** Steps after which newcomers below this share of the largest size are let go: most of them die out. */
const SETTLING = 40;
const DYING = 1e-3;
/** Size of newcomers against the mean of those that are there. */
const JOINING_SIZE = 0.05;
/** Descents between two solves at most, each after one that has taken more than this share off the objective. */
const TURNS = 20;
const STEEP = 5e-3;
/** A descent that gains less than this share of the tolerance is none. */
export const GAIN = 0.1;

/** What all rounds of a growth share. */
export interface Growing {
  readonly kernels: Kernels;
  readonly clock: Clock;
  readonly tolerance: number;
  readonly starts: number;
  readonly draw: () => number;
  readonly effort: Effort;
  /** True when what is left of the time is for the last bound. */
  readonly due: () => boolean;
}

/**
 * Lets neurons and newcomers descend the network's objective, again with fresh newcomers while that is steep, or once and further
 * where solves are `dear`; null when it gains next to nothing.
 */
export async function move(
  { program, blocks }: State,
  worth: readonly Priced[],
  objective: number,
  { kernels, clock, tolerance, starts, draw, due, effort }: Growing,
  dear: boolean,
): Promise<State | null> {
  let neurons = neuronsOf(program, blocks);
  if (neurons.scales.length === 0) return null;
  const d = program.X.cols;
  const pause = async () => (await clock.pause()) || due();
  const began = effort.total;
  let newcomers = worth;
  let lowest = objective;
  for (let turn = 0; turn < TURNS; turn++) {
    // |w| = |a| in every neuron, so a^2 is its size.
    const mean = neurons.scales.reduce((sum, a) => sum + a * a, 0) / neurons.scales.length;
    let start = joined(neurons, smallNeurons(distinct(newcomers, JOINING), d, JOINING_SIZE * mean));
    const sized = dear ? await resized(program, kernels, start, pause) : null;
    start = sized ?? living((await descended(program, kernels, start, SETTLING, pause)).neurons, DYING);
    const steps = effort.affordable(dear ? LONG_DESCENT : DESCENT, start.scales.length);
    const lower = await descended(program, kernels, start, steps, pause);
    effort.descent(lower.steps + SETTLING, start.scales.length);
    const gain = fall(lowest, lower.value);
    if (!(gain > 0)) break;
    neurons = lower.neurons;
    lowest = lower.value;
    if (dear || gain < STEEP || effort.moved(began) || (await pause())) break;
    const N = dualPointAt(program, outputsOf(program, kernels, neurons));
    const found = await search(program, kernels, N, randomStarts(program, kernels, starts, draw), pause);
    effort.search(starts);
    newcomers = worthOf(found, program, tolerance);
  }
  return lowest < objective * (1 - GAIN * tolerance) ? programAt(program, neurons, kernels) : null;
}
