/** Writing, the last step of a fit: the weights into the model's own layers, or into those of a wider one. */

import type * as tf from "@tensorflow/tfjs";
import type { NetworkWeights } from "../../convex/network.js";
import type { Problem } from "../records.js";
import { OPTIMIZER } from "./template.js";
import { weightsBefore, writeWeights } from "./weights.js";
import { resized } from "./width.js";

/** The model that has the weights; the one that was given is as it was where `last`, or the writing itself, throws. */
export async function writeFit<M extends tf.LayersModel>(
  model: M,
  problem: Problem,
  weights: NetworkWeights,
  units: number,
  ours: boolean,
  last: () => Promise<void>,
): Promise<M> {
  const target = targetOf(model, problem, units, ours);
  const restore = target === model ? await weightsBefore(model) : () => target.dispose();
  try {
    writeWeights(target, problem.spec, weights, problem.column.value);
    await last();
  } catch (error) {
    restore();
    throw error;
  }
  return target;
}

/** The model itself when it has the width, else a new one; one of our own carries what the program charges. */
function targetOf<M extends tf.LayersModel>(model: M, problem: Problem, units: number, ours: boolean): M {
  const { spec, regularization, column, reduction } = problem;
  if (!ours) return units === spec.units ? model : resized(model, units);
  const { hidden, output, outputBias, constraint, standardized } = regularization;
  // Regularizers of a layer charge its own weights.
  if (constraint !== null || standardized) return resized(model, units, null, OPTIMIZER);
  const hiddenBias = column.value > 0 && reduction?.space.mean == null ? hidden / column.value ** 2 : 0;
  return resized(model, units, { hidden, hiddenBias, output, outputBias }, OPTIMIZER);
}

/** tfjs keeps on the host what was once read: so the weights outlive a GPU that goes away while it works for the solver. */
export async function keepOnHost(model: tf.LayersModel): Promise<void> {
  await Promise.all(model.getWeights().map((weight) => weight.data()));
}
