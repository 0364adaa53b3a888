/** Neurons composed from public tf ops, in float32, on whatever backend is current. */

import * as tf from "@tensorflow/tfjs";
import type { Matrix } from "../../types.js";
import { scalesByOutput } from "../device/index.js";
import type { DeviceNeurons } from "../types.js";
import type { ContextWatch } from "../webgl/context.js";
import { CHUNK_ENTRIES, currentContext, readAndDispose } from "./tensors.js";

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
    for (const [from, to] of this.parts(columns.length)) {
      const all = tf.tidy(() => {
        const mine = scalesByOutput(scales.subarray(from, to), columns.subarray(from, to), this.C);
        const S = tf.tensor2d(mine, [this.C, to - from]);
        return tf.matMul(tf.relu(this.products(weights, from, to)), S, true, true); // [n x C]
      });
      const values = await readAndDispose(all, this.context);
      for (let k = 0; k < Z.length; k++) Z[k] += values[k];
    }
  }

  async pulls(weights: Float64Array, columns: Int32Array, out: Float64Array): Promise<void> {
    for (const [from, to] of this.parts(columns.length)) {
      const all = tf.tidy(() => {
        const active = tf.step(this.products(weights, from, to));
        const pulls = tf.gather(this.N, tf.tensor1d(columns.subarray(from, to), "int32"));
        return tf.matMul(tf.mul(active, pulls), this.X);
      });
      out.set(await readAndDispose(all, this.context), from * this.X.shape[1]);
    }
  }

  dispose(): void {
    this.context?.dispose();
    tf.dispose([this.X, this.N]);
  }

  /** Neurons from, and below which, at a time: the products of them with all rows are one tensor. */
  private parts(m: number): [number, number][] {
    const together = Math.max(1, Math.floor(CHUNK_ENTRIES / this.X.shape[0]));
    return Array.from({ length: Math.ceil(m / together) }, (_, k) => [k * together, Math.min(m, (k + 1) * together)]);
  }

  /** W X' of these neurons, [to - from x n]. */
  private products(weights: Float64Array, from: number, to: number): tf.Tensor2D {
    const d = this.X.shape[1];
    const mine = Float32Array.from(weights.subarray(from * d, to * d));
    return tf.matMul(tf.tensor2d(mine, [to - from, d]), this.X, false, true);
  }
}
