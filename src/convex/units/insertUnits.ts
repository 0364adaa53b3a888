/** The loop that builds a network of units: price, insert, solve all output weights again, until no unit is worth more than beta. */

import { bestScale, relativeGap } from "../certificate/index.js";
import type { Kernels } from "../kernels/types.js";
import { norm } from "../linear/vectors.js";
import { dualPointAtZero } from "../operators/dualPoint.js";
import { penalties } from "../penalties/index.js";
import { Clock } from "../solvers/clock.js";
import { advice, type SolveBudget } from "../solvers/solution.js";
import { solve } from "../solvers/solve.js";
import type { ConvexProgram, Gap, Loss, OutputBias, SparseBlocks, Status } from "../types.js";
import { unitGates, unitKernels } from "./hiddenUnits.js";
import type { SolvedUnit, UnitClass, UnitSolution } from "./problem.js";

/** Of the tolerance: what a solve over the units in hand may take. */
const SOLVE_SHARE = 0.5;
/** Rounds in a row in which a search that is not exact finds nothing, that end it. */
const QUIET_ROUNDS = 2;
/** Output weights below this share of the largest are zero. */
const DEAD = 1e-9;

export async function insertUnits(
  { loss, outputBias }: { readonly loss: Loss; readonly outputBias: OutputBias | null },
  beta: number,
  kernels: Kernels,
  budget: SolveBudget,
  { outputsOf, oracle, places, start }: UnitClass,
): Promise<UnitSolution> {
  const C = loss.outputs;
  const clock = new Clock(budget.seconds, budget.stopped ?? (() => false));
  const share = SOLVE_SHARE * budget.tolerance;
  const weights: Float64Array[] = [];
  const H: Float64Array[] = [];
  const insert = (units: readonly Float64Array[]) => {
    for (const w of units) {
      weights.push(w);
      H.push(...outputsOf(w));
    }
  };
  const pause = () => clock.pause();
  insert(start ?? (await oracle.dearest(dualPointAtZero({ loss, outputBias }), [], pause)).units.slice(0, 1));
  let blocks: SparseBlocks | undefined;
  let iterations = 0;
  let quiet = 0;
  for (let round = 1; ; round++) {
    const given = unitGates(H.length, loss.rows);
    const penalty = penalties.perOutput;
    const program: ConvexProgram = { ...given, loss, penalty, beta, outputBias, cones: false };
    const left = {
      ...budget,
      tolerance: share,
      maxIterations: budget.maxIterations - iterations,
      seconds: budget.seconds - clock.seconds,
    };
    const solution = await solve(program, unitKernels(kernels, H, given.X), left, blocks);
    iterations += solution.iterations;
    blocks = solution.blocks;
    const { largest, units } = await oracle.dearest(solution.dualPoint, weights, pause);
    const none = largest <= beta * (1 + share);
    const better = none ? [] : units;
    quiet = better.length > 0 ? 0 : quiet + 1;
    const ceiling = oracle.ceiling(solution.dualPoint);
    const everywhere = ceiling === null ? null : boundOver(program, solution.dualPoint, solution.gap, ceiling);
    const proven = everywhere !== null && everywhere.relative <= budget.tolerance;
    const solved = solution.status === "solved" || (solution.status === "stalled" && solution.gap.relative <= share);
    const done = proven || (solved && (oracle.exact ? none : quiet >= QUIET_ROUNDS));
    const over = (await clock.pause()) || iterations >= budget.maxIterations;
    if (done || over || !solved) {
      const cut = clock.stopped() ? "cancelled" : clock.over ? "timeLimit" : "iterationLimit";
      const status: Status = done ? "solved" : solved ? cut : solution.status;
      // A bound over more than the class may be far: what is said of the units in hand is then more.
      const told = everywhere !== null && (oracle.exact || proven);
      return {
        units: living(weights, blocks, places * C),
        bias: blocks.bias,
        status,
        advice: advice[status],
        gap: told ? everywhere : solution.gap,
        exact: told,
        bestRatio: largest / beta,
        dualPoint: solution.dualPoint,
        rounds: round,
        iterations,
        seconds: clock.seconds,
      };
    }
    insert(better);
  }
}

/** The gap over all units that are worth at most `ceiling` at N. */
function boundOver(program: ConvexProgram, N: Float64Array, gap: Gap, ceiling: number): Gap {
  const { value } = bestScale(program, N, program.beta / ceiling);
  const dual = Math.min(value, gap.primal); // above it only by rounding
  return { primal: gap.primal, dual, relative: relativeGap(gap.primal, dual, program) };
}

function living(weights: readonly Float64Array[], { index, vectors }: SparseBlocks, feeds: number): SolvedUnit[] {
  const outputs = weights.map(() => new Float64Array(feeds));
  index.forEach((entry, k) => {
    outputs[Math.floor(entry / feeds)][entry % feeds] = vectors[k];
  });
  const smallest = DEAD * outputs.reduce((most, a) => Math.max(most, norm(a)), 0);
  return weights.flatMap((w, j) => (norm(outputs[j]) > smallest ? [{ weights: w, outputs: outputs[j] }] : []));
}
