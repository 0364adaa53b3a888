/** A network that is wider than its layer -> the best one of the layer's width that is found, and what it says of the result. */

import {
  bestScale,
  feedsOneEach,
  GapJudge,
  largestTogether,
  relativeGap,
  sharedAtLeast,
} from "../../convex/certificate/index.js";
import type { Kernels } from "../../convex/kernels/index.js";
import { narrowed } from "../../convex/narrowing/index.js";
import type { Network } from "../../convex/network.js";
import { blockOutputs } from "../../convex/operators/blocks.js";
import { liftNeurons } from "../../convex/recovery/index.js";
import { sharedGap } from "../../convex/sharing/index.js";
import { Clock } from "../../convex/solvers/clock.js";
import { withProducts } from "../../convex/solvers/solve.js";
import type { ConvexProgram, Gap, GateSet, SparseBlocks } from "../../convex/types.js";
import type { Settings } from "../options.js";
import { mayShare } from "../pose/mayShare.js";
import type { PosedSolution, Problem } from "../records.js";
import type { Shared } from "./sharing.js";

/** A network that fits, and its objective in float64 where it had to be narrowed. */
export interface Fitting {
  readonly network: Network;
  readonly value: number | null;
  readonly needed: number; // neurons of the network before
  readonly shares: boolean; // whether neurons came to feed several outputs, or patches, on the way
}

/** The network itself where it fits into `units`; with a constraint there is no objective to descend, and one layer has no width: both stay as they are. */
export async function withinWidth(
  problem: Problem,
  program: ConvexProgram,
  network: Network,
  units: number,
  kernels: Kernels,
  settings: NarrowSettings,
  pause: () => Promise<boolean>,
  from: readonly Network[] = [],
): Promise<Fitting> {
  const needed = network.neurons.length;
  const whole = problem.constraint !== null || problem.formulation.name === "affine";
  if (needed <= units || whole) return { network, value: null, needed, shares: false };
  const options = { ...optionsFor(problem, program, settings), units, pause, from };
  const { network: narrow, value } = await narrowed(program, network, kernels, options);
  return { network: narrow, value, needed, shares: options.shares && feedsOneEach(program) };
}

type NarrowSettings = Pick<Settings, "vectorPenalty" | "tolerance" | "seed">;

function optionsFor(problem: Problem, program: ConvexProgram, { vectorPenalty, tolerance, seed }: NarrowSettings) {
  const { cones, loss, pooling, penalty } = program;
  const positions = pooling?.positions ?? 1;
  const shares = cones
    ? vectorPenalty !== "perOutput" && (mayShare(problem) || positions > 1)
    : !penalty.separable || loss.outputs * positions === 1;
  return { tolerance: Math.max(tolerance, LEAST_GAIN), seed: seed + 3, shares };
}

/**
 * Asks after each round of a growth whether the layer's width costs more than what is left to gain: then exact solves would sharpen
 * a bound that the network is far from anyway.
 */
export class WidthProbe {
  /** The best network of the width so far. */
  network: Network | null = null;
  private value = Number.POSITIVE_INFINITY;
  private asked = Number.POSITIVE_INFINITY; // what was left to gain when it was last looked

  constructor(
    private readonly problem: Problem,
    private readonly units: number,
    private readonly kernels: Kernels,
    private readonly settings: NarrowSettings,
    private readonly pause: () => Promise<boolean>,
  ) {}

  async limited(program: ConvexProgram, blocks: SparseBlocks, { primal, dual }: Gap): Promise<boolean> {
    const { problem, units, kernels, settings, pause } = this;
    const left = primal - dual;
    if (blocks.index.length <= units || left > MOST_LEFT * primal) return false;
    if (left <= LOOK_AGAIN * this.asked) {
      this.asked = left;
      const wide = problem.formulation.recover(program, blocks);
      const options = { ...optionsFor(problem, program, settings), units, pause, quick: true };
      const { network, value } = await narrowed(program, wide, kernels, options);
      if (network.neurons.length <= units && value < this.value) [this.network, this.value] = [network, value];
    }
    return left <= ENOUGH * (this.value - dual);
  }
}

/** Of the objective: what may be left to gain for a look at the width; how much less for another. */
const MOST_LEFT = 1;
const LOOK_AGAIN = 0.6;
/** Of the distance between the network of the width and the bound over all: what may be left to gain at the end. */
const ENOUGH = 0.25;

/** A descent that gains less is at its end. */
const LEAST_GAIN = 1e-6;
/** Of the time: what the convex program may take where its solution may be too wide, or where neurons come to share outputs. */
const SOLVE_SHARE = 0.6;
const SOLVE_SHARE_BEFORE_SHARING = 0.15;
/** Neurons that a growth hardly ever ends with more of, in times of its first gates; there are never more than rows and one. */
const GROWN = 2;
/** Of what is left then: what sharing may take where the network may be too wide. */
export const SHARING_SHARE = 0.9;

/** The clock of a whole fit. */
export function clockOf({ timeLimit, signal }: Pick<Settings, "timeLimit" | "signal">): Clock {
  return new Clock(timeLimit, () => signal?.aborted === true);
}

/** The share of the time that the convex program of a problem may take, for a layer with room for so many neurons. */
export function shareOf(problem: Problem, { vectorPenalty }: Pick<Settings, "vectorPenalty">, room: number): number {
  const { program, growth, constraint } = problem;
  const { gates, loss, pooling } = program;
  if (constraint !== null) return 1;
  if (mayShare(problem) && vectorPenalty !== "perOutput") return SOLVE_SHARE_BEFORE_SHARING;
  const outputs = loss.outputs * (pooling?.positions ?? 1);
  const most = growth === null ? (program.cones ? 2 : 1) * gates.count : Math.min(loss.rows + 1, GROWN * gates.count);
  return room < most * outputs ? SOLVE_SHARE : 1;
}

