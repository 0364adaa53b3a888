/** What dual points prove of a network that is there: of the gates in hand, of all gates, and of neurons that feed all outputs. */

import {
  certifyShared,
  GapJudge,
  relativeGap,
  type SharedBound,
  sharedAtLeast,
} from "../../convex/certificate/index.js";
import { type GrowthOptions, solveGrowing } from "../../convex/growth/index.js";
import type { Kernels } from "../../convex/kernels/index.js";
import { blockOutputs } from "../../convex/operators/blocks.js";
import { dualPointAt } from "../../convex/operators/dualPoint.js";
import { DEFAULT_CONES, GatePricer } from "../../convex/pricing/index.js";
import { LAST_PROJECTIONS, mayShareOutputs, sharedGap } from "../../convex/sharing/index.js";
import { Clock } from "../../convex/solvers/clock.js";
import { solve, withProducts } from "../../convex/solvers/solve.js";
import type { AllGatesBound, Certificate, ConvexProgram, Gap, SparseBlocks } from "../../convex/types.js";
import type { Settings } from "../options.js";
import { budgetOf } from "./posed.js";

/** A lower bound, and the dual point [n x C] that it rests on. */
export interface Bound {
  readonly dual: number;
  readonly dualPoint: Float64Array;
}

/** The network's own residual, balanced where the output bias is free, as a dual point, and the gap that it gives. */
export function judgeResidual(
  program: ConvexProgram,
  Z: Float64Array,
  blocks: SparseBlocks,
  kernels: Kernels,
): Gap & Bound {
  const N = dualPointAt(program, Z);
  const gap = withProducts(program, kernels, (products) => new GapJudge(program, products).gap(blocks, N));
  return { ...gap, dualPoint: N };
}

/** The best that is known: what the residual proves, and where there is time (`left`, in seconds) what a solve begun at the network does. */
export async function boundsOf(
  program: ConvexProgram,
  residual: Gap & Bound,
  blocks: SparseBlocks,
  kernels: Kernels,
  settings: Settings,
  left: (() => number) | null, // null: no solve is asked for
  growing: GrowthOptions,
): Promise<{ readonly bound: Bound; readonly allGates: AllGatesBound | null }> {
  const allGates = await boundAllGates(program, residual, settings);
  if (left === null) return { bound: residual, allGates };
  const budget = budgetOf(settings, left());
  if (allGates === null) {
    const { gap, dualPoint } = await solve(program, kernels, budget, blocks);
    return { bound: gap.dual > residual.dual ? { dual: gap.dual, dualPoint } : residual, allGates };
  }
  // A dual point that no gate spoils is one that all good gates have shaped: they are let in.
  const grown = await solveGrowing(program, kernels, budget, growing, blocks);
  return { bound: residual, allGates: betterOf(allGates, grown.allGates) };
}

/** What the residual proves of all gates, where that is asked for and not known. */
async function boundAllGates(
  program: ConvexProgram,
  { primal, dualPoint }: Gap & Bound,
  { pricing, tolerance, timeLimit }: Settings,
): Promise<AllGatesBound | null> {
  if (pricing?.kind !== "branch-and-bound" || program.gates.complete) return null;
  const clock = new Clock(timeLimit, () => false);
  const budget = { cones: pricing.cones ?? DEFAULT_CONES, tolerance, pause: () => clock.pause() };
  return (await new GatePricer(program).bound(dualPoint, primal, budget)).bound;
}

/** A finished bound before one that is not, then the larger. */
function betterOf(a: AllGatesBound, b: AllGatesBound | null): AllGatesBound {
  if (b === null || (a.finished && !b.finished)) return a;
  return (b.finished && !a.finished) || b.dual > a.dual ? b : a;
}

/**
 * What dual points [n x C] say of networks whose neurons feed all outputs, as the model's may: by the prices of such neurons where
 * the loss and the read-out have them, and by the bound for neurons that feed one each, whichever is larger.
 */
export async function withSharing(
  certificate: Certificate,
  program: ConvexProgram,
  dualPoints: ReadonlySet<Float64Array>,
  kernels: Kernels,
  seconds: number,
  { tolerance }: Settings,
): Promise<Certificate> {
  const { network: primal } = certificate;
  const bound = (dual: number, everywhere: boolean, evidence: SharedBound["evidence"]): SharedBound => ({
    ...{ primal, dual, relative: relativeGap(primal, dual, program), program, everywhere, evidence },
  });
  const everywhere = certificate.scope === "all gates";
  let best = bound(sharedAtLeast(certificate.dual, blockOutputs(program)), everywhere, certificate.evidence);
  if (mayShareOutputs(program)) {
    const clock = new Clock(seconds, () => false);
    const budget = { tolerance: tolerance / 2, projections: LAST_PROJECTIONS, pause: () => clock.pause() };
    for (const N of dualPoints) {
      const { gap, prices } = await sharedGap(program, kernels, primal, N, budget);
      if (!(gap.dual > best.dual)) continue;
      const evidence = { bestRatio: prices.lower / program.beta, starts: program.gates.count };
      best = bound(gap.dual, false, evidence);
    }
  }
  return certifyShared(certificate, best);
}
