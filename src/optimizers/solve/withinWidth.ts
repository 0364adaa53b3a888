/** A network that is wider than its layer -> the best one of the layer's width that is found, and what it says of the result. */

import { relativeGap } from "../../convex/certificate.js";
import type { Kernels } from "../../convex/kernels/index.js";
import { narrowed } from "../../convex/narrowing/narrow.js";
import type { Network } from "../../convex/network.js";
import { Clock } from "../../convex/solvers/clock.js";
import type { Certificate, ConvexProgram, Status } from "../../convex/types.js";
import type { Settings } from "../options.js";
import { mayShare } from "../pose/mayShare.js";
import type { NetworkSpec } from "../read/model.js";
import type { Problem } from "../records.js";

/** A network that fits, and its objective in float64 where it had to be narrowed. */
export interface Fitting {
  readonly network: Network;
  readonly value: number | null;
  readonly needed: number; // neurons of the network before
}

/** The network itself where it fits into `units`; with a constraint there is no objective to descend, and it stays as it is. */
export async function withinWidth(
  problem: Problem,
  program: ConvexProgram,
  network: Network,
  units: number,
  kernels: Kernels,
  settings: Pick<Settings, "vectorPenalty" | "tolerance" | "seed">,
  pause: () => Promise<boolean>,
  from?: Network | null,
): Promise<Fitting> {
  const needed = network.neurons.length;
  if (needed <= units || problem.constraint !== null) return { network, value: null, needed };
  const { vectorPenalty, tolerance, seed } = settings;
  const shares = program.cones
    ? vectorPenalty !== "perOutput" && (mayShare(problem) || (program.pooling?.positions ?? 1) > 1)
    : !program.penalty.separable || program.loss.outputs * (program.pooling?.positions ?? 1) === 1;
  const options = {
    units,
    tolerance: Math.max(tolerance, LEAST_GAIN),
    seed: seed + 3,
    shares,
    pause,
    from: from ?? null,
  };
  const { network: narrow, value } = await narrowed(program, network, kernels, options);
  return { network: narrow, value, needed };
}

/** A descent that gains less is at its end. */
const LEAST_GAIN = 1e-6;
/** Of the time: what the convex program may take where its solution may be too wide, or where neurons come to share outputs. */
const SOLVE_SHARE = 0.8;
const SOLVE_SHARE_BEFORE_SHARING = 0.6;
/** Of what is left then: what sharing may take where the network may be too wide. */
export const SHARING_SHARE = 0.7;

/** The clock of a whole fit. */
export function clockOf({ timeLimit, signal }: Pick<Settings, "timeLimit" | "signal">): Clock {
  return new Clock(timeLimit, () => signal?.aborted === true);
}

/** The share of the time that the convex program of a problem may take, for a layer with room for so many neurons. */
export function shareOf(problem: Problem, { vectorPenalty }: Pick<Settings, "vectorPenalty">, room: number): number {
  const { program, growth, constraint } = problem;
  if (constraint !== null) return 1;
  if (mayShare(problem) && vectorPenalty !== "perOutput") return SOLVE_SHARE_BEFORE_SHARING;
  const most = (program.cones ? 2 : 1) * program.gates.count * program.loss.outputs * (program.pooling?.positions ?? 1);
  return room < (growth === null ? most : Number.POSITIVE_INFINITY) ? SOLVE_SHARE : 1;
}

/** The certificate speaks of the network that is returned. */
export function certificateWithin(certificate: Certificate, { value }: Fitting): Certificate {
  if (value === null) return certificate;
  const { dual, sharing } = certificate;
  const own = { ...certificate, primal: value, relativeGap: relativeGap(value, dual) };
  if (sharing === undefined) return own;
  return { ...own, sharing: { ...sharing, primal: value, relativeGap: relativeGap(value, sharing.dual) } };
}

/** The status of a fit whose network was narrowed to `value`, against the bound over all widths. */
export function statusWithin(
  { status, advice }: { readonly status: Status; readonly advice: string },
  { value, needed }: Fitting,
  dual: number,
  { units, convolution }: Pick<NetworkSpec, "units" | "convolution">,
  { tolerance }: Pick<Settings, "tolerance">,
): { readonly status: Status; readonly advice: string } {
  if (value === null) return { status, advice };
  const above = relativeGap(value, dual);
  const noun = convolution === null ? "units" : "filters";
  if (status === "solved" && above <= tolerance) return { status, advice };
  const told =
    `The layer's width is the limit: the solution of the convex program has ${needed} neurons, and this is the best network of ` +
    `${units} that a descent found; a wider one can be lower by ${(100 * above).toPrecision(2)} % at most. ` +
    `Build the layer with ${needed} ${noun}, or set width: "resize".`;
  return status === "solved" || status === "stalled" || status === "iterationLimit"
    ? { status: "widthLimit", advice: told }
    : { status, advice: `${advice} ${told}` };
}
