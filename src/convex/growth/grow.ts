/**
 * Growing gates: solve, search for gates that the dual point prices above beta, let neurons move, solve again.
 *
 * Method "frank-wolfe" is the same loop with less in it: one gate a round, from zero, and no descent.
 *
 * A fully corrective step of column generation (Bengio et al. 2006; Bach 2017), with a local descent of all neurons between
 * two solves. Every solve begins at the best point before it, so the objective never rises. The bound is for the gates in
 * hand; what lies outside them is evidence.
 *
 * Where a solve would take longer than the time that is left, neurons go on moving, and points are judged as they are: then the
 * weights depend on the clock.
 */

import type { GrowthMethod } from "../arrangements/gateSet.js";
import type { Kernels } from "../kernels/types.js";
import { power } from "../linear/elementary.js";
import { gaussianSource } from "../linear/random.js";
import { Clock } from "../solvers/clock.js";
import { advice, type Round, type Solution, type SolveBudget } from "../solvers/solution.js";
import { solve } from "../solvers/solve.js";
import type { AllGatesBound, ConvexProgram, Evidence, Gap, SparseBlocks, Status } from "../types.js";
import { Effort } from "./effort.js";
import { GAIN, type Growing, move } from "./move.js";
import {
  drawnSamples,
  FEWEST_STARTS,
  randomStarts,
  search,
  searchOn,
  searchSome,
  startsFrom,
  worthOf,
} from "./oracle.js";
import { Pace, RESERVE, secondsToJudge, secondsToSolve } from "./pace.js";
import { endingWith, GrowthProof, SOLVE_SHARE } from "./proof.js";
import { mayRestart, restarted, worthAnother } from "./restart.js";
import { dualPointOf, fall, firstState, grown, judged, type State, zeroState } from "./state.js";

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
/** A search of a point that is judged as it is has so many times fewer starts. */
const FEWER = 4;
/** From the seed of one restart to the next. */
const RESTART_SEED = 7919;
const OPEN_SEARCH =
  "The gap over these gates is below the tolerance; the search for better gates had not come to rest. To go on, start from this " +
  "result with more time or iterations.";

/** What helps a growth that ended with such gates. */
const MORE = "raise `count` and `starts` of arrangements, or loosen `tolerance`";

export interface GrowthOptions {
  readonly starts: number; // random starts of the search a round
  readonly seed: number;
  readonly method?: GrowthMethod | undefined; // default "moving-neurons"
  /** Asked after every round: true where the width of the layer costs more than what is left to gain, so that this is enough. */
  readonly limited?: ((program: ConvexProgram, blocks: SparseBlocks, gap: Gap) => Promise<boolean>) | undefined;
  /** False where what follows leaves the optimum of this program anyway, so that the luck of a seed need not be looked into; default true. */
  readonly restarts?: boolean | undefined;
  readonly batch?: number | undefined; // samples that the search of "frank-wolfe" sees in a round; default all
}

