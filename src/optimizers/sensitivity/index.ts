/** Derivatives of a fit: how its weights and predictions move with targets, sample weights and beta, without fitting again. */

import type * as tf from "@tensorflow/tfjs";
import { isRecord, positive, tolerance as readTolerance, refuseAs, refuseUnknown, shown } from "../../arguments.js";
import { chooseEngine } from "../../convex/kernels/index.js";
import { FitResult } from "../report/result.js";
import { Sensitivity } from "./derivatives.js";
import { unitsFor } from "./layers.js";
import { inside, settledPoint } from "./point.js";

export { type Change, type HeldOutGradient, type Movement, Sensitivity } from "./derivatives.js";
export type { LayerWeights } from "./layers.js";
export type { LeaveOneOut } from "./leaveOneOut.js";
export type { Margins } from "./point.js";

export interface SensitivityOptions {
  /** Relative duality gap to which the program is solved again first; default 1e-12. */
  readonly tolerance?: number;
  /** Seconds for solving again; default 60. */
  readonly timeLimit?: number;
}

const OPTIONS = ["tolerance", "timeLimit"];

/**
 * Derivatives of a fit at its optimum, by the Newton matrix of the convex program's active part (implicit function theorem): how
 * weights and predictions move with targets, sample weights and beta; leave-one-out errors without fitting again; the influence of
 * each sample, and the gradient by beta, of a loss on rows held out.
 *
 * For results of `fit` and `train` with a smooth loss. The program is solved once more, to `tolerance`, and Newton's method takes the
 * weights to where the gradient vanishes. There the neurons that the optimum has, and the rows on whose boundary ReLU neurons rest,
 * are held: they stay the same for changes that are small enough. `margins` tell how small. Where one is zero the optimum has
 * different derivatives to the two sides, and these are those of the side on which nothing changes; `smooth` is then false.
 *
 * All is about the program as it was posed: its gates, the columns' standardisation and a charge of the output bias stay as they
 * are; rows of sample weight zero are not among its rows, and its mean is over the others. In float64.
 *
 * @throws ConvexError "options/value" for a result that has no derivative: hinge and mean absolute error, constraints in place of a
 * loss, ReLU neurons that feed several outputs, batch normalisation or a linear layer beside the hidden one, layers that did not have
 * room for the optimum; "data/size".
 *
 * @example
 * ```ts
 * const result = await new ConvexReLUTrainer().fit(model, x, y);
 * const derivatives = await sensitivity(result);
 * derivatives.leaveOneOut().loss; // of all rows, each predicted without it
 * (await derivatives.heldOut(x, y)).beta; // below 0: a larger beta predicts these rows better
 * derivatives.along({ beta: 1 }).weights.kernel; // how the kernel moves
 * ```
 */
export async function sensitivity<M extends tf.LayersModel>(
  result: FitResult<M>,
  options: SensitivityOptions = {},
): Promise<Sensitivity<M>> {
  refuseUnknown("sensitivity", options, OPTIONS);
  const { tolerance = 1e-12, timeLimit = 60 } = options;
  readTolerance("sensitivity: tolerance", tolerance);
  positive("sensitivity: timeLimit", timeLimit);
  refuseUnfit(result);
  const { kernels } = await chooseEngine("auto");
  const settled = await settledPoint(result, kernels, tolerance, timeLimit);
  const weights = await inside(result);
  return new Sensitivity(result, settled, kernels, unitsFor(settled.stationary.point, weights), weights.kernel.cols);
}

function refuseUnfit(result: FitResult<tf.LayersModel>): void {
  const say = (expected: string, came: string, todo: string) => refuseAs("sensitivity", expected, came, todo);
  if (!(result instanceof FitResult) || !isRecord(result.problem))
    say("the result of a fit", shown(result), "Pass what fit or train returned.");
  const { problem, objective, status } = result;
  if (!Number.isFinite(objective.total))
    say("the result of a fit with finite weights", `one with status "${status}"`, "Pass what fit or train returned.");
  if (problem.constraint !== null)
    say(
      "a fit of a loss",
      `one of "${problem.constraint.kind}"`,
      "Fit with a beta: a constraint has no derivative by it.",
    );
  if (!Number.isFinite(problem.loss.curvature)) {
    const smooth = problem.loss.name === "hinge" ? "squaredHinge" : "huberLoss";
    say("a smooth loss", `${problem.loss.name}, which has kinks`, `Compile with ${smooth}.`);
  }
  if (result.certificate.perOutput !== null) {
    say(
      "neurons that feed one output each, whose fit is a convex program",
      "ReLU neurons that feed several",
      'Fit with vectorPenalty "perOutput", or gated layers.',
    );
  }
  if (problem.spec.normalization !== null)
    say("layers without batch normalisation", "one", "Its statistics move with the rows: fit a model without it.");
  if (problem.spec.skip !== null || problem.loss.bound === undefined)
    say("layers that follow one another", "one with a linear layer beside the hidden one", "Fit a model without it.");
  if (status === "widthLimit")
    say("layers with room for the optimum", 'status "widthLimit"', 'Fit with width "resize".');
}
