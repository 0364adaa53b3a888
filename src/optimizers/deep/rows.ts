/** Rows of data by their numbers: targets and weights are read as a fit reads them, x stays the tensor that it is. */

import * as tf from "@tensorflow/tfjs";
import type { Matrix } from "../../convex/types.js";
import { anatomyOf } from "../read/anatomy.js";
import { refuseNonFiniteRows, refuseTensor } from "../read/data.js";
import { refuseUnlisted } from "../read/layers/embedding.js";
import type { NetworkSpec } from "../read/model.js";
import type { Weighting } from "../read/sampleWeights.js";
import { type HeldOut, pairOf, readSplit } from "../read/split.js";
import { refuseNonFiniteWeights } from "../read/weights.js";

/** Targets and weights of the rows of x whose numbers are given. */
export interface ChosenRows {
  readonly rows: Float64Array; // [n]
  readonly y: Matrix; // [n x C]
  readonly weights: Float64Array | null; // [n]
}

/** Rows for training, and rows that are held out, with the tensor in which these are. */
export interface WholeRows {
  readonly train: ChosenRows;
  readonly validation: HeldRows<tf.Tensor> | null;
}

/** One tensor, or one for each input or output of a model. */
export type Tensors = tf.Tensor | readonly tf.Tensor[];

/** Rows that are held out, and the tensors in which they are. */
export interface HeldRows<T extends Tensors = Tensors> {
  readonly x: T;
  readonly y: T;
  readonly rows: Float64Array;
}

/** @throws ConvexError "data/..." as a fit does, "model/weights" for weights below the head that are no numbers. */
export async function readWholeRows(
  model: tf.LayersModel,
  spec: NetworkSpec,
  x: tf.Tensor,
  y: tf.Tensor,
  args: HeldOut & Weighting,
): Promise<WholeRows> {
  const { inputShape, trunk } = anatomyOf(model, "write", spec.cut);
  const numbered = {
    see: async (name: string, given: tf.Tensor) => {
      const count = refuseTensor(name, given, inputShape, "the model's input");
      await refuseNonFiniteRows(name, given);
      await refuseUnlisted(name, given, model);
      return { rows: count, cols: 1, data: Float64Array.from({ length: count }, (_, k) => k) };
    },
  };
  const { train, validation } = await readSplit(x, y, spec, args, numbered);
  for (const { inputs, output } of trunk) await refuseNonFiniteWeights(tf.model({ inputs, outputs: output }));
  const [heldX, heldY] = pairOf<tf.Tensor>(args) ?? [x, y];
  return {
    train: { rows: train.x.data, y: train.y, weights: train.weights },
    validation: validation && { x: heldX, y: heldY, rows: validation.x.data },
  };
}

/** Some rows of each tensor; the caller disposes. */
export function rowsOfEach(tensors: Tensors, rows: Float64Array): tf.Tensor[] {
  return [tensors].flat().map((tensor: tf.Tensor) => rowsOf(tensor, rows));
}

/** Some rows of a tensor; the caller disposes. */
export function rowsOf(tensor: tf.Tensor, rows: Float64Array): tf.Tensor {
  return tf.tidy(() => tf.gather(tensor, tf.tensor1d(Int32Array.from(rows), "int32")));
}
