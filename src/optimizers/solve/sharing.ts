/** ReLU networks with several outputs: after the convex program, in which each neuron feeds one, neurons that feed them all. */

import { defaultStarts } from "../../convex/arrangements/index.js";
import { certifyShared, relativeGap, type SharedBound } from "../../convex/certificate/index.js";
import type { Kernels } from "../../convex/kernels/index.js";
import { narrowed } from "../../convex/narrowing/index.js";
import type { Network } from "../../convex/network.js";
import { type SharedBudget, type SharedSolution, shareOutputs } from "../../convex/sharing/index.js";
import type { Clock } from "../../convex/solvers/clock.js";
import { advice as adviceOf } from "../../convex/solvers/solution.js";
import type { Certificate, Status } from "../../convex/types.js";
import type { Settings } from "../options.js";
import { mayShare } from "../pose/mayShare.js";
import type { PosedSolution, Problem } from "../records.js";
import { budgetOf, fewest } from "./posed.js";

/** A network, how its search ended, and what is proven of those like it. */
export interface Shared {
  readonly network: Network;
  readonly status: Status;
  readonly advice: string;
  readonly bound: SharedBound | null; // null where none was looked for: then it is about neurons that feed one output each
  readonly dualPoint: Float64Array | null; // [n x C], of that bound
}

/** Where each neuron feeds one output. */
export function alone({ status, advice }: PosedSolution, network: Network): Shared {
  return { network, status, advice, bound: null, dualPoint: null };
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
): Promise<Shared> {
  const { status, program } = solution;
  const pause = () => clock.pause();
  if (!wantsSharing(problem, settings) || status === "cancelled" || clock.over) return alone(solution, network);
  const few = await fewest(program, network, pause); // neurons of one direction become one that feeds several outputs
  const first = few.neurons.length <= width ? few : await thinned(program, few, width, kernels, settings, pause);
  if (clock.over) return alone(solution, network);
  const starts = problem.growth?.starts ?? defaultStarts(program.X);
  const options = { starts, seed: settings.seed + 2, units: width };
  const found = await shareOutputs(program, first, kernels, { ...budgetOf(settings, clock.left), onRound }, options);
  const better = found.gap.primal < solution.gap.primal;
  const primal = better ? found.gap.primal : solution.gap.primal;
  const { dual } = found.gap;
  const relative = relativeGap(primal, dual, program);
  return {
    network: better ? await fewest(program, found.network, pause) : network,
    ...endOf(found, relative <= settings.tolerance),
    dualPoint: found.dualPoint,
    bound: { primal, dual, relative, program: found.program, evidence: found.evidence },
  };
}

/** True where neurons may feed several outputs, and no option says that each is to feed one. */
export function wantsSharing(problem: Problem, { vectorPenalty }: Pick<Settings, "vectorPenalty">): boolean {
  return vectorPenalty !== "perOutput" && mayShare(problem);
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
    `Neurons feed several outputs: an objective of ${primal.toPrecision(6)}, ${gain} % below that of the convex program in which ` +
      `each feeds one, ${perOutput.primal.toPrecision(6)} (certificate.perOutput).`,
  ];
}
