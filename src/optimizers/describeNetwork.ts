/** Reading a solution: the neurons of a model as a table, and for one input the piecewise linear function. */

import type * as tf from "@tensorflow/tfjs";
import { describe, type NetworkDescription } from "../convex/description/index.js";
import { type PiecewiseLinear, piecewiseLinear } from "../convex/description/piecewise.js";
import { readMatrix } from "./read/data.js";
import { inputRows } from "./read/inputRows.js";
import { readModel } from "./read/model.js";
import { trunkOf } from "./read/trunk.js";
import { readWeights } from "./read/weights.js";

/** What `describeNetwork` answers with. */
export interface ModelDescription extends NetworkDescription {
  /** For dense ReLU models of one input, else null. */
  readonly piecewise: PiecewiseLinear | null;
}

/**
 * Describes a two-layer model on data x [n x d], or a convolutional one on images, whoever trained it: which gates its neurons
 * (filters) have, the samples (patches) these select, each neuron's share of the weight decay and of the outputs' variance;
 * everything as plain objects. The caller keeps x.
 *
 * @example
 * ```ts
 * const { neurons, gates, piecewise } = await describeNetwork(model, x);
 * console.table(neurons.map(({ unit, samples, decayShare, variance }) => ({ unit, samples, decayShare, variance })));
 * ```
 *
 * @throws ConvexError "model/..." for a model that is no two-layer network, "data/..." as fit does.
 */
export async function describeNetwork(model: tf.LayersModel, x: tf.Tensor): Promise<ModelDescription> {
  const read = readModel(model, null, "read", true);
  // Folded into the layer before it, batch normalisation is an offset.
  const spec = read.normalization === null ? read : { ...read, hiddenBias: true };
  const data = await readMatrix("x", await trunkOf(model, "read").see("x", x), spec.inputShape, "the model's input");
  const column = spec.hiddenBias ? 1 : 0;
  const weights = await readWeights(model, spec, column);
  const description = describe(weights, inputRows(spec, data, column), column);
  const single = spec.inputs === 1 && spec.formulation === "relu" && spec.convolution === null;
  return { ...description, piecewise: single ? piecewiseLinear(weights, column, data.data) : null };
}
