/** Fits without regularization: what a model's loss means as a constraint, and the certificate of such a fit. */

import { certify, feedsOneEach, NOT_AMONG_THEM, scopeOf } from "../../convex/certificate/index.js";
import { bindLoss, lossTraits } from "../../convex/losses/index.js";
import { forward, type NetworkWeights } from "../../convex/network.js";
import type { Constraint } from "../../convex/solvers/constrained.js";
import type { AllGatesBound, Certificate, ConvexProgram, Evidence, Gap, LossName, Matrix } from "../../convex/types.js";
import { ConvexError } from "../../errors.js";
import type { Dataset } from "../read/data.js";
import type { OutputConstraint, Problem } from "../records.js";
import { layerRows } from "./reduction.js";

/** A gap, and what it is about. */
interface Proven {
  readonly gap: Gap;
  readonly program: ConvexProgram;
  readonly evidence: Evidence | null;
  readonly allGates: AllGatesBound | null;
}

/**
 * What `regularization` "interpolate" or "max-margin" asks of the outputs.
 *
 * @throws ConvexError "options/value" for a loss that has no such meaning, "data/target" for probabilities that are no labels,
 * "data/weight" for weighted samples.
 */
export function outputConstraint(kind: Constraint, name: LossName, data: Dataset): OutputConstraint {
  const { targets } = lossTraits[name];
  const fits = kind === "interpolate" ? targets === "real" : targets === "sign" || targets === "probability";
  if (!fits) {
    const known = kind === "interpolate" ? "of a regression" : "hinge, squaredHinge or binaryCrossentropy";
    throw new ConvexError(
      "options/value",
      `regularization: expected a loss ${known} for "${kind}", got ${name}. Change the loss or the option.`,
    );
  }
  if (data.weights !== null) {
    throw new ConvexError(
      "data/weight",
      `fit: expected no sample or class weights for regularization "${kind}", got some. A constraint holds on every row or on ` +
        `none: leave rows out instead.`,
    );
  }
  const labels = targets === "probability" ? signsOf(data.y) : data.y;
  const penalty = kind === "interpolate" ? "meanAbsoluteError" : "hinge";
  const { rows } = labels;
  return { kind, targets: labels, penalty: (weight) => bindLoss(penalty, labels, new Float64Array(rows).fill(weight)) };
}

/** Labels 0 and 1 as -1 and 1. */
function signsOf(y: Matrix): Matrix {
  const data = y.data.map((value, k) => {
    if (value === 0 || value === 1) return 2 * value - 1;
    throw new ConvexError(
      "data/target",
      `y: expected labels 0 or 1 for regularization "max-margin", got ${value} in row ${Math.floor(k / y.cols)}. Round them.`,
    );
  });
  return { ...y, data };
}

/** What is proven of a network, or of the program alone when there is none. */
export function certificateOf(
  problem: Problem,
  solution: Proven,
  weights: NetworkWeights | null,
  charged: { readonly regularization: number; readonly total: number } | null,
): Certificate {
  const { constraint } = problem;
  const { gap, program, evidence, allGates } = solution;
  if (constraint === null) return certify(gap, charged?.total ?? Number.NaN, program, evidence, allGates);
  const reach = weights === null ? Number.NaN : reached(constraint, weights, layerRows(problem));
  return certifyConstrained(constraint, solution, charged?.regularization ?? Number.NaN, reach);
}

/** The largest |z - y|, or the least y z, of a network as written. */
function reached({ kind, targets }: OutputConstraint, weights: NetworkWeights, X: Matrix): number {
  const Z = forward(weights, X);
  return kind === "interpolate"
    ? Z.reduce((most, z, k) => Math.max(most, Math.abs(z - targets.data[k])), 0)
    : Z.reduce((least, z, k) => Math.min(least, targets.data[k] * z), Number.POSITIVE_INFINITY);
}

/** The certificate: a bound on the least weights that meet the constraint, and what the network has and reaches. */
function certifyConstrained(
  { kind }: OutputConstraint,
  { gap, program }: Proven,
  size: number, // (|W1|^2 + |W2|^2) / 2 of the network as written, NaN when there is none
  reach: number,
): Certificate {
  const interpolates = kind === "interpolate";
  const goal = interpolates ? "fits every target exactly" : "has y z >= 1 on every row";
  // A point that misses the constraint by rounding may lie below the bound of those that meet it (report/ended.ts says so).
  const dual = Math.min(gap.dual, gap.primal);
  const proven = certify({ ...gap, dual, relative: dual < gap.dual ? 0 : gap.relative }, size, program);
  const least = `(|W1|^2 + |W2|^2) / 2 below ${proven.dual.toPrecision(8)}`;
  const met = interpolates
    ? `misses none by more than ${reach.toExponential(1)}`
    : `has y z >= ${reach.toPrecision(8)}`;
  const own = Number.isFinite(size) ? `this one has ${size.toPrecision(8)} and ${met}` : "none was found";
  return {
    ...proven,
    claim: `No network with ${scopeOf(program)}, ${goal} with ${least}; ${own}.${feedsOneEach(program) ? NOT_AMONG_THEM : ""}`,
  };
}
