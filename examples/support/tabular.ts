/** A made table in the manner of the Wisconsin breast cancer data: 569 rows, 30 correlated positive features, two classes. */

import * as tf from "@tensorflow/tfjs";
import { gaussianSource } from "../../src/convex/linear/random.js";

const CELL_FEATURES = 10; // of each a mean, a spread and a worst value
const BENIGN_SHARE = 0.63;

export interface Table {
  readonly x: tf.Tensor2D; // [rows x 30], standardised by the training rows
  readonly y: tf.Tensor2D; // [rows x 1], 1 = benign
}

/** Rows for training and for testing; the caller disposes. */
export function makeTable(rows: number, testRows: number, seed: number): { train: Table; test: Table } {
  const draw = gaussianSource(seed);
  const d = 3 * CELL_FEATURES;
  const loadings = Array.from({ length: CELL_FEATURES }, () => [draw(), draw(), draw()]);
  const total = rows + testRows;
  const values = new Float64Array(total * d);
  const labels = new Float32Array(total);
  for (let k = 0; k < total; k++) {
    const benign = k % 100 < 100 * BENIGN_SHARE;
    const size = draw() + (benign ? -0.9 : 1.1);
    const shape = draw() + (benign ? 0 : 0.8 * Math.sign(draw()));
    const texture = draw();
    labels[k] = benign ? 1 : 0;
    loadings.forEach(([a, b, c], f) => {
      const center = 0.5 * (Math.abs(a) * size + b * shape + c * texture) + 0.4 * draw();
      const spread = 0.3 * center + 0.5 * draw();
      values[k * d + f] = Math.exp(0.4 * center);
      values[k * d + CELL_FEATURES + f] = Math.exp(0.5 * spread);
      values[k * d + 2 * CELL_FEATURES + f] = Math.exp(0.4 * center + 0.2 * Math.abs(spread));
    });
  }
  for (let p = 0; p < d; p++) {
    let mean = 0;
    let square = 0;
    for (let k = 0; k < rows; k++) mean += values[k * d + p] / rows;
    for (let k = 0; k < rows; k++) square += (values[k * d + p] - mean) ** 2 / rows;
    for (let k = 0; k < total; k++) values[k * d + p] = (values[k * d + p] - mean) / Math.sqrt(square);
  }
  const part = (from: number, to: number): Table => ({
    x: tf.tensor2d(Float32Array.from(values.subarray(from * d, to * d)), [to - from, d]),
    y: tf.tensor2d(labels.slice(from, to), [to - from, 1]),
  });
  return { train: part(0, rows), test: part(rows, total) };
}
