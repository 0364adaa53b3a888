/** What the layers of a trunk make of rows, on the host in float64. */

import type * as tf from "@tensorflow/tfjs";
import { hostKernels } from "../../../convex/kernels/index.js";
import { concatenated, transpose } from "../../../convex/linear/vectors.js";
import type { Stage } from "../graph.js";
import { isForDevice, rowsOfBlock } from "./limits.js";
import { readStages } from "./readTape.js";

/** Makes features [count x features] of the rows from one on. */
export interface Features {
  readonly together: number; // rows at a time, at most
  of(from: number, count: number): Promise<ArrayLike<number>>;
}

/** Null where the tape lacks a layer, or a device is faster. */
export async function hostFeatures(stages: readonly Stage[], x: tf.Tensor): Promise<Features | null> {
  const read = readStages(stages, x.shape.slice(1), await hostKernels({}));
  if (read === null || isForDevice(read.tape, x.shape[0])) return null;
  const { tape, fixed } = read;
  const numbers = await Promise.all(fixed.map((weight) => weight.read().data()));
  const weights = concatenated(...numbers.map((own) => Float64Array.from(own)));
  const values = await x.data();
  const columns = x.size / x.shape[0];
  return {
    together: rowsOfBlock(tape),
    async of(from, count) {
      const rows = Float64Array.from(values.subarray(from * columns, (from + count) * columns));
      const [X, made] = [new Float64Array(rows.length), new Float64Array(count * tape.outputs)];
      transpose(rows, count, columns, X);
      transpose(tape.forward(X, count, weights), tape.outputs, count, made);
      return made;
    },
  };
}
