/**
 * Two algorithms that build a network unit by unit, on their papers' toy problems.
 *
 * Double moon: the incremental convex network of Bengio et al. (2006), with sign units chosen exactly and with tanh units.
 * Planted: Frank-Wolfe for ReLU networks (d'Aspremont and Pilanci 2020) on targets of a network of 10 neurons, once with more
 * features than rows (d = 25, n = 20), once with fewer (d = 20, n = 25).
 */

import * as tf from "@tensorflow/tfjs";
import { gaussianSource } from "../../src/convex/linear/random.js";
import {
  type Certificate,
  type ConvexNNResult,
  ConvexReLUTrainer,
  describeNetwork,
  trainConvexNN,
} from "../../src/index.js";
import { type Points, tensorsOf } from "../support/points.js";

/** Two half circles that reach into each other, labelled -1 and 1. */
export function makeMoons(n: number, seed: number, noise = 0.15): Points {
  const draw = gaussianSource(seed);
  const x = new Float32Array(2 * n);
  const y = new Float32Array(n);
  for (let k = 0; k < n; k++) {
    const label = k % 2 === 0 ? 1 : -1;
    const angle = (Math.PI * Math.floor(k / 2)) / Math.max(1, Math.ceil(n / 2) - 1);
    const [across, up] = [
      label * Math.cos(angle) + (label > 0 ? 0 : 1),
      label * Math.sin(angle) + (label > 0 ? 0 : 0.5),
    ];
    x.set([across + noise * draw(), up + noise * draw()], 2 * k);
    y[k] = label;
  }
  return { n, d: 2, x, y };
}

/** Gaussian rows, and the outputs of `neurons` random ReLU neurons on them, without noise. */
export function makePlanted(
  n: number,
  d: number,
  neurons: number,
  seed: number,
): Points & { readonly planted: Float64Array } {
  const draw = gaussianSource(seed);
  const x = Float32Array.from({ length: n * d }, draw);
  const planted = Float64Array.from({ length: neurons * d }, () => draw() / Math.sqrt(d));
  const signs = Float64Array.from({ length: neurons }, () => Math.sign(draw()));
  const y = Float32Array.from({ length: n }, (_, k) => {
    let sum = 0;
    for (let j = 0; j < neurons; j++) {
      let z = 0;
      for (let p = 0; p < d; p++) z += x[k * d + p] * planted[j * d + p];
      sum += signs[j] * Math.max(0, z);
    }
    return sum;
  });
  return { n, d, x, y, planted };
}

/** The incremental convex network of the paper; the caller disposes the model. */
export async function convexNetwork(
  points: Points,
  activation: "tanh" | "sign",
  loss: "hinge" | "meanSquaredError",
  beta: number,
  tolerance = 1e-3,
): Promise<ConvexNNResult> {
  const { x, y } = tensorsOf(points);
  const result = await trainConvexNN(x, y, { loss, activation, regularization: beta, tolerance });
  tf.dispose([x, y]);
  return result;
}

/** How a growth came down, and where it ended. */
export interface Growth {
  readonly method: string;
  readonly points: readonly { readonly seconds: number; readonly objective: number }[];
  readonly objective: number;
  readonly neurons: number;
  readonly certificate: Certificate;
  readonly seconds: number;
  /** Mean over the planted neurons of the largest cosine with a neuron that was found. */
  readonly alignment: number;
}

/** Trains a ReLU network without biases by growing gates. */
export async function growNetwork(
  method: "frank-wolfe" | "moving-neurons",
  points: Points & { readonly planted: Float64Array },
  beta: number,
  tolerance = 1e-3,
  starts = 400,
): Promise<Growth> {
  const { x, y } = tensorsOf(points);
  const curve: { seconds: number; objective: number }[] = [];
  const trainer = new ConvexReLUTrainer({
    arrangements: { kind: "grow", method, starts },
    regularization: beta,
    tolerance,
    engine: "cpu",
  });
  const result = await trainer.train(x, y, {
    loss: "meanSquaredError",
    hiddenBias: false,
    outputBias: false,
    callbacks: {
      onEpochEnd: (_epoch: number, logs?: tf.Logs) => {
        curve.push({ seconds: logs?.seconds ?? 0, objective: logs?.loss ?? Number.NaN });
      },
    },
  });
  const { neurons } = await describeNetwork(result.model, x);
  const { certificate, objective, seconds } = result;
  result.model.dispose();
  tf.dispose([x, y]);
  const found = neurons.map((neuron) => Float64Array.from(neuron.weights));
  return {
    method,
    points: curve,
    objective: objective.total,
    neurons: result.neurons,
    certificate,
    seconds,
    alignment: alignmentOf(points, found),
  };
}

/** Mean over the planted neurons of the largest cosine with one of `found` [d]. */
export function alignmentOf(
  { d, planted }: { d: number; planted: Float64Array },
  found: readonly Float64Array[],
): number {
  const count = planted.length / d;
  let sum = 0;
  for (let j = 0; j < count; j++) {
    const w = planted.subarray(j * d, (j + 1) * d);
    let best = 0;
    for (const v of found) {
      let product = 0;
      for (let p = 0; p < d; p++) product += w[p] * v[p];
      best = Math.max(best, product / (Math.hypot(...w) * Math.hypot(...v)));
    }
    sum += best / count;
  }
  return sum;
}

/** The same network for model.fit: beta / 2 on both kernels, or without `l2` the tanh network with an l1 charge. */
export function plainModel(
  points: Points,
  units: number,
  beta: number,
  kind: "relu" | "tanh",
  loss: "meanSquaredError" | "hinge",
  optimizer: tf.Optimizer,
  seed: number,
): tf.Sequential {
  const relu = kind === "relu";
  const l2 = relu ? { kernelRegularizer: tf.regularizers.l2({ l2: beta / 2 }) } : {};
  const kernelInitializer = tf.initializers.glorotNormal({ seed });
  const last = relu ? l2 : { kernelRegularizer: tf.regularizers.l1({ l1: beta }) };
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units, activation: kind, useBias: !relu, inputShape: [points.d], kernelInitializer, ...l2 }),
      tf.layers.dense({ units: 1, useBias: !relu, kernelInitializer, ...last }),
    ],
  });
  model.compile({ optimizer, loss });
  return model;
}
