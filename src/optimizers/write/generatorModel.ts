/** A generator as a tf.Sequential: dense layers, and a reshape where images have a shape. */

import * as tf from "@tensorflow/tfjs";
import type { Matrix } from "../../convex/types.js";
import { writeDenseLayers } from "./denseLayers.js";
import { OPTIMIZER } from "./template.js";
import { ownOptimizer } from "./width.js";

/** One dense layer of float32 numbers; without a bias where that is null. */
export interface DenseWeights {
  readonly W: Matrix; // [inputs x units]
  readonly bias: Float64Array | null; // [units]
  readonly activation: "linear" | "relu";
}

/** The compiled model; `shape` of one image. The caller disposes. */
export function generatorModel(layers: readonly DenseWeights[], shape: readonly number[]): tf.Sequential {
  const dense = layers.map(({ W, bias, activation }, l) =>
    tf.layers.dense({
      ...{ units: W.cols, activation, useBias: bias !== null },
      ...(l === 0 ? { inputShape: [W.rows] } : {}),
    }),
  );
  const behind = shape.length > 1 ? [tf.layers.reshape({ targetShape: [...shape] })] : [];
  const model = tf.sequential({ layers: [...dense, ...behind] });
  model.compile({ optimizer: OPTIMIZER, loss: "meanSquaredError" });
  writeDenseLayers(
    dense,
    layers.map(({ W, bias }) => ({ kernel: W, bias })),
  );
  return ownOptimizer(model);
}

/** What the layers make of rows [m x inputs], in float64. */
export function generatedRows(rows: Matrix, layers: readonly DenseWeights[]): Matrix {
  let seen = rows;
  for (const layer of layers) seen = applied(seen, layer);
  return seen;
}

function applied(Z: Matrix, { W, bias, activation }: DenseWeights): Matrix {
  const data = new Float64Array(Z.rows * W.cols);
  for (let i = 0; i < Z.rows; i++) {
    const row = data.subarray(i * W.cols, (i + 1) * W.cols);
    if (bias !== null) row.set(bias);
    for (let p = 0; p < Z.cols; p++) {
      const z = Z.data[i * Z.cols + p];
      for (let c = 0; c < W.cols; c++) row[c] += z * W.data[p * W.cols + c];
    }
  }
  return { rows: Z.rows, cols: W.cols, data: activation === "relu" ? data.map((t) => Math.max(0, t)) : data };
}
