/** The solutions of one program at many betas, each begun at those before, without rows: of all of them, or of those of some folds. */

import { beginAt, type MomentRows, type ShardedSolution, solveSharded } from "../../convex/sharded/index.js";
import type { Clock } from "../../convex/solvers/clock.js";
import type { PathStop } from "../../convex/solvers/extrapolate.js";
import type { Settings } from "../options.js";
import type { Posed } from "../sharded/pose.js";
import { chargedFor, startAt } from "../solve/alongBetas.js";

/** Visits every beta with what was solved there; `visit` answers whether to go on. */
export async function eachBetaByMoments(
  rows: MomentRows,
  posed: Posed,
  betas: readonly number[],
  { tolerance, maxIterations }: Settings,
  clock: Clock,
  visit: (posed: Posed, solution: ShardedSolution) => Promise<boolean>,
): Promise<void> {
  const stops: PathStop[] = []; // the last two
  let last: ShardedSolution | null = null;
  for (const beta of betas) {
    const program = { ...posed.program, beta };
    const start = startAt({ program, growth: null }, stops);
    const from = last !== null && start !== undefined ? { start: beginAt(start, last.last) } : {};
    const budget = { tolerance, maxIterations, clock: clock.part(1), checkpoint: null, everyRounds: 1 };
    const onRound = async () => false;
    const solution: ShardedSolution = await solveSharded(rows, program, posed.zero.bias, {
      ...budget,
      ...from,
      onRound,
    });
    last = solution;
    stops.push({ beta, blocks: solution.blocks });
    if (stops.length > 2) stops.shift();
    const regularization = chargedFor(posed.regularization, beta);
    const more = await visit({ ...posed, program, regularization }, solution);
    if (!more || clock.over || clock.stopped()) break;
  }
}
