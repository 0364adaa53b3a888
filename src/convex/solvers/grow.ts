/**
 * Growing gates: solve, search for gates that the dual point prices above beta, let neurons move, solve again.
 *
 * Method "frank-wolfe" is the same loop with less in it: one gate a round, from zero, and no descent.
 *
 * A fully corrective step of column generation (Bengio et al. 2006; Bach 2017), with a local descent of all neurons between
 * two solves. Every solve begins at the best point before it, so the objective never rises. The bound is for the gates in
 * hand; what lies outside them is evidence.
 */

import type { GrowthMethod } from "../arrangements/gateSet.js";
import { gaussianSource } from "../arrangements/random.js";
import type { Kernels } from "../kernels/types.js";
import { dualPointAt } from "../operators/dualPoint.js";
import type { AllGatesBound, ConvexProgram, Evidence, SparseBlocks } from "../types.js";
import { Clock } from "./clock.js";
import {
  distinct,
  drawnSamples,
  type Priced,
  randomStarts,
  search,
  searchOn,
  startsFrom,
  worthOf,
} from "./gateOracle.js";
import { dualPointOf, firstState, grown, JOINING, type State, zeroState } from "./growthState.js";
import { descend } from "./lbfgs.js";
import {
  joined,
  living,
  networkObjective,
  neuronsOf,
  outputsOf,
  packed,
  programAt,
  smallNeurons,
  unpacked,
} from "./movingNeurons.js";
import { GrowthProof, SOLVE_SHARE } from "./proof.js";
import { advice, type Round, type Solution, type SolveBudget } from "./solution.js";
import { solve } from "./solve.js";

/** Relative gap of the first solves: early gates need no exact prices. Later ones are as exact as the progress they make. */
const FIRST_TOLERANCE = 1e-2;
const MAX_ROUNDS = 1000;
/** Rounds in a row without a better gate, each from fresh random starts, that end the growth. */
const QUIET_ROUNDS = 2;
/** Rounds in a row without progress, each solved this much more exactly, that end it too: what is priced above beta gains nothing. */
const STUCK_ROUNDS = 3;
/**
 * Where the loss has kinks a program may have many dual points: a gate that is priced above beta at one of them need not lower the
 * objective, it only rules that dual point out. Such rounds keep the gates of the rounds before, and may be this many.
 */
const CUTTING_ROUNDS = 12;
const SHARPER = 0.1;
/** A round without a better gate makes the next one search from so many times the starts. */
const HARDER = 4;
/** Steps of the descent from a solution. */
const DESCENT = 120;
/** Steps after which newcomers below this share of the largest size are let go: most of them die out. */
const SETTLING = 40;
const DYING = 1e-3;
/** Size of newcomers against the mean of those that are there. */
const JOINING_SIZE = 0.05;
/** Descents between two solves at most, each after one that has taken more than this share off the objective. */
const TURNS = 20;
const STEEP = 5e-3;
/** A descent that gains less than this share of the tolerance is none. */
const GAIN = 0.1;

export interface GrowthOptions {
  readonly starts: number; // random starts of the search a round
  readonly seed: number;
  readonly method?: GrowthMethod | undefined; // default "moving-neurons"
  readonly batch?: number | undefined; // samples that the search of "frank-wolfe" sees in a round; default all
}

/** A solution together with the gates that it ended with. */
export interface GrownSolution extends Solution {
  readonly program: ConvexProgram;
  readonly evidence: Evidence;
  readonly allGates: AllGatesBound | null;
}

