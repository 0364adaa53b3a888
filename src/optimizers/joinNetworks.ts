/** Mode connectivity: the way between two trained models on which the objective has no barrier. */

import type * as tf from "@tensorflow/tfjs";
import { count, MOST_POINTS, refuseAs, refuseUnknown, shown } from "../arguments.js";
import { bindLoss } from "../convex/losses/index.js";
import type { Decay } from "../convex/network.js";
import { networkPath, type PathPoint } from "../convex/optimalSet/networkPath.js";
import type { Matrix } from "../convex/types.js";
import { ConvexError } from "../errors.js";

import { readData } from "./read/data.js";
import { inputRows } from "./read/inputRows.js";
import { type NetworkSpec, readModel } from "./read/model.js";
import type { Weighting } from "./read/sampleWeights.js";
import { trunkOf } from "./read/trunk.js";
import { readWeights } from "./read/weights.js";
import { writeWeights } from "./write/weights.js";
import { resized } from "./write/width.js";

export interface JoinOptions extends Weighting {
  /** Steps on each of the three legs; default 20, at most 10,000. */
  readonly steps?: number;
  /** beta of the weight decay beta / 2 (|W1|^2 + |W2|^2) for models without l2 regularizers; default 0. */
  readonly regularization?: number;
}

const OPTIONS = ["steps", "regularization", "sampleWeight", "classWeight"];

/** The way: points of three legs, and models of any of them. */
export interface JoinedNetworks<M extends tf.LayersModel = tf.Sequential> {
  readonly points: readonly PathPoint[];
  /** How far the objective rises above the dearer end: 0 up to rounding, by convexity. */
  readonly barrier: number;
  /** A new model as wide as both together, with the weights of a point; the caller disposes. */
  modelAt(index: number): M;
}

/**
 * Joins two compiled models of the same layers, dense or convolutional (any widths, however trained), by networks whose weights
 * change continuously and whose objective on x [n x d] (or images), y [n x C] never exceeds the larger of the two.
 *
 * The first leg balances the neurons of the first model, the second crosses over, the third ends at the second model, all in a
 * network as wide as both. Two global optima are joined on one level (Wang, Lacotte and Pilanci 2021).
 *
 * @example
 * ```ts
 * const { points, barrier } = await joinNetworks(modelA, modelB, x, y);
 * barrier; // 0 up to rounding
 * ```
 *
 * @throws ConvexError "model/..." for models that differ in more than their width, "data/..." as fit does.
 */
export async function joinNetworks<M extends tf.LayersModel>(
  from: M,
  to: tf.LayersModel,
  x: tf.Tensor,
  y: tf.Tensor,
  options: JoinOptions = {},
): Promise<JoinedNetworks<M>> {
  refuseUnknown("joinNetworks", options, OPTIONS);
  const { steps = 20, regularization = 0, ...weighting } = options;
  count("joinNetworks: steps", steps, MOST_POINTS);
  if (!(typeof regularization === "number" && regularization >= 0 && Number.isFinite(regularization)))
    refuseAs("joinNetworks", "regularization: a number of at least 0", shown(regularization));
  const spec = readModel(from, null, "read");
  const other = readModel(to, spec.formulation, "read");
  for (const { skip } of [spec, other]) if (skip !== null) refuseSkip();
  refuseDifferent(spec, other);
  const { l2 } = spec;
  const own = l2.hidden > 0 || l2.output > 0;
  if (own && regularization > 0)
    refuseAs("joinNetworks", "no regularization for models whose layers have l2 of their own", "both");
  const [hidden, output] = own ? [l2.hidden, l2.output] : [regularization / 2, regularization / 2];
  const decay: Decay = { hidden, output, outputBias: l2.outputBias };
  const data = await readData(await trunkOf(from, "read").see("x", x), y, spec, weighting);
  const others = await readData(await trunkOf(to, "read").see("x", x), y, other, weighting);
  refuseOtherFeatures(data.x, others.x);
  // Over a column t the bias b stands as b / t: with t = sqrt(g1 / g) its charge g b^2 is g1 (b / t)^2.
  const column = !spec.hiddenBias ? 0 : l2.hiddenBias > 0 && hidden > 0 ? Math.sqrt(hidden / l2.hiddenBias) : FREE;
  const X = inputRows(spec, data.x, column);
  const loss = bindLoss(spec.loss, data.y, data.weights);
  const [first, second] = await Promise.all([readWeights(from, spec, column), readWeights(to, other, column)]);
  const points = networkPath(first, second, { X, loss, decay }, steps);
  const objectives = points.map(({ objective }) => objective);
  const ends = Math.max(objectives[0], objectives[objectives.length - 1]);
  return {
    points,
    barrier: Math.max(...objectives) - ends,
    modelAt(index) {
      if (!Number.isInteger(index) || index < 0 || index >= points.length)
        refuseAs("joinNetworks", `an index below ${points.length}`, shown(index));
      const model = resized(from, spec.units + other.units);
      writeWeights(model, { ...spec, units: spec.units + other.units }, points[index].weights, column);
      return model;
    },
  };
}

/** So large a column makes the charge (b / t)^2 of a bias without regularizer vanish, and keeps b = t (b / t) to rounding. */
const FREE = 2 ** 40;

function refuseDifferent(a: NetworkSpec, b: NetworkSpec): void {
  const of = ({ inputs, outputs, hiddenBias, outputBias, loss, l2, convolution, negativeSlope }: NetworkSpec) =>
    JSON.stringify({ inputs, outputs, hiddenBias, outputBias, loss, l2, convolution, negativeSlope });
  if (of(a) === of(b)) return;
  throw new ConvexError(
    "model/layer",
    `joinNetworks: expected two models that differ in width only, got ${of(a)} and ${of(b)}. Build both alike.`,
  );
}

function refuseSkip(): never {
  throw new ConvexError(
    "model/layer",
    "joinNetworks: expected models whose layers follow one another, got one with a linear layer beside the hidden one. Leave that layer " +
      "out of both: two ReLU units make any linear function of x.",
  );
}

function refuseOtherFeatures(a: Matrix, b: Matrix): void {
  if (a.data.every((value, k) => value === b.data[k])) return;
  throw new ConvexError(
    "model/layer",
    `joinNetworks: expected two models whose frozen layers compute the same features of x, got others. Train both on one trunk.`,
  );
}
