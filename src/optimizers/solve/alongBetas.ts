/** The solutions of one program at many betas, each solve begun at those before, and the network of each. */

import type { Kernels } from "../../convex/kernels/index.js";
import type { Network } from "../../convex/network.js";
import type { Clock } from "../../convex/solvers/clock.js";
import { extrapolate, type PathStop } from "../../convex/solvers/extrapolate.js";
import { Workbench } from "../../convex/solvers/workbench.js";
import type { SparseBlocks } from "../../convex/types.js";
import type { Settings } from "../options.js";
import type { PosedSolution, Problem, Regularization } from "../records.js";
import { budgetOf, recovered, solvePosed } from "./posed.js";
import { type Fitting, withinWidth } from "./withinWidth.js";

/** Of one beta to the next: below it the line through the last two solutions leads astray. */
const LONG_STEP = 0.8;

/** Visits every beta with what was solved there; `visit` answers whether to go on. */
export async function eachBeta(
  posed: Problem,
  betas: readonly number[],
  kernels: Kernels,
  settings: Settings,
  clock: Clock,
  visit: (problem: Problem, solution: PosedSolution) => Promise<boolean>,
): Promise<void> {
  const bench = posed.growth === null ? new Workbench(posed.program, kernels) : undefined;
  let { program } = posed;
  const stops: PathStop[] = []; // the last two
  try {
    for (const beta of betas) {
      program = { ...program, beta };
      const problem = { ...posed, program, regularization: chargedFor(posed.regularization, beta) };
      const budget = budgetOf(settings, clock.left);
      const solution = await solvePosed(problem, kernels, budget, settings.seed, startAt(problem, stops), bench);
      program = solution.program;
      stops.push({ beta, blocks: solution.blocks });
      if (stops.length > 2) stops.shift();
      const more = await visit({ ...problem, program }, solution);
      if (!more || clock.over || clock.stopped()) break;
    }
  } finally {
    bench?.dispose();
  }
}

/** The start at the program's beta: on the line through the last two solutions, or at the last. */
export function startAt(
  { program, growth }: Pick<Problem, "program" | "growth">,
  stops: readonly PathStop[],
): SparseBlocks | undefined {
  const [before, last] = stops.length > 1 ? stops : [undefined, stops[0]];
  // From zero a growth finds better neurons afresh than from the gates that zero has left it.
  if (last === undefined || (growth !== null && last.blocks.index.length === 0)) return undefined;
  // The line leaves the cones; solutions turn too often where singular values vanish or the loss has kinks.
  const { beta, cones, penalty, loss, X } = program;
  const smooth = !cones && penalty.separable && Number.isFinite(loss.curvature);
  if (before === undefined || !smooth || beta < LONG_STEP * last.beta) return last.blocks;
  return extrapolate(before, last, beta, X.cols);
}

/** The same layers charged for another beta. */
export function chargedFor(regularization: Regularization, beta: number): Regularization {
  const output = regularization.output === 0 ? 0 : beta / 2; // one layer alone has no other
  return { ...regularization, beta, hidden: beta / 2, output, source: "option" };
}

/** The network of a point, within the layer's width where that is to be kept; begun from that of the point before, too. */
export async function fittingNetwork(
  problem: Problem,
  { blocks, program }: PosedSolution,
  kernels: Kernels,
  settings: Settings,
  clock: Clock,
  before: Network | null,
): Promise<Fitting> {
  const pause = () => clock.pause();
  const network = await recovered(problem, blocks, pause);
  const room = settings.width === "keep" ? problem.spec.units : Number.POSITIVE_INFINITY;
  const apart = { ...settings, vectorPenalty: program.cones ? ("perOutput" as const) : settings.vectorPenalty };
  return withinWidth(problem, program, network, room, kernels, apart, pause, before === null ? [] : [before]);
}
