/** Pulls of neurons composed from public tf ops, in float32, on whatever backend is current. */

import * as tf from "@tensorflow/tfjs";
import type { Matrix } from "../../types.js";
import type { NeuronPulls } from "../types.js";
import type { ContextWatch } from "../webgl/context.js";
import { currentContext, readAndDispose } from "./tensors.js";

export class TfjsPulls implements NeuronPulls {
  private readonly context: ContextWatch | null = currentContext();
  private readonly X: tf.Tensor2D;
  private readonly N: tf.Tensor2D; // [C x n]

  constructor({ rows, cols, data }: Matrix, N: Float64Array, outputs: number) {
    this.X = tf.tensor2d(Float32Array.from(data), [rows, cols]);
    this.N = tf.tidy(() => tf.transpose(tf.tensor2d(Float32Array.from(N), [rows, outputs])));
  }

  async at(weights: Float64Array, columns: Int32Array, out: Float64Array): Promise<void> {
    const { X, N } = this;
    const all = tf.tidy(() => {
      const W = tf.tensor2d(Float32Array.from(weights), [columns.length, X.shape[1]]);
      const active = tf.step(tf.matMul(W, X, false, true));
      return tf.matMul(tf.mul(active, tf.gather(N, tf.tensor1d(columns, "int32"))), X);
    });
    out.set(await readAndDispose(all, this.context));
  }

  dispose(): void {
    this.context?.dispose();
    tf.dispose([this.X, this.N]);
  }
}
