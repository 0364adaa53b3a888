/**
 * ReLU networks whose neurons feed all outputs: descent of all neurons, a bound by prices over the gates in hand, a search beyond
 * them, newcomers, again.
 *
 * Weight decay charges |w| |a|_2 for a neuron that feeds C outputs; the convex program with cones, where each neuron feeds one,
 * charges |w| |a|_1. The exact convex program is over a copositive cone and NP-hard (Sahiner et al. 2021), so the network is found by
 * column generation with a local descent, and its dual point proves how good it is. It begins at the lower end of two descents, from
 * random neurons and from that solution.
 */

import { bestScale, relativeGap } from "../certificate/index.js";
import { FEWEST_STARTS, type GrowthOptions } from "../growth/index.js";
import { bindProducts } from "../kernels/index.js";
import type { Kernels } from "../kernels/types.js";
import { gaussianSource } from "../linear/random.js";
import type { Network } from "../network.js";
import { penaltyOf } from "../operators/blocks.js";
import { dualPointAt } from "../operators/dualPoint.js";
import { type HiddenNeuron, liftNeurons } from "../recovery/index.js";
import { Clock } from "../solvers/clock.js";
import { advice, type SolveBudget } from "../solvers/solution.js";
import type { ConvexProgram, Evidence, Gap, SparseBlocks, Status } from "../types.js";
import { begun, type RandomEnd, secondsToBound } from "./begin.js";
import { dearestAtMost } from "./dearest.js";
import { descendTogether } from "./descent.js";
import { SharingEffort, SLOW } from "./effort.js";
import { networkOf, SharedObjective, sharedNeurons } from "./neurons.js";
import { type PricingBudget, priceShared, type SharedPrices } from "./prices.js";
import { distinct, fromPrices, search } from "./search.js";

/** Neurons below this share of the largest are none. */
const DEAD = 1e-9;
/** Share of the time after which no round begins: the rest is for the bound. */
const SEARCH_SHARE = 0.75;
/** Projections onto cones that a bound may take: of a round, where each counts for all outputs, and the last. */
const PROJECTIONS = 12_000;
export const LAST_PROJECTIONS = 100_000;
/** The last one where nobody said how far to go: the bound should not cost more than the network. Then it is looked into twice at most. */
const PATIENT_PROJECTIONS = 12_000;
const PATIENT_BOUNDS = 2;
/** Rounds that end it: in all, and in a row without progress. */
const MAX_ROUNDS = 100;
const STUCK_ROUNDS = 3;
/** With the neurons that the last bound has found dear it goes on while the gap falls to this share. */
const CLOSING = 0.8;
/** A round that gains less than this share of the tolerance made no progress. */
const GAIN = 0.1;

/** The network, the bound that its residual gives, and the gates that the bound is about. */
export interface SharedSolution {
  readonly network: Network;
  readonly gap: Gap;
  readonly dualPoint: Float64Array; // [n x C], whose objective is the bound
  readonly status: Status;
  readonly advice: string;
  readonly program: ConvexProgram;
  /** The network as a point of the program, where a neuron that feeds several outputs is several. */
  readonly blocks: SparseBlocks;
  /** What the program charges that point. */
  readonly charged: number;
  readonly evidence: Evidence;
  readonly iterations: number;
  readonly seconds: number;
}

/** A round: the network so far, and the gap over the gates in hand. */
export interface SharedRound {
  readonly index: number;
  readonly seconds: number;
  readonly gap: Gap;
  readonly network: Network;
}

export interface SharedBudget extends Omit<SolveBudget, "onRound"> {
  readonly onRound?: ((round: SharedRound) => Promise<boolean> | boolean) | undefined;
}

export interface SharingOptions extends GrowthOptions {
  readonly units: number; // most neurons that the network may have
  /** Where a descent from random neurons has ended that was made before. */
  readonly random?: RandomEnd | null | undefined;
}

