/** ReLU networks with several outputs: neurons that feed them all, beside the convex program, in which each feeds one. */

import { defaultStarts } from "../../convex/arrangements/index.js";
import { bestScale, certifyShared, relativeGap, type SharedBound } from "../../convex/certificate/index.js";
import { zeroState } from "../../convex/growth/index.js";
import type { Kernels } from "../../convex/kernels/index.js";
import { narrowed } from "../../convex/narrowing/index.js";
import type { Network } from "../../convex/network.js";
import { penaltyOf } from "../../convex/operators/blocks.js";
import {
  descendFromRandom,
  type RandomEnd,
  type SharedBudget,
  SharedObjective,
  type SharedSolution,
  sharedNeurons,
  shareOutputs,
} from "../../convex/sharing/index.js";
import type { Clock } from "../../convex/solvers/clock.js";
import { advice as adviceOf } from "../../convex/solvers/solution.js";
import { chooseSolver } from "../../convex/solvers/solve.js";
import type { Certificate, SparseBlocks, Status } from "../../convex/types.js";
import type { Settings } from "../options.js";
import { mayShare } from "../pose/mayShare.js";
import type { PosedSolution, Problem } from "../records.js";
import { budgetOf, fewest } from "./posed.js";

/** A network of `shareOutputs` as a point of the program in which each neuron feeds one output; without blocks the one that was given is better. */
export interface AsPoint extends Pick<SharedSolution, "program" | "dualPoint" | "gap" | "charged" | "seconds"> {
  readonly blocks: SparseBlocks | null;
}

/** A network, how its search ended, and what is proven of those like it. */
export interface Shared {
  readonly network: Network;
  readonly status: Status;
  readonly advice: string;
  readonly bound: SharedBound | null; // null where none was looked for: then it is about neurons that feed one output each
  readonly dualPoint: Float64Array | null; // [n x C], of that bound
  readonly point: AsPoint | null;
  readonly fits: Network | null; // one of the layer's width, where `network` is lower and too wide
}

/** Where each neuron feeds one output. */
export function alone({ status, advice }: PosedSolution, network: Network): Shared {
  return { network, status, advice, bound: null, dualPoint: null, point: null, fits: null };
}

/**
 * Where time is limited, random neurons that feed all outputs descend before anything else: it may be all that there is time for.
 * Null where neurons are not to feed several.
 */
export async function firstDescent(
  problem: Problem,
  kernels: Kernels,
  settings: Settings,
  seconds: number,
  width: number,
): Promise<RandomEnd | null> {
  if (!wantsSharing(problem, settings) || !Number.isFinite(seconds)) return null;
  const options = { seed: settings.seed + 2, units: width };
  return descendFromRandom(problem.program, kernels, budgetOf(settings, seconds), options);
}

/** The network without neurons, where there is no time for the program. */
export function unsolved({ program }: Problem, { solver }: Settings): PosedSolution {
  const { loss } = program;
  const { blocks } = zeroState(program);
  const dualPoint = new Float64Array(loss.rows * loss.outputs);
  const Z = dualPoint.map((_, k) => blocks.bias[k % loss.outputs]);
  const primal = loss.value(Z) + penaltyOf(program, blocks);
  const dual = bestScale(program, dualPoint, 0).value;
  return {
    ...{ status: "timeLimit", advice: adviceOf.timeLimit, blocks, dualPoint, program, iterations: 0, seconds: 0 },
    gap: { primal, dual, relative: relativeGap(primal, dual, program) },
    solver: chooseSolver(program, solver ?? undefined).name,
    ...{ evidence: null, allGates: null },
  };
}

/**
 * What sharing says of the program in which each neuron feeds one output, where there was no time to solve it: a dual point of neurons
 * that feed all is feasible there, since these are dearer.
 */
export function solvedBySharing(solution: PosedSolution, { point }: Shared): PosedSolution {
  if (point === null) return solution;
  const { program, dualPoint, seconds, gap } = point;
  const [blocks, primal] =
    point.blocks === null ? [solution.blocks, solution.gap.primal] : [point.blocks, point.charged];
  return {
    ...solution,
    ...{ blocks, program, dualPoint, seconds },
    gap: { primal, dual: gap.dual, relative: relativeGap(primal, gap.dual, program) },
  };
}

/**
 * Lets the neurons of a solution feed all outputs, where the options allow it: `vectorPenalty` is not "perOutput", the loss is
 * smooth, and neurons may take any gate, since all are there or they grow. The status is then that of the bound for such networks.
 */
