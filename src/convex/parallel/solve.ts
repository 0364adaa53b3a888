/** The loop: the program over the blocks in hand, the prices of all at its dual point, and those that are worth more come in. */

import { bestScale, relativeGap, withoutRounding } from "../certificate/index.js";
import { inTurns, type Pieces } from "../linear/pieces.js";
import type { MatrixBudget } from "../matrices/index.js";
import { biasAlone, dualPointAt } from "../operators/dualPoint.js";
import { Clock } from "../solvers/clock.js";
import { advice } from "../solvers/solution.js";
import type { Status } from "../types.js";
import { type BlockClass, nameOf } from "./blockClass.js";
import type { Block } from "./branch.js";
import { type MasterProblem, solveMaster } from "./master.js";
import { type Point, pointOf } from "./point.js";
import type { ParallelSolution } from "./problem.js";
import { withFewBranches } from "./reduce.js";

/** Of the tolerance: what the program over the blocks in hand may miss, and how much a block must be worth beyond its charge to come in. */
const MASTER_SHARE = 0.2;
const WORTH_SHARE = 0.3;
/** Where no block comes in and the gap is not closed, the program over those in hand is solved so much more sharply, down to a limit. */
const SHARPER = 0.05;
const SHARPEST = 1e-4;
/** Of the tolerance: what an objective of fewer branches may be higher by. */
const FEW_SHARE = 0.1;
/** Blocks that come in a round at most. */
const TOGETHER = 40;

export async function solveOverBlocks(
  problem: MasterProblem,
  finding: Pieces<BlockClass>,
  budget: MatrixBudget,
): Promise<ParallelSolution> {
  const { loss, outputBias, beta } = problem;
  const clock = new Clock(budget.seconds, budget.stopped ?? (() => false));
  const pause = () => clock.pause();
  const ended = () => (clock.stopped() ? "cancelled" : "timeLimit");
  const blocks = await inTurns(finding, pause);
  const dual = { loss, outputBias };
  const active: Block[] = [];
  const names = new Set<string>();
  let best = networkOf(problem, [], [], biasAlone(dual)[0]);
  let bound = Number.NEGATIVE_INFINITY;
  let status: Status | null = null;
  let round = 0;
  let sharpness = 1;
  while (status === null) {
    const within = sharpness * MASTER_SHARE * budget.tolerance * Math.abs(best.primal);
    const solved = await solveMaster(problem, active, Math.max(within, Number.MIN_VALUE), pause);
    const point = networkOf(problem, active, solved.Z, solved.bias);
    round += 1;
    if (!solved.finite || !Number.isFinite(point.primal)) {
      status = "nonFinite";
      break;
    }
    if (point.primal < best.primal) best = point;
    const N = dualPointAt(dual, point.outputs);
    const enough = beta * (1 + WORTH_SHARE * budget.tolerance);
    const priced = await blocks.price(
      N.map((value) => -value),
      enough,
      pause,
    );
    if (priced === null) {
      status = ended();
      break;
    }
    const limit = priced.upper > 0 ? beta / priced.upper : Number.POSITIVE_INFINITY;
    bound = Math.max(bound, bestScale(dual, N, limit).value);
    const relative = relativeGap(best.primal, bound, dual);
    const told = { index: round - 1, seconds: clock.seconds, gap: { primal: best.primal, dual: bound, relative } };
    const stop = (await budget.onRound?.(told)) === true;
    if (relative <= budget.tolerance) status = "solved";
    else if (stop) status = "cancelled";
    else {
      const before = active.length;
      for (const block of priced.dearer) {
        const name = nameOf(block);
        if (!names.has(name)) active.push(block);
        names.add(name);
        if (active.length === before + TOGETHER) break;
      }
      if (active.length === before) sharpness *= SHARPER;
      if (sharpness < SHARPEST) status = "stalled";
      else if (round >= budget.maxIterations) status = "iterationLimit";
      else if (await pause()) status = ended();
    }
  }
  const end = lower(withFewBranches(problem, best), best, budget.tolerance);
  const { primal } = end;
  bound = withoutRounding(primal, bound, dual);
  return {
    branches: end.branches,
    bias: end.bias,
    status,
    advice: advice[status],
    gap: { primal, dual: bound, relative: relativeGap(primal, bound, dual) },
    exact: blocks.complete,
    blocks: blocks.count,
    inserted: active.length,
    rounds: round,
    seconds: clock.seconds,
  };
}

/** The one of few branches, unless that costs more than rounding of a solve. */
function lower(few: Point, all: Point, tolerance: number): Point {
  return few.primal <= all.primal + FEW_SHARE * tolerance * Math.abs(all.primal) ? few : all;
}

/** The network that the blocks' vectors are. */
function networkOf(problem: MasterProblem, blocks: readonly Block[], Z: readonly Float64Array[], bias: number): Point {
  const branches = blocks.map(({ pieces, above }, b) => ({
    Z: Z[b],
    signs: [pieces, ...above].map((layer) => layer.map(({ sign }) => sign)),
  }));
  return pointOf(problem, branches, Float64Array.of(bias));
}