const PER_OUTPUT = 'with vectorPenalty: "perOutput" each neuron feeds one output, and the bound is tight.';
const HURRIED = "before the network whose neurons feed several outputs and its bound were done";
/** What is said where the bound is not within the tolerance: that takes more than time, since the exact one is NP-hard. */
const SHARED_ADVICE: Partial<Record<Status, string>> = {
  stalled:
    "The descent found no better network, but the bound does not prove it to the tolerance: for neurons that feed several outputs " +
    `that is NP-hard; ${PER_OUTPUT}`,
  timeLimit: `The time was over ${HURRIED}: raise \`timeLimit\`; ${PER_OUTPUT}`,
  slowed:
    `Neurons that feed several outputs gain little more: the second half of the work brought less than ${100 * SLOW} %. Set \`timeLimit\` to what ` +
    `you can wait, or \`tolerance\`, and start from this result to go on; ${PER_OUTPUT}`,
  iterationLimit: `The rounds were over ${HURRIED}: raise \`maxIterations\`; ${PER_OUTPUT}`,
};

/** True where neurons of a program's network may feed several outputs: a smooth loss over plain or summed patches. */
export function mayShareOutputs({ cones, loss, pooling }: Pick<ConvexProgram, "cones" | "loss" | "pooling">): boolean {
  return cones && loss.outputs > 1 && Number.isFinite(loss.curvature) && (pooling?.positions ?? 1) === 1;
}

/** Improves a network of a program with cones; its gates, and those of the neurons that it ends with, are those of the bound. */
export async function shareOutputs(
  start: ConvexProgram,
  network: Network,
  kernels: Kernels,
  budget: SharedBudget,
  options: SharingOptions,
): Promise<SharedSolution> {
  const { patient = false } = budget;
  const stopped = budget.stopped ?? (() => false);
  const whole = new Clock(budget.seconds, stopped);
  // What was cut short had the time of the search: the rest is for the bound.
  const cut = options.random?.ended === false;
  const widest = Math.max(
    network.neurons.length,
    (options.random?.point.neurons.outputs.length ?? 0) / start.loss.outputs,
  );
  const clock = new Clock(cut ? 0 : secondsToSearch(budget.seconds, start, widest), stopped);
  const objective = new SharedObjective(start, kernels);
  const random = options.random ?? { draw: gaussianSource(options.seed), effort: new SharingEffort(start, patient) };
  const { draw, effort } = random;
  const from = sharedNeurons(network.neurons, start.X.cols, network.bias);
  let { neurons, value, outputs } = await begun(from, start, kernels, clock, options.units, random);
  const pause = () => clock.pause();
  // Where there is no time to look for neurons, or at the gates of the program as well, the bound is about those that are there.
  const kept = ({ neurons: living }: Network) => {
    const short = cut || secondsToBound(start, start.gates.count + living.length) > whole.left;
    return short && living.length > 0 && !start.gates.complete ? null : start.gates;
  };
  let stuck = 0;
  let closest = Number.POSITIVE_INFINITY; // the least gap so far, where all of the bound was looked into
  let tried = 0;
  let bounds = 0; // that were looked into
  let before = Number.POSITIVE_INFINITY; // the value a round ago
  for (let round = 0; ; round++) {
    const living = networkOf(neurons, start.pooling, DEAD);
    const { program, blocks } = liftNeurons(start, hidden(living), living.bias, kept(living), kernels);
    const Z = outputs ?? objective.predict(neurons);
    const N = dualPointAt(program, Z);
    const exact = { tolerance: budget.tolerance / 2, pause: () => whole.pause(), late: () => whole.late };
    const most = () => (patient ? effort.forLast(PATIENT_PROJECTIONS) : LAST_PROJECTIONS);
    const final = (await clock.pause()) || effort.slowed;
    const some = final ? most() : effort.forRound(Math.ceil(PROJECTIONS / start.loss.outputs));
    const rough = await sharedGap(program, kernels, value, N, { ...exact, projections: some });
    const hurried = await clock.pause(); // then a search says little of what is outside
    const starts = hurried ? FEWEST_STARTS : effort.starts(options.starts);
    const outside = whole.over ? [] : await search(objective, program, kernels, N, starts, draw, () => whole.pause());
    tried += outside.length;
    effort.search(outside.length);
    effort.mark(value);
    const found = outside.reduce((most, { price }) => Math.max(most, price), rough.prices.lower) / program.beta;
    stuck = before - value > GAIN * budget.tolerance * value ? 0 : stuck + 1;
    const seconds = clock.seconds;
    const asked = (await budget.onRound?.({ index: round, seconds, gap: rough.gap, network: living })) === true;
    const quiet = (found <= 1 + budget.tolerance && !hurried) || stuck >= STUCK_ROUNDS;
    const slowed = effort.slowed;
    const ended = statusAt(rough.gap, { quiet, asked, slowed, halted: await clock.pause() }, round, budget);
    // What is still open of the bound is looked into before the end only: no round needs it. Then it may find dear neurons, too.
    const unproven = ended === "stalled" || ended === "timeLimit" || ended === "slowed";
    const open = unproven && !whole.over && !final;
    const sharper = open ? await sharedGap(program, kernels, value, N, { ...exact, projections: most() }) : rough;
    if (open) bounds += 1;
    const bestRatio = Math.max(found, sharper.prices.lower / program.beta);
    // It begins anew, and may have had no time.
    const { gap: last, scale } = sharper.gap.dual > rough.gap.dual ? sharper : rough;
    const better =
      last.relative > budget.tolerance && bestRatio > 1 + budget.tolerance && last.relative < CLOSING * closest;
    const roomy = 2 * (whole.seconds - seconds) < budget.seconds - whole.seconds; // for the bound, once more
    const goesOn =
      ended === "stalled" &&
      better &&
      roomy &&
      (!patient || bounds < PATIENT_BOUNDS) &&
      round + 1 < Math.min(MAX_ROUNDS, budget.maxIterations);
    if (open) closest = Math.min(closest, last.relative);
    if (ended !== null && !goesOn) {
      const status = unproven && last.relative <= budget.tolerance ? "solved" : ended;
      return {
        ...{
          network: living,
          gap: last,
          dualPoint: N.map((value) => scale * value),
          status,
          advice: SHARED_ADVICE[status] ?? advice[status],
          program,
          blocks,
          charged: start.loss.value(Z) + penaltyOf(program, blocks),
        },
        ...{ evidence: { bestRatio, starts: tried }, iterations: round + 1, seconds: clock.seconds },
      };
    }
    const newcomers = distinct([...fromPrices(sharper.prices), ...outside], program.beta * (1 + budget.tolerance));
    before = value;
    const moved = await descendTogether(neurons, newcomers, options.units, start, kernels, pause, effort);
    if (moved.value < value) ({ neurons, value, outputs } = moved);
  }
}

