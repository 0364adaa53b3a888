/**
 * Gradient explosion: with one rate, gradient descent on two-layer ReLU networks diverges from the more starts the wider the
 * network is. The convex program (Pilanci and Ergen 2020) of the same objective has neither rate nor start.
 */

import * as tf from "@tensorflow/tfjs";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { ConvexReLUTrainer, type FitResult } from "../../src/index.js";

export const BETA = 1e-2; // objective: mean squared error + beta / 2 (|W1|^2 + |W2|^2)
export const RATE = 0.02;
export const STEPS = 1000;
const FEATURES = 5;
const PLANTED = 5; // neurons
const NOISE = 0.1;

/** Weights start as N(0, 1), or as N(0, 2 / (inputs + outputs)) of each layer (Glorot and Bengio 2010), the default of tfjs. */
export type Start = "standard" | "glorot";

/** Gaussian rows, and targets of a planted network with noise. */
export interface Points {
  readonly n: number;
  readonly d: number;
  readonly x: Float64Array; // [n x d]
  readonly y: Float64Array; // [n]
}

export interface Weights {
  readonly w: Float64Array; // [m x d]
  readonly a: Float64Array; // [m]
}

/** How a descent ended. */
export interface Descent {
  readonly exploded: boolean; // the objective passed every bound
  readonly objective: number; // at the end; Infinity when it exploded
  readonly steps: number;
}

export function makePoints(n: number, seed: number): Points {
  const draw = gaussianSource(seed);
  const planted = drawWeights(PLANTED, FEATURES, "glorot", seed + 1000);
  const x = Float64Array.from({ length: n * FEATURES }, () => Math.fround(draw()));
  const y = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    for (let j = 0; j < PLANTED; j++)
      y[k] += 2 * planted.a[j] * Math.max(0, preactivation(x, planted.w, FEATURES, k, j));
    y[k] = Math.fround(y[k] + NOISE * draw());
  }
  return { n, d: FEATURES, x, y };
}

export function drawWeights(m: number, d: number, start: Start, seed: number): Weights {
  const draw = gaussianSource(seed);
  const scale = (inputs: number, outputs: number) => (start === "standard" ? 1 : Math.sqrt(2 / (inputs + outputs)));
  const [first, second] = [scale(d, m), scale(m, 1)];
  return {
    w: Float64Array.from({ length: m * d }, () => first * draw()),
    a: Float64Array.from({ length: m }, () => second * draw()),
  };
}

/** An objective this many times that of the first weights will not come back. */
const EXPLODED = 1e6;

/** Gradient descent on all rows in float64, which changes `weights`; it ends when the objective explodes. */
export function descend(points: Points, { w, a }: Weights, steps = STEPS, rate = RATE): Descent {
  const { n, d, x, y } = points;
  const m = a.length;
  const hidden = new Float64Array(n * m);
  const slopes = new Float64Array(n);
  const gradient = { w: new Float64Array(m * d), a: new Float64Array(m) };
  /** Objective, hidden outputs, and slopes of the loss by the predictions. */
  const forward = () => {
    let loss = 0;
    for (let k = 0; k < n; k++) {
      let z = 0;
      for (let j = 0; j < m; j++) {
        const value = Math.max(0, preactivation(x, w, d, k, j));
        hidden[k * m + j] = value;
        z += value * a[j];
      }
      slopes[k] = (2 / n) * (z - y[k]);
      loss += (z - y[k]) ** 2 / n;
    }
    return loss + (BETA / 2) * (squares(w) + squares(a));
  };
  const first = forward();
  let objective = first;
  for (let step = 0; step < steps; step++) {
    gradient.w.forEach((_, e) => {
      gradient.w[e] = BETA * w[e];
    });
    gradient.a.forEach((_, j) => {
      gradient.a[j] = BETA * a[j];
    });
    for (let k = 0; k < n; k++) {
      for (let j = 0; j < m; j++) {
        const value = hidden[k * m + j];
        if (value <= 0) continue;
        gradient.a[j] += slopes[k] * value;
        const share = slopes[k] * a[j];
        for (let p = 0; p < d; p++) gradient.w[j * d + p] += share * x[k * d + p];
      }
    }
    for (let e = 0; e < m * d; e++) w[e] -= rate * gradient.w[e];
    for (let j = 0; j < m; j++) a[j] -= rate * gradient.a[j];
    objective = forward();
    if (!(objective < EXPLODED * first))
      return { exploded: true, objective: Number.POSITIVE_INFINITY, steps: step + 1 };
  }
  return { exploded: false, objective, steps };
}

function preactivation(x: Float64Array, w: Float64Array, d: number, k: number, j: number): number {
  let sum = 0;
  for (let p = 0; p < d; p++) sum += x[k * d + p] * w[j * d + p];
  return sum;
}

function squares(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}

/** The same objective by the convex program, with gates that grow from those of a seed; the caller disposes the model. */
export async function convexFit({ n, d, x, y }: Points, seed: number): Promise<FitResult> {
  const tensors = [tf.tensor2d(Float32Array.from(x), [n, d]), tf.tensor2d(Float32Array.from(y), [n, 1])] as const;
  const trainer = new ConvexReLUTrainer({
    ...({ arrangements: { kind: "grow" }, formulation: "relu", regularization: BETA, tolerance: 1e-3, seed } as const),
  });
  try {
    return await trainer.train(...tensors, { loss: "meanSquaredError", hiddenBias: false, outputBias: false });
  } finally {
    tf.dispose([...tensors]);
  }
}