const NO_EVIDENCE: Evidence = { bestRatio: Number.NaN, starts: 0 };

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
  // What goes on from an earlier point should not look where that has looked.
  const draw = gaussianSource(options.seed + (from === undefined ? 0 : 1 + from.index.length));
  const { cones = null } = budget;
  const wanted = budget.tolerance * (cones === null ? 1 : SOLVE_SHARE);
  const proof = cones === null ? null : new GrowthProof(program, cones, budget.tolerance, clock);
  let cost = 0; // seconds of a judgement: as foretold, then as the last one was
  const due = () => clock.seconds + RESERVE * cost >= budget.seconds;
  const late = async () => {
    await clock.pause();
    return clock.late;
  };
  /** The last search leaves the time for what follows a growth. */
  const last = async () => (await late()) || clock.seconds + cost >= budget.seconds;
  const effort = new Effort(program, budget.patient === true);
  const rows = program.loss.rows;
  const pace = new Pace();
  const hurried = Number.isFinite(budget.seconds);
  const dear = () =>
    secondsToSolve(rows, cost) > clock.left ||
    (hurried && pace.movesPay(rows, cost)) ||
    effort.dear(state.program.gates.count);
  const growing: Growing = { kernels, clock, tolerance: wanted, starts: options.starts, draw, due, effort };
  const single = options.method === "frank-wolfe";
  const first = () => (single ? zeroState(program) : firstState(program, kernels, clock, effort));
  let state: State = from === undefined ? await first() : { program, blocks: from };
  let iterations = 0;
  let quiet = 0;
  let stuck = 0;
  let tried = 0;
  let progress = 1; // relative fall of the objective in the last round
  let objective = Number.POSITIVE_INFINITY;
  const kinks = !Number.isFinite(program.loss.curvature);
  const mayMove = !single && proof === null;
  const again = mayMove && options.restarts !== false && mayRestart(program);
  let rough = mayMove; // the next point is judged as it is
  if (rough) cost = secondsToJudge(program, state.program.gates.count);
  let spentAll = false; // neurons no longer move, and a solve is out of proportion
  const gains: number[] = []; // of restarts: relative falls of the objective
  let beforeRestart = Number.NaN; // where none was
  let standing: Solution | null = null; // of the round before, where its point is that of this one
  let asked = false; // to stop, by the callback: a solve that had just ended would not see it
  for (let round = 0; ; round++) {
    // Prices of a point that is not exact enough may promise a gain that no solve finds: then it is made more exact.
    const sharp = wanted * power(SHARPER, stuck);
    const tolerance = Math.max(sharp, Math.min(FIRST_TOLERANCE, progress));
    const counted = () =>
      countedFrom(budget, tolerance, iterations, clock.seconds, (stop, steps) => {
        asked ||= stop;
        if (!rough) effort.solveRound(state.program.gates.count, steps);
        return stop || effort.exceeded;
      });
    const began = clock.seconds;
    effort.begin();
    const judge = () => judged(state, kernels, counted(), clock, due);
    const judging = rough && standing === null;
    let solution: Solution =
      standing !== null
        ? { ...standing, ...standsAt(clock, due()) }
        : rough
          ? await judge()
          : await solve(state.program, kernels, counted(), state.blocks);
    if (judging) cost = clock.seconds - began;
    if (judging) effort.judgement(state.program.gates.count);
    if (standing === null) iterations += solution.iterations;
    state = { program: state.program, blocks: solution.blocks };
    if (!rough && solution.status === "timeLimit") {
      // What was cut short left prices of its own dual point; those of the residual are mostly better.
      const { gap, dualPoint, iterations: more } = await judge();
      iterations += more;
      if (gap.dual > solution.gap.dual) solution = { ...solution, gap, dualPoint };
    }
    progress = fall(objective, solution.gap.primal);
    pace.note(rough, progress, clock.seconds);
    objective = solution.gap.primal;
    // Where the loss has kinks its gradient is one of many; the solver's dual point is the one that the bound rests on.
    const N = kinks ? solution.dualPoint : dualPointOf(state, kernels);
    const ending = clock.over || solution.status === "timeLimit";
    const starts =
      rough && !ending
        ? randomStarts(program, kernels, Math.ceil(options.starts / FEWER), draw)
        : startsFrom(
            program,
            kernels,
            state.blocks,
            ending ? FEWEST_STARTS : options.starts * power(HARDER, quiet),
            draw,
          );
    const batch = single ? drawnSamples(program, options.batch, draw) : null;
    const found =
      batch === null
        ? await (ending ? searchSome(program, kernels, N, starts, last) : search(program, kernels, N, starts, late))
        : await searchOn(batch, program, kernels, N, starts, late);
    const searched = batch === null ? found.length : starts.length;
    tried += searched;
    effort.search(searched);
    effort.mark(objective);
    const best = found.reduce((largest, { value }) => Math.max(largest, value), 0);
    const worth = worthOf(found, program, wanted);
    if (worth.length > 0 || progress > wanted) quiet = 0;
    else if (!rough) quiet += 1; // its search was a small one
    stuck = progress > GAIN * wanted ? 0 : stuck + 1;
    const exact = solution.gap.relative <= wanted;
    if (solution.contradicted) return { ...solution, program: state.program, evidence: NO_EVIDENCE, allGates: null };
    const solved = solution.status === "solved" || (solution.status === "stalled" && exact);
    let done = !rough && solved && exact && (quiet >= QUIET_ROUNDS || stuck > (kinks ? CUTTING_ROUNDS : STUCK_ROUNDS));
    if (done && again && !clock.over && !asked) {
      if (!Number.isNaN(beforeRestart)) gains.push(fall(beforeRestart, objective));
      if (worthAnother(gains, effort)) {
        beforeRestart = objective;
        state = await restarted(state, program.gates.count, options.seed + RESTART_SEED * (1 + gains.length), growing);
        [quiet, stuck, rough] = [0, 0, false];
        continue;
      }
    }
    const limited = !done && solved && (await options.limited?.(state.program, state.blocks, solution.gap)) === true;
    const slowed = !done && !asked && (limited || spentAll || effort.slowed || effort.exceeded);
    const stopped = asked || !solved || slowed || iterations >= budget.maxIterations || round + 1 === MAX_ROUNDS;
    if (proof !== null && (done || stopped || (proof.begun && solved && exact)))
      done = !(await proof.price(solution)) && done;
    if (done || stopped) {
      const ended = asked ? "cancelled" : "iterationLimit";
      const status = statusOf({ done: done || limited, slowed, solved, ended, exact, last: solution.status });
      const evidence = {
        bestRatio: best / program.beta,
        starts: tried,
        ...(gains.length > 0 ? { restartGains: gains } : {}),
      };
      const { seconds } = clock;
      const allGates = proof?.bound ?? null;
      const proven = done && allGates !== null ? endingWith(allGates, proof?.open === true, MORE) : null;
      const said = status === "solved" && !done && !limited ? OPEN_SEARCH : advice[status];
      const ending = { program: state.program, evidence, allGates, status, advice: said, ...proven };
      return { ...solution, ...ending, iterations, seconds };
    }
    const moved = single || proof?.begun === true ? null : await move(state, worth, objective, growing, dear());
    if (moved === null && effort.dear(state.program.gates.count)) spentAll = true;
    rough = mayMove && dear() && (moved !== null || due() || spentAll);
    standing = moved === null && rough ? solution : null;
    // Where moving does not help, the gates join as they are, if there is time for them.
    const joining = [...(single ? worth.slice(0, 1) : worth), ...(proof?.gates ?? [])];
    state = moved ?? (rough ? state : grown(state, joining, kinks && stuck > 0));
  }
}

