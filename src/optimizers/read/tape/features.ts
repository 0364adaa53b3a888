/** What the layers of a trunk, or of a whole model, make of rows, on the host in float64. */

import type * as tf from "@tensorflow/tfjs";
import { hostKernels } from "../../../convex/kernels/index.js";
import { concatenated, transpose } from "../../../convex/linear/vectors.js";
import type { Stage } from "../graph.js";
import { columnsOf, readInputs } from "./inputs.js";
import { isForDevice, rowsOfBlock } from "./limits.js";
import { type ReadTape, readStages, readWholeTape } from "./readTape.js";

/** Makes features [count x features] of the rows from one on. */
export interface Features {
  readonly together: number; // rows at a time, at most
  of(from: number, count: number): Promise<ArrayLike<number>>;
}

/** Null where the tape lacks a layer, or a device is faster. */
export async function hostFeatures(stages: readonly Stage[], x: tf.Tensor): Promise<Features | null> {
  return made(readStages(stages, x.shape.slice(1), await hostKernels({})), [x]);
}

/** The outputs of a model, one behind the other, of rows of its inputs; null likewise. */
export async function hostOutputs(model: tf.LayersModel, x: readonly tf.Tensor[]): Promise<Features | null> {
  const shapes = x.map(({ shape }) => shape.slice(1));
  return made(readWholeTape(model, shapes, await hostKernels({}), new Map(), 0), x);
}

async function made(read: ReadTape | null, x: readonly tf.Tensor[]): Promise<Features | null> {
  if (read === null || isForDevice(read.tape, x[0].shape[0])) return null;
  const { tape, fixed } = read;
  const numbers = await Promise.all(fixed.map((weight) => weight.read().data()));
  const weights = concatenated(...numbers.map((own) => Float64Array.from(own)));
  const inputs = await readInputs(x);
  return {
    together: rowsOfBlock(tape),
    async of(from, count) {
      const rows = Int32Array.from({ length: count }, (_, k) => from + k);
      const out = new Float64Array(count * tape.outputs);
      transpose(tape.forward(columnsOf(inputs, rows), count, weights), tape.outputs, count, out);
      return out;
    },
  };
}
