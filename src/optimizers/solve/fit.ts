/** Solving, the third step of a fit: the convex program, then the network of its solution, within the layer's width. */

import { type Kernels, threadsOf } from "../../convex/kernels/index.js";
import type { SharedRound } from "../../convex/sharing/index.js";
import type { Clock } from "../../convex/solvers/clock.js";
import type { Round, Solution } from "../../convex/solvers/solve.js";
import type { ConvexProgram } from "../../convex/types.js";
import type { Settings } from "../options.js";
import type { Posed } from "../pose/fit.js";
import type { PosedSolution } from "../records.js";
import { type Before, solveOn } from "./onEngine.js";
import { budgetOf, recovered, solvePosed } from "./posed.js";
import { firstDescent, type Shared, sharedNetwork, solvedBySharing, unsolved, wantsSharing } from "./sharing.js";
import { type Fitting, SHARING_SHARE, shareOf, WidthProbe, withinWidth } from "./withinWidth.js";

/** Who is told of every round, and may end the solve by answering true. */
export interface RoundWatch {
  round(round: Round): Promise<boolean>;
  sharedRound(round: SharedRound, program: ConvexProgram, before: Solution): Promise<boolean>;
}

/** A solution and its network. */
export interface Solved {
  readonly hasNetwork: true;
  readonly solution: PosedSolution;
  readonly engine: string;
  readonly shared: Shared;
  readonly fitting: Fitting;
}

/** A solution that is no point, or contradicts its own bound: there is no network. */
export interface Unsolved extends Pick<Solved, "solution" | "engine"> {
  readonly hasNetwork: false;
}

/** `room`: neurons that the layer has, or may have. */
export async function solveFit(
  { problem, chosen, start }: Posed,
  settings: Settings,
  clock: Clock,
  room: number,
  watch: RoundWatch,
): Promise<Solved | Unsolved> {
  const pause = () => clock.pause();
  const { kernels } = chosen;
  const probe = new WidthProbe(problem, room, kernels, settings, pause);
  // A network whose neurons feed several outputs is descended from the solution, and searches for neurons of its own.
  const restarts = !wantsSharing(problem, settings);
  const growing = { restarts, limited: Number.isFinite(room) ? probe.limited.bind(probe) : undefined };
  const random = start === null ? await firstDescent(problem, kernels, settings, clock.left, room) : null;
  const cut = random?.ended === false;
  const solving = (device: Kernels, before: Before | null) => {
    const seconds = clock.left * shareOf(problem, settings, room);
    const budget = { ...budgetOf(settings, seconds), onRound: (round: Round) => watch.round(round) };
    return solvePosed(problem, device, budget, settings.seed, before?.blocks ?? start ?? undefined, undefined, growing);
  };
  const { solution, engine } = cut
    ? { solution: unsolved(problem, settings), engine: chosen.reason + threadsOf(kernels) }
    : await solveOn(problem.program, chosen, settings, solving);
  if (!Number.isFinite(solution.gap.primal) || solution.contradicted) return { hasNetwork: false, solution, engine };
  const { program, blocks } = solution;
  const share = Number.isFinite(room) ? SHARING_SHARE : 1;
  const shared = await sharedNetwork(
    problem,
    solution,
    await recovered({ ...problem, program }, blocks, pause),
    kernels,
    settings,
    clock.part(share, cut ? random.judging : 0),
    room,
    (round) => watch.sharedRound(round, program, solution),
    random,
    start,
  );
  // Without a bound for neurons that feed all outputs, each feeds one; filters whose patches are read out apart have a looser one.
  const plain = (program.pooling?.positions ?? 1) === 1;
  const apart = program.cones && program.loss.outputs > 1 && plain && shared.bound === null;
  const wish = apart ? { ...settings, vectorPenalty: "perOutput" as const } : settings;
  const known = apart ? [] : [probe.network, shared.fits].filter((network) => network !== null);
  const fitting = await withinWidth(problem, program, shared.network, room, kernels, wish, pause, known);
  return { hasNetwork: true, solution: cut ? solvedBySharing(solution, shared) : solution, engine, shared, fitting };
}
