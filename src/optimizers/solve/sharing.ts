/** ReLU networks with several outputs: after the convex program, in which each neuron feeds one, neurons that feed them all. */

import { defaultStarts } from "../../convex/arrangements/index.js";
import type { Kernels } from "../../convex/kernels/index.js";
import type { Network } from "../../convex/network.js";
import { type SharedBudget, shareOutputs } from "../../convex/sharing/shareOutputs.js";
import type { Clock } from "../../convex/solvers/clock.js";
import { advice } from "../../convex/solvers/solution.js";
import type { Certificate, ConvexProgram, SharedBound, Status } from "../../convex/types.js";
import type { Settings } from "../options.js";
import { mayShare } from "../pose/mayShare.js";
import type { PosedSolution, Problem } from "../records.js";
import { budgetOf, fewest } from "./posed.js";

/** A network, how its search ended, and what is proven of those like it. */
export interface Shared {
  readonly network: Network;
  readonly status: Status;
  readonly advice: string;
  readonly bound: SharedBound | null; // null where each neuron feeds one output
  readonly dualPoint: Float64Array | null; // [n x C], of the bound
  readonly program: ConvexProgram; // with its gates
}

/** Where each neuron feeds one output. */
export function alone({ status, advice: said, program }: PosedSolution, network: Network): Shared {
  return { network, status, advice: said, bound: null, dualPoint: null, program };
}

/**
 * Lets the neurons of a solution feed all outputs, where the options allow it: `vectorPenalty` is not "perOutput", the loss is
 * smooth, and neurons may take any gate, since all are there or they grow.
 */
export async function sharedNetwork(
  problem: Problem,
  solution: PosedSolution,
  network: Network,
  kernels: Kernels,
  settings: Settings,
  clock: Clock, // of this
  width: number, // of the layer; a network that is within stays so
  onRound: SharedBudget["onRound"],
): Promise<Shared> {
  const { status, program } = solution;
  if (!mayShare(problem) || settings.vectorPenalty === "perOutput" || status === "cancelled" || clock.over)
    return alone(solution, network);
  const units = network.neurons.length <= width ? width : Number.POSITIVE_INFINITY;
  const options = { starts: problem.growth?.starts ?? defaultStarts(program.X), seed: settings.seed + 2, units };
  const found = await shareOutputs(program, network, kernels, { ...budgetOf(settings, clock.left), onRound }, options);
  if (!(found.gap.primal < solution.gap.primal)) return alone(solution, network);
  const { primal, dual, relative } = found.gap;
  const hurried = found.status === "timeLimit" || found.status === "cancelled" || found.status === "iterationLimit";
  const ended = status === "solved" && hurried ? found.status : status;
  return {
    network: await fewest(program, found.network, () => clock.pause()),
    status: ended,
    advice: ended === status ? solution.advice : advice[ended],
    dualPoint: found.dualPoint,
    program: found.program,
    bound: { primal, dual, relativeGap: relative, gates: found.program.gates.count, evidence: found.evidence },
  };
}

/** The certificate of the program, with what is proven of networks whose neurons feed several outputs. */
export function withShared(certificate: Certificate, { bound }: Shared): Certificate {
  return bound === null ? certificate : { ...certificate, sharing: bound };
}

/** What sharing did, in a sentence. */
export function sharingNotes(certificate: Certificate): string[] {
  const { sharing, primal } = certificate;
  if (sharing == null) return [];
  const gain = (100 * (1 - sharing.primal / primal)).toPrecision(2);
  return [
    `Neurons feed several outputs: an objective of ${sharing.primal.toPrecision(6)}, ${gain} % below that of the convex program, where ` +
      `each feeds one. No network with these ${sharing.gates} activation patterns has less than ${sharing.dual.toPrecision(6)}.`,
  ];
}