/**
 * The bound for a network that moved to patterns which are not among the program's: they join these, and the dual point is scaled
 * until it is feasible for them, too.
 */
export async function boundWithin(
  program: ConvexProgram,
  { network, value }: Fitting,
  dualPoint: Float64Array, // [n x C], feasible for the gates of the program
  dual: number,
  shares: boolean,
  kernels: Kernels,
  clock: Clock,
): Promise<{ readonly program: ConvexProgram; readonly gap: Gap }> {
  const gapTo = (bound: number): Gap => ({
    primal: value ?? 0,
    dual: bound,
    relative: relativeGap(value ?? 0, bound, program),
  });
  if (!program.cones || program.gates.complete) return { program, gap: gapTo(dual) };
  const hidden = network.neurons.map(({ direction, output }) => ({ weights: direction, outputs: output }));
  const { program: wider } = liftNeurons(program, hidden, network.bias, program.gates, kernels);
  const added = addedGates(wider.gates, program.gates.count);
  if (added.count === 0) return { program, gap: gapTo(dual) };
  const beside = { ...program, gates: added };
  const largest = shares
    ? (
        await sharedGap(beside, kernels, value ?? 0, dualPoint, {
          tolerance: SHARP,
          projections: MOST_PROJECTIONS,
          pause: () => clock.pause(),
          late: () => clock.late,
        })
      ).prices.upper
    : withProducts(
        beside,
        kernels,
        (products) => new GapJudge(beside, products, null, soonLate(clock)).price(dualPoint, program.beta).largest,
      );
  // What is feasible for both is feasible for the union.
  if (largest <= program.beta) return { program: wider, gap: gapTo(dual) };
  return { program: wider, gap: gapTo(Math.min(dual, bestScale(program, dualPoint, program.beta / largest).value)) };
}

/** True after the seconds that prices of the last bound may take: then they stay upper bounds, and the bound is looser. */
function soonLate(clock: Clock): () => boolean {
  const seconds = Math.min(PRICE_SECONDS, Math.max(clock.left, OVER_SHARE * clock.seconds));
  const end = performance.now() + 1000 * seconds;
  return () => performance.now() > end;
}

/** Many positions of many filters have more cones than there is time for, whatever the limit was; and of a time that is over, what they may take. */
const PRICE_SECONDS = 1;
const OVER_SHARE = 0.1;

/** How exact prices of gates are to be where neurons feed all outputs, and projections that they may take. */
const SHARP = 1e-3;
const MOST_PROJECTIONS = 20_000;

/** The gates from a place on. */
function addedGates({ count, rows, bits, generators }: GateSet, from: number): GateSet {
  const words = bits.length / count;
  const { cols, data } = generators;
  return {
    count: count - from,
    rows,
    bits: bits.slice(from * words),
    generators: { rows: count - from, cols, data: data.slice(from * cols) },
    complete: false,
  };
}

/**
 * The solution and what came of sharing, with the network that fits in the place of the one that did not. Where its neurons feed
 * several outputs it is none of the program's, whose own gap stays what is said of those that feed one.
 */
export async function solutionWithin(
  solution: PosedSolution,
  shared: Shared,
  fitting: Fitting,
  kernels: Kernels,
  clock: Clock,
): Promise<{ readonly solution: PosedSolution; readonly shared: Shared }> {
  const { value, shares } = fitting;
  if (value === null) return { solution, shared };
  if (shared.bound !== null && shared.dualPoint !== null) {
    const { program, dual } = shared.bound;
    const wide = await boundWithin(program, fitting, shared.dualPoint, dual, true, kernels, clock);
    return { solution, shared: { ...shared, bound: { ...shared.bound, ...wide.gap, program: wide.program } } };
  }
  const { program, dualPoint, gap } = solution;
  const own = await boundWithin(program, fitting, dualPoint, gap.dual, false, kernels, clock);
  if (!shares) return { solution: { ...solution, program: own.program, gap: own.gap }, shared };
  return { solution, shared: { ...shared, ...boundOfSharing(solution, own.program, value, kernels, clock) } };
}

/** What the dual point of a program whose neurons feed one output each says of those that feed several. */
function boundOfSharing(
  { dualPoint, evidence, allGates }: PosedSolution,
  program: ConvexProgram, // with the gates of the network
  value: number,
  kernels: Kernels,
  clock: Clock,
): Pick<Shared, "bound" | "dualPoint"> {
  const outputs = blockOutputs(program);
  const everywhere = allGates?.finished === true;
  const price = withProducts(program, kernels, (products) => {
    const judge = new GapJudge(program, products, null, soonLate(clock));
    const { prices } = judge.price(dualPoint, program.beta / Math.sqrt(outputs));
    return largestTogether(prices, program.gates.count, outputs);
  });
  const known = everywhere ? sharedAtLeast(allGates.dual, outputs) : Number.NEGATIVE_INFINITY;
  const dual = Math.max(known, bestScale(program, dualPoint, program.beta / price).value);
  const gap = { primal: value, dual, relative: relativeGap(value, dual, program) };
  return { bound: { ...gap, program, everywhere: everywhere && dual === known, evidence }, dualPoint };
}
