/** Planted networks of polynomial units, and a table of two classes by quantized weights, each with the descent that it replaces. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { gaussianSource } from "../../src/convex/linear/random.js";
import {
  type ConvexNNResult,
  polynomial,
  type QuantizedResult,
  trainConvexNN,
  trainQuantized,
} from "../../src/index.js";
import { flowers } from "../migration/flowers.js";
import { type Points, tensorsOf } from "../support/points.js";

/** Steps of straight-through descent between looks at the test error. */
const WATCHED = 25;

/** Coefficients of a t^2 + b t + c. */
export interface Coefficients {
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** The polynomial of degree two that Bartan and Pilanci (2021) fit to the ReLU. */
export const RELU_LIKE: Coefficients = { a: 0.09, b: 0.5, c: 0.47 };

/** Gaussian rows, and the outputs of `units` random units of length about one on them, with a little noise. */
export function makePlantedPolynomial(
  n: number,
  d: number,
  units: number,
  { a, b, c }: Coefficients,
  seed: number,
): Points {
  const draw = gaussianSource(seed);
  const x = Float32Array.from({ length: n * d }, draw);
  const planted = Float64Array.from({ length: units * d }, () => draw() / Math.sqrt(d));
  const alpha = Float64Array.from({ length: units }, draw);
  const y = Float32Array.from({ length: n }, (_, k) => {
    let sum = 0.1 * draw();
    for (let j = 0; j < units; j++) {
      let t = 0;
      for (let p = 0; p < d; p++) t += x[k * d + p] * planted[j * d + p];
      sum += alpha[j] * ((a * t + b) * t + c);
    }
    return sum;
  });
  return { n, d, x, y };
}

/** The global optimum over networks of any width; the caller disposes the model. */
export async function convexPolynomial(
  points: Points,
  { a, b, c }: Coefficients,
  beta: number,
  tolerance = 1e-4,
): Promise<ConvexNNResult> {
  const { x, y } = tensorsOf(points);
  const options = {
    loss: "meanSquaredError",
    activation: polynomial(a, b, c),
    regularization: beta,
    tolerance,
  } as const;
  const result = await trainConvexNN(x, y, { ...options, hiddenBias: false, outputBias: false });
  tf.dispose([x, y]);
  return result;
}

/** The same network for model.fit, `units` wide. */
export function plainPolynomial(
  { d }: Points,
  units: number,
  { a, b, c }: Coefficients,
  beta: number,
  optimizer: tf.Optimizer,
  seed: number,
): tf.Sequential {
  const kernelInitializer = tf.initializers.glorotNormal({ seed });
  const kernelConstraint = tf.constraints.unitNorm({ axis: 0 });
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units, inputShape: [d], useBias: false, kernelInitializer, kernelConstraint }),
      polynomial(a, b, c),
      tf.layers.dense({
        units: 1,
        useBias: false,
        kernelInitializer,
        kernelRegularizer: tf.regularizers.l1({ l1: beta }),
      }),
    ],
  });
  model.compile({ optimizer, loss: "meanSquaredError" });
  return model;
}

/** Every third flower is held out. */
const HELD = 3;

/**
 * A real table: is an iris a virginica? Units a t^2 + b t + c with biases under cross entropy, proven over all of them, and the share of
 * flowers held out that they get wrong.
 */
export async function convexFlowers({ a, b, c }: Coefficients, beta: number) {
  const [[xTrain, yTrain], [xHeld, yHeld]] = [flowersOf(false), flowersOf(true)];
  const result = await trainConvexNN(xTrain, yTrain, {
    loss: "binaryCrossentropy",
    activation: polynomial(a, b, c),
    regularization: beta,
  });
  const wrong = tf.tidy(() => {
    const said = tf.greater(result.model.predict(xHeld) as tf.Tensor, 0.5);
    return tf.notEqual(said, tf.cast(yHeld, "bool")).mean().dataSync()[0];
  });
  tf.dispose([xTrain, yTrain, xHeld, yHeld]);
  return { result, wrong };
}

/** The flowers that are held out, or those of training. */
export function flowersOf(held: boolean): [x: tf.Tensor2D, y: tf.Tensor2D] {
  return tf.tidy(() => {
    const { x, y } = flowers();
    const list = Array.from({ length: x.shape[0] }, (_, k) => k).filter((k) => (k % HELD === 0) === held);
    return [tf.gather(x, list), tf.gather(y, list)];
  });
}

/**
 * Descends with the constraint: TensorFlow.js 4.22 holds constraints when weights are set, not after its optimizers' steps, so that
 * each epoch sets them. Answers with the lowest objective.
 */
export async function descendPolynomial(
  model: tf.Sequential,
  points: Points,
  epochs: number,
  watch: (objective: number) => void = () => {},
): Promise<number> {
  const { x, y } = tensorsOf(points);
  let lowest = Number.POSITIVE_INFINITY;
  for (let epoch = 0; epoch < epochs; epoch++) {
    await model.fit(x, y, { epochs: 1, batchSize: points.n, verbose: 0 });
    const objective = tf.tidy(() => {
      const kernel = model.layers[0].getWeights()[0];
      model.layers[0].setWeights([tf.div(kernel, tf.norm(kernel, 2, 0, true))]);
      const loss = (model.evaluate(x, y, { batchSize: points.n }) as tf.Scalar).dataSync()[0];
      return model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], loss);
    });
    lowest = Math.min(lowest, objective);
    watch(objective);
  }
  tf.dispose([x, y]);
  return lowest;
}

