/** Weights by which a hidden layer takes a read-out on: (H a)_+ - (-H a)_+ = H a, two units for each output. */

import * as tf from "@tensorflow/tfjs";
import type { Block } from "./chain.js";
import { slopeOfDense } from "./stageModel.js";

/** Squares below this are of no length that float32 has. */
const TINY = 1e-90;

/** A read-out as numbers. */
export interface ReadOut {
  readonly kernel: Float64Array; // [d x C]
  readonly bias: Float64Array | null; // [C]
  readonly outputs: number;
}

/** The weights of a hidden layer, and of the read-out after it. */
export interface Carried {
  readonly kernel: Float64Array; // [d x m]
  readonly readOut: ReadOut;
}

export async function readOutOf(layer: tf.layers.Layer): Promise<ReadOut> {
  const [kernel, bias] = await Promise.all(
    layer.getWeights().map(async (weight) => Float64Array.from(await weight.data())),
  );
  return { kernel, bias: bias ?? null, outputs: layer.weights[0].shape[1] as number };
}

/**
 * Null where the block is none of dense ReLU units, or has fewer than two for each output. Both layers are balanced for the factors of
 * their squares, so that the charge is least: 2 sqrt(g1 g2) times the length of every column, twice.
 */
export function carryOn(
  block: Block,
  units: number,
  { kernel, bias, outputs: C }: ReadOut,
  [first, second]: readonly [number, number],
): Carried | null {
  const slope = slopeOfDense(block);
  if (slope === null || 2 * C > units || slope <= -1) return null;
  const d = kernel.length / C;
  const W = new Float64Array(d * units);
  const A = new Float64Array(units * C);
  for (let c = 0; c < C; c++) {
    let square = 0;
    for (let p = 0; p < d; p++) square += kernel[p * C + c] ** 2;
    // Of the unit s a and the weight 1 / ((1 + slope) s) after it.
    const ratio = first > 0 && second > 0 ? second / first : 1;
    const s = square > TINY ? Math.sqrt(Math.sqrt(ratio / square) / (1 + slope)) : 0;
    for (let p = 0; p < d; p++) {
      W[p * units + 2 * c] = s * kernel[p * C + c];
      W[p * units + 2 * c + 1] = -s * kernel[p * C + c];
    }
    if (s === 0) continue;
    A[2 * c * C + c] = 1 / ((1 + slope) * s);
    A[(2 * c + 1) * C + c] = -1 / ((1 + slope) * s);
  }
  return { kernel: W, readOut: { kernel: A, bias, outputs: C } };
}

/** Writes weights into a dense layer; a bias without numbers is zero. */
export function writeDense(layer: tf.layers.Layer, kernel: Float64Array, bias: Float64Array | null): void {
  tf.tidy(() => {
    const [first, second] = layer.weights;
    first.write(tf.tensor(Float32Array.from(kernel), first.shape as number[]));
    if (second === undefined) return;
    second.write(bias === null ? tf.zeros(second.shape as number[]) : tf.tensor1d(Float32Array.from(bias)));
  });
}
