/** Certifying, the fourth step of a fit: the weights as layers hold them, what is proven of them, and how the fit ended. */

import { counted } from "../../arguments.js";
import type { NetworkWeights } from "../../convex/network.js";
import { isStandardized } from "../../convex/operators/coordinates.js";
import { undecidedGates } from "../../convex/recovery/index.js";
import type { Clock } from "../../convex/solvers/clock.js";
import { advice } from "../../convex/solvers/solution.js";
import type { Certificate, Status } from "../../convex/types.js";
import type { Settings } from "../options.js";
import { certificateOf } from "../pose/constraint.js";
import type { Posed } from "../pose/fit.js";
import { certificateNear, chargedObjective, layerRows, layerWeights, writtenObjective } from "../pose/reduction.js";
import { frozenNotes, modelObjective, notesOf } from "../pose/regularization.js";
import { columnNotes } from "../pose/standardize.js";
import type { Read } from "../read/fit.js";
import type { Objective, PosedSolution, Problem } from "../records.js";
import type { Solved, Unsolved } from "../solve/fit.js";
import { sharingNotes, withShared } from "../solve/sharing.js";
import { solutionWithin } from "../solve/withinWidth.js";
import { endOf } from "./ended.js";
import { claimedOfHead } from "./head.js";
import type { FitSummary } from "./result.js";

/** A network of `units` units as it is to be written, and what is said of it. */
export interface Proven {
  readonly weights: NetworkWeights;
  readonly certificate: Certificate;
  readonly objective: Objective;
  readonly status: Status;
  readonly advice: string;
  readonly notes: readonly string[];
}

/** Null when a weight is beyond the range of float32, in which layers hold them; `ours`: the layers carry what is charged. */
export async function proveFit(
  { train, spec, note, frozen }: Read,
  { problem, chosen }: Posed,
  { solution, shared, fitting }: Solved,
  settings: Settings,
  units: number,
  ours: boolean,
  clock: Clock,
): Promise<Proven | null> {
  const { column, regularization, reduction } = problem;
  const { kernels } = chosen;
  const weights = layerWeights(problem, fitting.network, units);
  if (!isFinite32(weights)) return null;
  const written = writtenObjective(problem, weights, kernels);
  const charged = chargedObjective(problem, weights, written);
  const within = await solutionWithin(solution, shared, fitting, kernels, clock);
  const proven = withShared(certificateOf(problem, within.solution, weights, charged), within.shared);
  const there = { ...problem, program: within.solution.program };
  const { certificate, notes } = certificateNear(proven, there, within.shared.dualPoint ?? solution.dualPoint, kernels);
  const facts = { problem, gap: solution.gap, certificate, fitting, tolerance: settings.tolerance };
  const space = reduction?.space ?? null;
  // A mean moves the bias: the layer's is not the one that the program charges.
  const carried = ours && space?.mean == null;
  const leftOut = column.charged && !carried && !(space !== null && isStandardized(space));
  return {
    weights,
    certificate: claimedOfHead(certificate, spec),
    objective: modelObjective(written, weights.kernel, regularization.hidden, leftOut, frozen),
    ...endOf(within.shared, facts),
    notes: [
      ...(note === null ? [] : [note]),
      ...frozenNotes(frozen),
      ...notesOf(spec, regularization, column, carried),
      ...columnNotes(train, spec),
      ...problem.gateNotes,
      ...sharingNotes(proven),
      ...notes,
      ...gateNotes(undecidedGates(weights, layerRows(problem))),
    ],
  };
}

/** What every result says of a solution. */
export function factsOf({ problem }: Posed, { solution, engine }: Solved | Unsolved) {
  const { program, blocks, solver, seconds } = solution;
  const { regularization } = problem;
  return { regularization, solver, engine, seconds, gates: program.gates, blocks, problem: { ...problem, program } };
}

/** The answer when there is no finite point, or none in float32: nothing is written, and the status says why. */
export function unwritten(posed: Posed, unsolved: Solved | Unsolved, fits: boolean): Omit<FitSummary, "model"> {
  const { problem } = posed;
  const { solution } = unsolved;
  const bare: PosedSolution = { ...solution, evidence: null, allGates: null };
  const ended = fits ? solution : { status: "nonFinite" as const, advice: advice.nonFinite };
  return {
    ...factsOf(posed, unsolved),
    certificate: certificateOf(problem, bare, null, null),
    objective: { loss: Number.NaN, regularization: Number.NaN, total: Number.NaN },
    status: ended.status,
    advice: ended.advice,
    neurons: 0,
    notes: [whyUnwritten(problem, solution)],
  };
}

function isFinite32({ kernel, output, bias }: NetworkWeights): boolean {
  return [kernel.data, output.data, bias].every((values) => values.every(Number.isFinite));
}

function whyUnwritten({ constraint }: Problem, { contradicted }: PosedSolution): string {
  if (contradicted) return "The bound and the objective contradict each other: the weights are as they were.";
  return constraint === null
    ? "No point with finite float32 weights was found: the weights are as they were."
    : "No network that meets the constraint was found: the weights are as they were.";
}

function gateNotes(undecided: number): string[] {
  if (undecided === 0) return [];
  return [
    `${counted(undecided, "pair")} of a row and a neuron so close to the boundary of the gate that float32 may decide otherwise: ` +
      `model.evaluate may differ from objective.loss by that.`,
  ];
}
