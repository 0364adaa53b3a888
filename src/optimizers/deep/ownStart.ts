/** The head that a model has as a point of the program: where the program of a round begins. */

import type * as tf from "@tensorflow/tfjs";
import { arrangementBound, gatesFrom } from "../../convex/arrangements/index.js";
import { formulations } from "../../convex/formulations/index.js";
import { bindLoss } from "../../convex/losses/index.js";
import { liftNeurons } from "../../convex/recovery/index.js";
import type { FitArgs } from "../fit.js";
import type { Settings } from "../options.js";
import { neuronsOf } from "../pose/ownNeurons.js";
import { FEW_ARRANGEMENTS } from "../pose/pose.js";
import { biasColumnOf } from "../pose/regularization.js";
import { inputRows } from "../read/inputRows.js";
import { type NetworkSpec, poolingOf } from "../read/model.js";
import { readSplit } from "../read/split.js";
import { trunkOf } from "../read/trunk.js";
import { readWeights } from "../read/weights.js";
import type { StartingPoint } from "../records.js";

/** Null where the head is not one of ReLU units whose gates grow, has so few gates that all are taken, no living unit, or weights that are NaN. */
export async function ownStart(
  model: tf.LayersModel,
  spec: NetworkSpec,
  settings: Settings,
  x: tf.Tensor,
  y: tf.Tensor,
  args: FitArgs,
): Promise<StartingPoint | null> {
  if (spec.formulation !== "relu" || spec.normalization !== null || spec.cut !== "hidden") return null;
  const growth = settings.arrangements ?? { kind: "grow" };
  if (!("kind" in growth) || growth.kind !== "grow") return null;
  const { train } = await readSplit(x, y, spec, args, trunkOf(model, "write", spec.cut));
  const { value } = biasColumnOf(spec, settings, inputRows(spec, train.x, 0));
  const X = inputRows(spec, train.x, value);
  if (arrangementBound(X.rows, Math.min(X.rows, X.cols)) <= FEW_ARRANGEMENTS) return null;
  if (!(await hasFiniteWeights(model))) return null;
  const weights = await readWeights(model, spec, value);
  const living = neuronsOf(weights).filter(({ outputs }) => outputs.some((output) => output !== 0));
  const none = gatesFrom(X, { rows: 1, cols: X.cols, data: new Float64Array(X.cols) });
  const { build } = formulations.relu;
  const loss = bindLoss(spec.loss, train.y, train.weights);
  const parts = {
    X,
    gates: none,
    loss,
    beta: 1,
    outputBias: spec.outputBias && spec.skip === null ? { ridge: 0 } : null,
  };
  const program = build({ ...parts, pooling: poolingOf(spec) }, "perOutput");
  // A linear layer beside the hidden one is no part of the point, and the bias is one with it.
  const bias = spec.skip === null ? weights.bias : new Float64Array(weights.bias.length);
  const { program: own, blocks } = liftNeurons(program, living, bias);
  return own.gates.count === 0 ? null : { gates: own.gates, blocks, problem: { growth } };
}

/** A program needs no weights to begin at: it mends what a training that diverged has left. */
async function hasFiniteWeights(model: tf.LayersModel): Promise<boolean> {
  const values = await Promise.all(model.weights.map((weight) => weight.read().data()));
  return values.every((numbers) => numbers.every((value) => Number.isFinite(value)));
}