/** All but a share, and all but what the bound of the program's gates and those of so many neurons takes where that is no more than half. */
function secondsToSearch(seconds: number, program: ConvexProgram, neurons: number): number {
  const bound = secondsToBound(program, program.gates.count + neurons);
  return Math.min(SEARCH_SHARE * seconds, bound < seconds / 2 ? seconds - bound : seconds);
}

/** Why to stop, or null. */
function statusAt(
  gap: Gap,
  { quiet, asked, slowed, halted }: Readonly<Record<"quiet" | "asked" | "slowed" | "halted", boolean>>,
  round: number,
  budget: SharedBudget,
): Status | null {
  if (!Number.isFinite(gap.primal)) return "nonFinite";
  if (quiet) return gap.relative <= budget.tolerance ? "solved" : "stalled";
  if (asked || budget.stopped?.() === true) return "cancelled";
  if (halted) return "timeLimit";
  if (slowed) return gap.relative <= budget.tolerance ? "solved" : "slowed";
  return round + 1 >= Math.min(MAX_ROUNDS, budget.maxIterations) ? "iterationLimit" : null;
}

/** The gap to the bound of a network's dual point N [n x C], scaled until no neuron of these gates is dearer than beta. */
export async function sharedGap(
  program: ConvexProgram,
  kernels: Kernels,
  primal: number,
  N: Float64Array,
  budget: PricingBudget,
): Promise<{ gap: Gap; prices: SharedPrices; scale: number }> {
  const judged = (prices: SharedPrices) => {
    const { value: dual, scale } = bestScale(program, N, program.beta / prices.upper);
    return { gap: { primal, dual, relative: relativeGap(primal, dual, program) }, prices, scale };
  };
  if (budget.late?.() === true) return judged({ upper: dearestAtMost(program, N, kernels), lower: 0, dearest: [] });
  const products = bindProducts(program, kernels);
  try {
    return judged(await priceShared(program, kernels, products, N, budget));
  } finally {
    products.dispose();
  }
}

/** Neurons as `liftNeurons` wants them. */
function hidden({ neurons }: Network): HiddenNeuron[] {
  return neurons.map(({ direction, output }) => ({ weights: direction, outputs: output }));
}