/** How a point ends that is the one of the round before. */
function standsAt(clock: Clock, due: boolean): Pick<Solution, "status" | "advice"> {
  const status = clock.stopped() ? "cancelled" : due ? "timeLimit" : "solved";
  return { status, advice: advice[status] };
}

/** What is true at the end: a gap that is below the tolerance is closed, whatever ended the search for other gates. */
function statusOf(end: {
  readonly done: boolean;
  readonly slowed: boolean;
  readonly solved: boolean;
  readonly ended: Status;
  readonly exact: boolean;
  readonly last: Status;
}): Status {
  if (end.done) return "solved";
  const status = end.slowed ? "slowed" : end.solved ? end.ended : end.last;
  return end.exact && status !== "cancelled" && status !== "nonFinite" ? "solved" : status;
}

/** Evidence on a point of a program with cones: the dearest gate that a search from its neurons and at random finds. */
export async function searchBeyond(
  program: ConvexProgram,
  blocks: SparseBlocks,
  kernels: Kernels,
  { starts: random, seed }: GrowthOptions,
  pause?: () => Promise<boolean>,
): Promise<Evidence> {
  const state = { program, blocks };
  const starts = startsFrom(program, kernels, blocks, random, gaussianSource(seed));
  const found = await search(program, kernels, dualPointOf(state, kernels), starts, pause);
  return {
    bestRatio: found.reduce((most, { value }) => Math.max(most, value), 0) / program.beta,
    starts: starts.length,
  };
}

/** What is left of the budget, with rounds counted and timed across solves. */
function countedFrom(
  budget: SolveBudget,
  tolerance: number,
  iterations: number,
  before: number,
  answered: (stop: boolean, steps: number) => boolean,
): SolveBudget {
  return {
    ...budget,
    tolerance,
    maxIterations: Math.max(1, budget.maxIterations - iterations),
    seconds: budget.seconds - before,
    onRound: async (round: Round) => {
      const moved = { ...round, index: iterations + round.index, seconds: before + round.seconds };
      return answered((await budget.onRound?.(moved)) === true, round.steps ?? 0);
    },
  };
}