export async function sharedNetwork(
  problem: Problem,
  solution: PosedSolution,
  network: Network,
  kernels: Kernels,
  settings: Settings,
  clock: Clock, // of this
  width: number, // of the layer; no network is wider
  onRound: SharedBudget["onRound"],
  random: RandomEnd | null, // that may be gone on from
  start: SparseBlocks | null, // of the problem's program, where the solution began
): Promise<Shared> {
  const { status, program } = solution;
  const pause = () => clock.pause();
  if (!wantsSharing(problem, settings) || status === "cancelled") return alone(solution, network);
  const late = () => random === null && start === null && clock.over;
  if (late()) return alone(solution, network);
  const few = await fewest(program, network, pause); // neurons of one direction become one that feeds several outputs
  const lower = start === null ? few : await lowerOf(few, problem, start, kernels, pause);
  const first = lower.neurons.length <= width ? lower : await thinned(program, lower, width, kernels, settings, pause);
  if (late()) return alone(solution, network);
  const starts = problem.growth?.starts ?? defaultStarts(program.X);
  const options = { starts, seed: settings.seed + 2, units: width, random };
  const found = await shareOutputs(program, first, kernels, { ...budgetOf(settings, clock.left), onRound }, options);
  const better = found.gap.primal < solution.gap.primal;
  const primal = better ? found.gap.primal : solution.gap.primal;
  const { dual } = found.gap;
  const relative = relativeGap(primal, dual, program);
  const evidence = found.evidence.starts > 0 ? found.evidence : null;
  const wide = !better && network.neurons.length > width;
  const shared = better || wide ? await fewest(program, found.network, pause) : network;
  return {
    point: { ...found, blocks: better ? found.blocks : null },
    network: wide ? network : shared,
    fits: wide ? shared : null,
    ...endOf(found, relative <= settings.tolerance),
    dualPoint: found.dualPoint,
    bound: { primal, dual, relative, program: found.program, evidence },
  };
}

/** True where neurons may feed several outputs, and no option says that each is to feed one. */
export function wantsSharing(problem: Problem, { vectorPenalty }: Pick<Settings, "vectorPenalty">): boolean {
  return vectorPenalty !== "perOutput" && mayShare(problem);
}

/** The network itself, or that of a start: an earlier result's, whose neurons feed several outputs, may be lower than what the program makes of it. */
async function lowerOf(
  network: Network,
  { program, formulation }: Problem,
  start: SparseBlocks,
  kernels: Kernels,
  pause: () => Promise<boolean>,
): Promise<Network> {
  const before = await fewest(program, formulation.recover(program, start), pause);
  const objective = new SharedObjective(program, kernels);
  const value = ({ neurons, bias }: Network) => objective.value(sharedNeurons(neurons, program.X.cols, bias));
  return value(before) < value(network) ? before : network;
}

/** A network of the layer's width to begin from: what it lacks, neurons that feed all outputs make up for. */
async function thinned(
  program: PosedSolution["program"],
  network: Network,
  units: number,
  kernels: Kernels,
  { tolerance, seed }: Pick<Settings, "tolerance" | "seed">,
  pause: () => Promise<boolean>,
): Promise<Network> {
  const options = { tolerance, seed: seed + 3, shares: true, units, pause, quick: true };
  return (await narrowed(program, network, kernels, options)).network;
}

/** Solved is what the bound for networks whose neurons feed all outputs proves to be so. */
function endOf({ status, advice }: SharedSolution, proven: boolean): { status: Status; advice: string } {
  return proven ? { status: "solved", advice: adviceOf.solved } : { status, advice };
}

/** The certificate of the network that was returned: the program's where each neuron feeds one output. */
export function withShared(certificate: Certificate, { bound }: Shared): Certificate {
  return bound === null ? certificate : certifyShared(certificate, bound);
}

/** What sharing did, in a sentence. */
export function sharingNotes({ perOutput, primal }: Certificate): string[] {
  if (perOutput === null || !(primal < perOutput.primal)) return [];
  const gain = (100 * (1 - primal / perOutput.primal)).toPrecision(2);
  return [
    `Neurons feed several outputs: an objective of ${primal.toPrecision(6)}, ${gain} % below the best that was found where ` +
      `each feeds one, ${perOutput.primal.toPrecision(6)} (certificate.perOutput).`,
  ];
}