/** Solves a program with cones over a growing set of gates; `program.gates` are the first, or their generators are. */
export async function solveGrowing(
  program: ConvexProgram,
  kernels: Kernels,
  budget: SolveBudget,
  options: GrowthOptions,
  from?: SparseBlocks,
): Promise<GrownSolution> {
  const clock = new Clock(budget.seconds, budget.stopped ?? (() => false));
  const draw = gaussianSource(options.seed);
  const { cones = null } = budget;
  const wanted = budget.tolerance * (cones === null ? 1 : SOLVE_SHARE);
  const proof = cones === null ? null : new GrowthProof(program, cones, wanted, clock);
  const growing: Growing = { kernels, clock, tolerance: wanted, starts: options.starts, draw };
  const single = options.method === "frank-wolfe";
  const first = () => (single ? zeroState(program) : firstState(program, kernels, clock));
  let state: State = from === undefined ? await first() : { program, blocks: from };
  let iterations = 0;
  let quiet = 0;
  let stuck = 0;
  let tried = 0;
  let progress = 1; // relative fall of the objective in the last round
  let objective = Number.POSITIVE_INFINITY;
  const kinks = !Number.isFinite(program.loss.curvature);
  let asked = false; // to stop, by the callback: a solve that had just ended would not see it
  for (let round = 0; ; round++) {
    // Prices of a point that is not exact enough may promise a gain that no solve finds: then it is made more exact.
    const sharp = wanted * SHARPER ** stuck;
    const tolerance = Math.max(sharp, Math.min(FIRST_TOLERANCE, progress));
    const counted = countedFrom(budget, tolerance, iterations, clock.seconds, (stop) => {
      asked ||= stop;
    });
    const solution = await solve(state.program, kernels, counted, state.blocks);
    iterations += solution.iterations;
    state = { program: state.program, blocks: solution.blocks };
    progress = fall(objective, solution.gap.primal);
    objective = solution.gap.primal;
    // Where the loss has kinks its gradient is one of many; the solver's dual point is the one that the bound rests on.
    const N = kinks ? solution.dualPoint : dualPointOf(state, kernels);
    const starts = startsFrom(program, state.blocks, options.starts * HARDER ** quiet, draw);
    const batch = single ? drawnSamples(program, options.batch, draw) : null;
    const found = batch === null ? search(program, kernels, N, starts) : searchOn(batch, program, kernels, N, starts);
    tried += starts.length;
    const best = found.reduce((largest, { value }) => Math.max(largest, value), 0);
    const worth = worthOf(found, program, wanted);
    quiet = worth.length > 0 || progress > wanted ? 0 : quiet + 1;
    stuck = progress > GAIN * wanted ? 0 : stuck + 1;
    const exact = solution.gap.relative <= wanted;
    const solved = solution.status === "solved" || (solution.status === "stalled" && exact);
    let done = solved && exact && (quiet >= QUIET_ROUNDS || stuck > (kinks ? CUTTING_ROUNDS : STUCK_ROUNDS));
    const stopped = asked || !solved || iterations >= budget.maxIterations || round + 1 === MAX_ROUNDS;
    if (proof !== null && (done || stopped || (proof.begun && solved && exact)))
      done = !(await proof.price(solution)) && done;
    if (done || stopped) {
      const ended = asked ? "cancelled" : "iterationLimit";
      const status = done ? "solved" : solved ? ended : solution.status;
      const evidence = { bestRatio: best / program.beta, starts: tried };
      const { seconds } = clock;
      const ending = { program: state.program, evidence, allGates: proof?.bound ?? null };
      return { ...solution, ...ending, status, advice: advice[status], iterations, seconds };
    }
    const moved = single || proof?.begun === true ? null : await move(state, worth, objective, growing);
    // Where moving does not help, the gates join as they are.
    const joining = [...(single ? worth.slice(0, 1) : worth), ...(proof?.gates ?? [])];
    state = moved ?? grown(state, joining, kinks && stuck > 0);
  }
}

/** What all rounds of a growth share. */
interface Growing {
  readonly kernels: Kernels;
  readonly clock: Clock;
  readonly tolerance: number;
  readonly starts: number;
  readonly draw: () => number;
}

/** Evidence on a point of a program with cones: the dearest gate that a search from its neurons and at random finds. */
export function searchBeyond(
  program: ConvexProgram,
  blocks: SparseBlocks,
  kernels: Kernels,
  { starts: random, seed }: GrowthOptions,
): Evidence {
  const state = { program, blocks };
  const starts = startsFrom(program, blocks, random, gaussianSource(seed));
  const found = search(program, kernels, dualPointOf(state, kernels), starts);
  return {
    bestRatio: found.reduce((most, { value }) => Math.max(most, value), 0) / program.beta,
    starts: starts.length,
  };
}

/** The relative fall of the objective; 1 for the first. */
function fall(before: number, now: number): number {
  if (!Number.isFinite(before)) return 1;
  return before > 0 ? 1 - now / before : 0;
}

/** What is left of the budget, with rounds counted and timed across solves. */
function countedFrom(
  budget: SolveBudget,
  tolerance: number,
  iterations: number,
  before: number,
  answered: (stop: boolean) => void,
): SolveBudget {
  return {
    ...budget,
    tolerance,
    maxIterations: Math.max(1, budget.maxIterations - iterations),
    seconds: budget.seconds - before,
    onRound: async (round: Round) => {
      const moved = { ...round, index: iterations + round.index, seconds: before + round.seconds };
      const stop = (await budget.onRound?.(moved)) === true;
      answered(stop);
      return stop;
    },
  };
}

/**
 * Lets neurons and newcomers descend the network's objective, again with fresh newcomers while that is steep; null when it
 * gains next to nothing.
 */
async function move(
  { program, blocks }: State,
  worth: readonly Priced[],
  objective: number,
  { kernels, clock, tolerance, starts, draw }: Growing,
): Promise<State | null> {
  let neurons = neuronsOf(program, blocks);
  if (neurons.scales.length === 0) return null;
  const d = program.X.cols;
  const pause = () => clock.pause();
  let newcomers = worth;
  let lowest = objective;
  for (let turn = 0; turn < TURNS; turn++) {
    // |w| = |a| in every neuron, so a^2 is its size.
    const mean = neurons.scales.reduce((sum, a) => sum + a * a, 0) / neurons.scales.length;
    const start = joined(neurons, smallNeurons(distinct(newcomers, JOINING), d, JOINING_SIZE * mean));
    const first = networkObjective(program, kernels, start.outputs);
    const settled = await descend(first, packed(start), SETTLING, pause);
    const alive = living(unpacked(settled.x, start), DYING);
    const second = networkObjective(program, kernels, alive.outputs);
    const { x, value } = await descend(second, packed(alive), DESCENT, pause);
    const gain = fall(lowest, value);
    if (!(gain > 0)) break;
    neurons = unpacked(x, alive);
    lowest = value;
    if (gain < STEEP || (await pause())) break;
    newcomers = worthOf(
      search(
        program,
        kernels,
        dualPointAt(program, outputsOf(program, kernels, neurons)),
        randomStarts(program, starts, draw),
      ),
      program,
      tolerance,
    );
  }
  return lowest < objective * (1 - GAIN * tolerance) ? programAt(program, neurons) : null;
}