/**
 * The breast cancer data of Ljubljana (286 rows of nine categories as small integers; recurrence or not), 228 rows to train and 58 to test,
 * from the folder BENCH_DATA; null where they are not there.
 */
export function readCells(): { readonly train: Points; readonly test: Points } | null {
  const path = join(process.env.BENCH_DATA ?? "", "uci-breast-cancer.csv");
  if (!existsSync(path)) return null;
  const [, ...rows] = readFileSync(path, "utf8").trim().split("\n");
  const draw = gaussianSource(1);
  const shuffled = rows
    .map((row) => ({ row: row.split(",").map(Number), at: draw() }))
    .sort((a, b) => a.at - b.at)
    .map(({ row }) => row);
  const d = shuffled[0].length - 1;
  const largest = Array.from({ length: d }, (_, p) => Math.max(1, ...shuffled.map((row) => row[p])));
  const points = (part: readonly number[][]): Points => ({
    ...{ n: part.length, d, x: Float32Array.from(part.flatMap((row) => largest.map((most, p) => row[p] / most))) },
    y: Float32Array.from(part, (row) => 2 * row[d] - 1),
  });
  const n = Math.floor(0.8 * shuffled.length);
  return { train: points(shuffled.slice(0, n)), test: points(shuffled.slice(n)) };
}

/** Two classes of rows with nine features of small integers, as cell measurements have them; labels -1 and 1. */
export function makeCells(n: number, seed: number): Points {
  const draw = gaussianSource(seed);
  const d = 9;
  const x = new Float32Array(n * d);
  const y = new Float32Array(n);
  for (let k = 0; k < n; k++) {
    const label = k % 3 === 0 ? 1 : -1;
    const size = 1.1 * label + draw();
    for (let p = 0; p < d; p++) {
      const grade = 4 + (0.8 + 0.15 * p) * size + 1.2 * draw();
      x[k * d + p] = Math.min(10, Math.max(1, Math.round(grade))) / 10;
    }
    y[k] = label;
  }
  return { n, d, x, y };
}

/** Bilinear units of weights -1 and 1; the caller disposes the model. */
export async function quantizedCells(points: Points, beta: number, tolerance = 1e-3): Promise<QuantizedResult> {
  const { x, y } = tensorsOf(points);
  const result = await trainQuantized(x, y, { loss: "squaredHinge", regularization: beta, tolerance });
  tf.dispose([x, y]);
  return result;
}

/**
 * The same network by straight-through descent (Bengio, Leonard and Courville 2013): signs in the forward pass, the gradient as if
 * they were the weights. Answers with the objective and the test error of the lowest point.
 */
export function straightThrough(
  points: Points,
  test: Points,
  units: number,
  beta: number,
  steps: number,
  rate: number,
  seed: number,
  watch: (testError: number) => void = () => {}, // after every WATCHED steps
): { readonly objective: number; readonly testError: number } {
  const { d } = points;
  const optimizer = tf.train.adam(rate);
  const signs = tf.customGrad((w) => ({
    value: tf.sub(tf.mul(2, tf.step(w as tf.Tensor, 0)), 1),
    gradFunc: (dy) => dy as tf.Tensor,
  }));
  const variable = (shape: [number, number], k: number) =>
    tf.tidy(() => tf.variable(tf.randomNormal(shape, 0, 0.1, "float32", seed + k)));
  const weights = [0, 1].map((k) => variable([d + 1, units], k));
  const alpha = variable([units, 1], 2);
  const bias = tf.tidy(() => tf.variable(tf.zeros([1])));
  const read = ({ n, x, y }: Points) =>
    tf.tidy(() => ({
      rows: tf.concat([tf.tensor2d(x, [n, d]), tf.ones([n, 1])], 1),
      labels: tf.tensor2d(y, [n, 1]),
    }));
  const outputs = (rows: tf.Tensor) => {
    const [u, v] = weights.map((w) => tf.matMul(rows, signs(w)));
    return tf.add(tf.matMul(tf.mul(u, v), alpha), bias);
  };
  const [train, held] = [read(points), read(test)];
  const errorNow = () =>
    tf.tidy(
      () =>
        tf
          .lessEqual(tf.mul(outputs(held.rows), held.labels), 0)
          .mean()
          .dataSync()[0],
    );
  let objective = Number.POSITIVE_INFINITY;
  let testError = Number.NaN;
  for (let step = 0; step < steps; step++) {
    const cost = optimizer.minimize(
      () => {
        const margin = tf.relu(tf.sub(1, tf.mul(train.labels, outputs(train.rows))));
        return tf.add(tf.mean(tf.square(margin)), tf.mul(beta, tf.sum(tf.abs(alpha)))) as tf.Scalar;
      },
      true,
      [...weights, alpha, bias],
    ) as tf.Scalar;
    const value = cost.dataSync()[0];
    cost.dispose();
    if (step % WATCHED === 0) watch(errorNow());
    if (value >= objective) continue;
    objective = value;
    testError = errorNow();
  }
  optimizer.dispose();
  tf.dispose([...weights, alpha, bias, train.rows, train.labels, held.rows, held.labels]);
  return { objective, testError };
}
