/**
 * The strong duality experiment of Pilanci and Ergen (2020): on tiny data whose arrangements can all be enumerated, SGD on
 * networks of growing width comes down to the optimum of the convex program, and never below it.
 */

import * as tf from "@tensorflow/tfjs";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { type Certificate, ConvexReLUTrainer } from "../../src/index.js";

export const BETA = 0.05; // objective: mean squared error + beta / 2 (|W1|^2 + |W2|^2)

/** Data of n Gaussian points in three dimensions and targets of a planted network with noise. */
export interface Points {
  readonly n: number;
  readonly d: number;
  readonly x: Float64Array; // [n x d]
  readonly y: Float64Array; // [n]
}

export function makePoints(n: number, seed: number): Points {
  const draw = gaussianSource(seed);
  const d = 3;
  const x = Float64Array.from({ length: n * d }, draw);
  const y = Float64Array.from({ length: n }, (_, k) => Math.abs(x[k * d]) - Math.max(0, x[k * d + 1]) + 0.3 * draw());
  return { n, d, x, y };
}

/** The optimum over all arrangements, and the objective of the network that was recovered from it. */
export async function convexOptimum(
  points: Points,
): Promise<{ certificate: Certificate; gates: number; neurons: number }> {
  const x = tf.tensor2d(Float32Array.from(points.x), [points.n, points.d]);
  const y = tf.tensor2d(Float32Array.from(points.y), [points.n, 1]);
  const trainer = new ConvexReLUTrainer({ arrangements: { kind: "enumerate" }, regularization: BETA, tolerance: 1e-9 });
  const result = await trainer.train(x, y, { loss: "meanSquaredError", hiddenBias: false, outputBias: false });
  tf.dispose([x, y]);
  result.model.dispose();
  return { certificate: result.certificate, gates: result.gates.count, neurons: result.neurons };
}

/** Mini-batch SGD in float64 with a rate that falls; the lowest objective over the run. */
export function sgdObjective(points: Points, width: number, seed: number, epochs = 4000, rate = 0.01): number {
  const { n, d } = points;
  const x = Float64Array.from(points.x, Math.fround);
  const y = Float64Array.from(points.y, Math.fround);
  const draw = gaussianSource(seed);
  const w = Float64Array.from({ length: width * d }, () => draw() / Math.sqrt(d * width));
  const a = Float64Array.from({ length: width }, () => draw() / Math.sqrt(width));
  const pre = new Float64Array(width);
  let lowest = Number.POSITIVE_INFINITY;
  const predict = (k: number) => {
    let sum = 0;
    for (let j = 0; j < width; j++) {
      pre[j] = 0;
      for (let p = 0; p < d; p++) pre[j] += x[k * d + p] * w[j * d + p];
      if (pre[j] > 0) sum += pre[j] * a[j];
    }
    return sum;
  };
  for (let epoch = 0; epoch < epochs; epoch++) {
    const step = rate / (1 + (10 * epoch) / epochs);
    for (let turn = 0; turn < n; turn++) {
      const k = Math.floor(Math.abs(draw()) * 1e6) % n;
      const slope = 2 * (predict(k) - y[k]);
      for (let j = 0; j < width; j++) {
        const open = pre[j] > 0 ? 1 : 0;
        const aj = a[j];
        a[j] -= step * (slope * open * pre[j] + BETA * aj);
        for (let p = 0; p < d; p++) w[j * d + p] -= step * (slope * open * aj * x[k * d + p] + BETA * w[j * d + p]);
      }
    }
    let loss = 0;
    for (let k = 0; k < n; k++) loss += (predict(k) - y[k]) ** 2 / n;
    let decay = 0;
    for (const value of w) decay += value * value;
    for (const value of a) decay += value * value;
    lowest = Math.min(lowest, loss + (BETA / 2) * decay);
  }
  return lowest;
}
