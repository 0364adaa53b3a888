/** A posed problem -> its solution, over the gates at hand or over gates that grow, and the network that it is. */

import { defaultStarts, type Growth } from "../../convex/arrangements/index.js";
import { feedsOneEach } from "../../convex/certificate/index.js";
import { type GrowthOptions, solveGrowing, withAllGates } from "../../convex/growth/index.js";
import type { Kernels } from "../../convex/kernels/index.js";
import { inTurns } from "../../convex/linear/pieces.js";
import type { Network } from "../../convex/network.js";
import { DEFAULT_CONES } from "../../convex/pricing/index.js";
import { mergeNeurons, pruning } from "../../convex/recovery/index.js";
import { Clock } from "../../convex/solvers/clock.js";
import { solveConstrained } from "../../convex/solvers/constrained.js";
import { openGateStart } from "../../convex/solvers/openGate.js";
import { type SolveBudget, solve } from "../../convex/solvers/solve.js";
import type { Workbench } from "../../convex/solvers/workbench.js";
import type { ConvexProgram, SparseBlocks } from "../../convex/types.js";
import type { Settings } from "../options.js";
import type { PosedSolution, Problem } from "../records.js";
import { judgedStart, nearStart } from "./nearer.js";

/** Of the time that there is: what a start near the optimum may take. */
const START_TIME = 0.5;

/** What the settings leave to a solve that has so many seconds. */
export function budgetOf(
  { tolerance, maxIterations, signal, solver, pricing, patient }: Settings,
  seconds: number,
): SolveBudget {
  return {
    tolerance,
    maxIterations,
    seconds,
    patient,
    stopped: () => signal?.aborted === true,
    ...(solver === null ? {} : { solver }),
    ...(pricing?.kind === "branch-and-bound" ? { cones: pricing.cones ?? DEFAULT_CONES } : {}),
  };
}

/** Solves from `start` where there is one; a `bench` for the problem's rows and gates is used where gates do not grow. */
export async function solvePosed(
  { program, constraint, growth }: Problem,
  kernels: Kernels,
  budget: SolveBudget,
  seed: number,
  start?: SparseBlocks,
  bench?: Workbench,
  growing: Pick<GrowthOptions, "limited" | "restarts"> = {},
): Promise<PosedSolution> {
  if (constraint !== null) {
    const { kind, targets, penalty } = constraint;
    const penalised = (weight: number) => ({ ...program, loss: penalty(weight) });
    return {
      ...(await solveConstrained(kind, targets.data, penalised, kernels, budget, start, bench)),
      evidence: null,
      allGates: null,
    };
  }
  const options = growth === null ? null : growthOptions(growth, program, seed);
  const near = start === undefined ? await nearStart(program, kernels, budget, options) : null;
  const from = near?.blocks ?? start;
  if (near?.hopeless === true) {
    const judged = await judgedStart(near, kernels, budget, bench);
    return { ...judged, program: near.program, evidence: near.grown?.evidence ?? null, allGates: null };
  }
  if (options === null) {
    const clock = new Clock(budget.seconds, budget.stopped ?? (() => false));
    const early = clock.part(START_TIME);
    const begin = from ?? (await openGateStart(program, kernels, budget.tolerance, () => early.pause())) ?? undefined;
    const work = () => solve(program, kernels, { ...budget, seconds: clock.left }, begin, bench);
    return { ...(await withAllGates(program, budget, work)), program, evidence: null };
  }
  const there = near?.program ?? program;
  if (near?.grown != null && near.beyond) {
    const polished = await solve(there, kernels, budget, from);
    return { ...polished, program: there, evidence: near.grown.evidence, allGates: null };
  }
  return solveGrowing(there, kernels, budget, { ...options, ...growing }, from);
}

function growthOptions(growth: Growth, { X }: ConvexProgram, seed: number): GrowthOptions {
  const { starts = defaultStarts(X), seed: own = seed, method, batch } = growth;
  return { starts, seed: own + 1, method, batch };
}

/**
 * Blocks -> neurons, as few as do the same; where the program is about neurons that feed one output each, they are such. Where
 * `pause` says that time is up before, more than need be.
 */
export function recovered(
  { program, formulation }: Pick<Problem, "program" | "formulation">,
  blocks: SparseBlocks,
  pause: () => Promise<boolean>,
): Promise<Network> {
  const network = formulation.recover(program, blocks);
  if (formulation.name === "affine") return Promise.resolve(network);
  return fewest(program, network, pause, feedsOneEach(program));
}

/** Equal neurons merged, those of different outputs too unless they stay `apart`, and surplus ones traded away. */
export async function fewest(
  { X, pooling }: ConvexProgram,
  network: Network,
  pause: () => Promise<boolean>,
  apart = false,
): Promise<Network> {
  return { ...network, neurons: await inTurns(pruning(mergeNeurons(network.neurons, apart), X, pooling), pause) };
}
