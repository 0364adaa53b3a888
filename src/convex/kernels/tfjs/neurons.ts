/** Neurons composed from public tf ops, in float32, on whatever backend is current. */

import * as tf from "@tensorflow/tfjs";
import type { Matrix } from "../../types.js";
import { scalesByOutput } from "../device/index.js";
import type { DeviceNeurons } from "../types.js";
import type { ContextWatch } from "../webgl/context.js";
import { currentContext, readAndDispose } from "./tensors.js";

export class TfjsNeurons implements DeviceNeurons {
  private readonly context: ContextWatch | null = currentContext();
  private readonly X: tf.Tensor2D;
  private N: tf.Tensor2D; // [C x n]

  constructor(
    { rows, cols, data }: Matrix,
    private readonly C: number,
  ) {
    this.X = tf.tensor2d(Float32Array.from(data), [rows, cols]);
    this.N = tf.zeros([C, rows]);
  }

  turn(N: Float64Array): void {
    this.N.dispose();
    this.N = tf.tidy(() => tf.transpose(tf.tensor2d(Float32Array.from(N), [this.X.shape[0], this.C])));
  }

  async outputs(weights: Float64Array, scales: Float64Array, columns: Int32Array, Z: Float64Array): Promise<void> {
    const all = tf.tidy(() => {
      const S = tf.tensor2d(scalesByOutput(scales, columns, this.C), [this.C, scales.length]);
      return tf.matMul(tf.relu(this.products(weights, columns.length)), S, true, true); // [n x C]
    });
    const values = await readAndDispose(all, this.context);
    for (let k = 0; k < Z.length; k++) Z[k] += values[k];
  }

  async pulls(weights: Float64Array, columns: Int32Array, out: Float64Array): Promise<void> {
    const all = tf.tidy(() => {
      const active = tf.step(this.products(weights, columns.length));
      return tf.matMul(tf.mul(active, tf.gather(this.N, tf.tensor1d(columns, "int32"))), this.X);
    });
    out.set(await readAndDispose(all, this.context));
  }

  dispose(): void {
    this.context?.dispose();
    tf.dispose([this.X, this.N]);
  }

  /** W X', [m x n]. */
  private products(weights: Float64Array, m: number): tf.Tensor2D {
    return tf.matMul(tf.tensor2d(Float32Array.from(weights), [m, this.X.shape[1]]), this.X, false, true);
  }
}
