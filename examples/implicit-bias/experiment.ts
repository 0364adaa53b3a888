/**
 * Where gradient descent goes without regularization: on separable data the logistic loss drives two-layer ReLU networks
 * towards a network of largest margin (Lyu and Li 2020: a KKT point of the max-margin problem; Chizat and Bach 2020: the global
 * one, when the network is wide and starts small). The convex program says what the largest margin is.
 */

import * as tf from "@tensorflow/tfjs";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { type Certificate, ConvexReLUTrainer } from "../../src/index.js";

/** Separable data that no linear classifier separates: n points in the plane with a constant as third feature. */
export interface Points {
  readonly n: number;
  readonly d: number;
  readonly x: Float64Array; // [n x d]
  readonly y: Float64Array; // [n], -1 or 1
}

/** Points in four clusters at the corners of a square, labelled as XOR. */
export function makePoints(n: number, seed: number): Points {
  const draw = gaussianSource(seed);
  const x = new Float64Array(n * 3);
  const y = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    const [a, b] = [k % 2 === 0 ? 1 : -1, k % 4 < 2 ? 1 : -1];
    x.set([a + 0.35 * draw(), b + 0.35 * draw(), 1].map(Math.fround), 3 * k);
    y[k] = a * b;
  }
  return { n, d: 3, x, y };
}

/** The largest margin min_k y_k f(x_k) of all networks with (|W1|^2 + |W2|^2) / 2 = 1, and the outputs of a network that has it. */
export async function largestMargin(
  points: Points,
): Promise<{ margin: number; outputs: Float64Array; neurons: number; certificate: Certificate }> {
  const x = tf.tensor2d(Float32Array.from(points.x), [points.n, points.d]);
  const y = tf.tensor2d(Float32Array.from(points.y), [points.n, 1]);
  const trainer = new ConvexReLUTrainer({ arrangements: { kind: "enumerate" }, regularization: "max-margin" });
  const { model, certificate, neurons } = await trainer.train(x, y, {
    loss: "hinge",
    hiddenBias: false,
    outputBias: false,
  });
  const outputs = Float64Array.from(tf.tidy(() => (model.predict(x) as tf.Tensor).dataSync()));
  model.dispose();
  tf.dispose([x, y]);
  return { margin: 1 / certificate.dual, outputs, neurons, certificate };
}

/** Steps after which the rate has halved: with a constant one the margins of the support points keep swinging. */
const SETTLING = 2000;

/** How gradient descent is run. */
export interface Descent {
  readonly width: number;
  /** Standard deviation of the first weights. */
  readonly scale: number;
  readonly seed: number;
  readonly steps: number;
  readonly rate: number;
}

/** Where gradient descent was at a step. */
export interface Moment {
  readonly step: number;
  /** min_k y_k f(x_k) over (|W1|^2 + |W2|^2) / 2: what scaling the network does not change. */
  readonly margin: number;
  readonly outputs: Float64Array; // [n]
}

/**
 * Gradient descent in float64 on log sum_k exp(-y_k f(x_k)): the direction of the exponential loss's gradient at a step that
 * does not shrink with the loss, so that margins grow in reasonable time (Lyu and Li 2020, section 5). Tells of `count` steps,
 * at equal distances in their logarithm.
 */
export function descend(points: Points, descent: Descent, count = 40): Moment[] {
  const { n, d, x, y } = points;
  const { width, scale, steps, rate } = descent;
  const draw = gaussianSource(descent.seed);
  const w = Float64Array.from({ length: width * d }, () => scale * draw());
  const a = Float64Array.from({ length: width }, () => scale * draw());
  const pre = new Float64Array(n * width);
  const outputs = new Float64Array(n);
  const weights = new Float64Array(n);
  const moments: Moment[] = [];
  let next = 1;
  for (let step = 0; step <= steps; step++) {
    outputs.fill(0);
    for (let k = 0; k < n; k++) {
      for (let j = 0; j < width; j++) {
        let sum = 0;
        for (let p = 0; p < d; p++) sum += x[k * d + p] * w[j * d + p];
        pre[k * width + j] = sum;
        if (sum > 0) outputs[k] += sum * a[j];
      }
    }
    const margin = outputs.reduce((least, f, k) => Math.min(least, y[k] * f), Number.POSITIVE_INFINITY);
    if (step === steps || step >= next) {
      let square = 0;
      for (const value of w) square += value * value;
      for (const value of a) square += value * value;
      moments.push({ step, margin: (2 * margin) / square, outputs: outputs.slice() });
      next = Math.max(next + 1, next * steps ** (1 / count));
    }
    const pace = rate / (1 + step / SETTLING);
    let total = 0;
    for (let k = 0; k < n; k++) {
      weights[k] = Math.exp(margin - y[k] * outputs[k]);
      total += weights[k];
    }
    for (let j = 0; j < width; j++) {
      let slope = 0;
      const aj = a[j];
      for (let k = 0; k < n; k++) {
        const sum = pre[k * width + j];
        if (sum <= 0) continue;
        const pull = (pace * weights[k] * y[k]) / total;
        slope += pull * sum;
        for (let p = 0; p < d; p++) w[j * d + p] += pull * aj * x[k * d + p];
      }
      a[j] += slope;
    }
  }
  return moments;
}

/** The cosine between the outputs of two networks on the data. */
export function cosine(a: Float64Array, b: Float64Array): number {
  const dot = (u: Float64Array, v: Float64Array) => u.reduce((sum, value, k) => sum + value * v[k], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
