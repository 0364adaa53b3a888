/** Runs the solve of a program on the engine that suits it; what "auto" began on a device, the host can go on with. */

import {
  type ChosenEngine,
  engineFor,
  type Kernels,
  keepsPooled,
  threadsOf,
  trialSeconds,
} from "../../convex/kernels/index.js";
import { chooseSolver, keepsBlocks, type Solution } from "../../convex/solvers/solve.js";
import type { ConvexProgram, SparseBlocks } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { Settings } from "../options.js";

/** Where a solve begins when it is not the first. */
export interface Before {
  readonly blocks: SparseBlocks;
  readonly seconds: number; // spent
}

/** What of the settings decides where a program is solved. */
export type EngineSettings = Pick<Settings, "engine" | "solver" | "tolerance" | "threads">;

/** The engine for a program, with a reason that says where its solver works. */
export function engineOn(
  program: ConvexProgram,
  chosen: ChosenEngine,
  { engine, solver: name, tolerance, threads }: EngineSettings,
): Promise<ChosenEngine> {
  const solver = chooseSolver(program, name ?? undefined, keepsBlocks(program, chosen.kernels));
  return engineFor(engine, chosen, {
    rows: program.X.rows,
    width: program.X.cols,
    gates: program.gates.count,
    outputs: program.loss.outputs,
    tolerance,
    threads,
    pooledOnHost: keepsPooled(program),
    cones: program.cones || solver.forDevices === true,
    solver,
    trial: (kernels, work) => trialSeconds(kernels, program, work),
  });
}

/**
 * `work` on the engine for the program; answers with its result and the reason of the engine that did it, with its threads.
 *
 * A device that "auto" took and that is lost, or has no room, is a note in the reason; so is one whose float32 stalls above
 * the tolerance, and float64 on the host goes on from its point, unless it has done so already.
 *
 * @throws ConvexError "engine/lost" when a device that was asked for by name went away; no weight is touched.
 */
export async function solveOn<T extends Solution>(
  program: ConvexProgram,
  chosen: ChosenEngine,
  settings: EngineSettings,
  work: (kernels: Kernels, before: Before | null) => Promise<T>,
): Promise<{ readonly solution: T; readonly engine: string }> {
  const { kernels, reason } = await engineOn(program, chosen, settings);
  const host = chosen.kernels;
  const mayFallBack = settings.engine === "auto" && kernels !== host;
  try {
    const solution = await work(kernels, null);
    if (!mayFallBack || solution.status !== "stalled" || solution.endedOnHost === true) {
      const rest = solution.endedOnHost === true ? "; the last digits in float64 on the host" : "";
      return { solution, engine: reason + rest + threadsOf(kernels) };
    }
    const rest = await work(host, solution);
    const together = {
      ...rest,
      seconds: rest.seconds + solution.seconds,
      iterations: rest.iterations + solution.iterations,
    };
    return {
      solution: together,
      engine: `${reason}; then float64 on ${host.name}, where float32 had stalled${threadsOf(host)}`,
    };
  } catch (error) {
    const ours = error instanceof ConvexError && error.code.startsWith("engine/");
    if (!mayFallBack || !ours) throw error;
    const solution = await work(host, null);
    return { solution, engine: `${chosen.reason} (${kernels.name} gave up: ${error.message})${threadsOf(host)}` };
  }
}
