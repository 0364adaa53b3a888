/** The objective of a whole model, its gradient, and what descends on it. */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { referenceKernels } from "../../src/convex/kernels/index.js";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { Clock } from "../../src/convex/solvers/clock.js";
import type { LossName } from "../../src/convex/types.js";
import { hopDown, warmUp } from "../../src/optimizers/deep/descents/index.js";
import { headWays } from "../../src/optimizers/deep/headPasses.js";
import { WholeObjective } from "../../src/optimizers/deep/objective.js";
import { gaussianMatrix, targetsFor } from "../helpers/problems.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const ROWS = 70;
/** So many that a descent without a limit begins with Adam. */
const MANY = 2000;

function caseOf(loss: LossName, outputs: number, activation: "linear" | "sigmoid" | "softmax", rank = 2, n = ROWS) {
  const l2 = () => tf.regularizers.l2({ l2: 0.01 });
  const seeded = (seed: number) => ({ kernelInitializer: tf.initializers.glorotUniform({ seed }) });
  const inputs = rank === 2 ? [] : [tf.layers.flatten({ inputShape: [3, 1] })];
  const model = tf.sequential({
    layers: [
      ...inputs,
      tf.layers.dense({ units: 4, activation: "tanh", inputShape: [3], ...seeded(1), kernelRegularizer: l2() }),
      tf.layers.dense({
        units: 5,
        activation: "tanh",
        ...seeded(2),
        biasRegularizer: tf.regularizers.l1({ l1: 0.02 }),
      }),
      tf.layers.dense({ units: outputs, activation, ...seeded(3), kernelRegularizer: l2() }),
    ],
  });
  model.compile({ optimizer: "sgd", loss });
  const X = gaussianMatrix(n, 3, 1);
  const Y = targetsFor(loss, X, outputs, 2);
  const x = tf.tensor(Float32Array.from(X.data), rank === 2 ? [n, 3] : [n, 3, 1]);
  const rows = { rows: Float64Array.from({ length: n }, (_, k) => k), y: Y, weights: null };
  const y = tf.tensor2d(Float32Array.from(Y.data), [n, outputs]);
  return { model, x, y, rows, objective: new WholeObjective(model, headWays(model, { loss }, x, rows)) };
}

const cases = [
  { loss: "meanSquaredError", outputs: 2, activation: "linear", rank: 2 },
  { loss: "binaryCrossentropy", outputs: 1, activation: "sigmoid", rank: 2 },
  { loss: "categoricalCrossentropy", outputs: 3, activation: "softmax", rank: 3 },
  { loss: "logcosh", outputs: 1, activation: "linear", rank: 3 },
] as const;

describe.each(cases)("the whole objective with $loss, x of rank $rank", ({ loss, outputs, activation, rank }) => {
  test("is what model.evaluate and calculateLosses say", async () => {
    const { model, x, y, objective } = caseOf(loss, outputs, activation, rank);
    const said = tf.tidy(() => {
      const value = (model.evaluate(x, y, { batchSize: ROWS }) as tf.Scalar).dataSync()[0];
      return model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], value);
    });
    expect((await objective.value()).total).toBeCloseTo(said, 5);
    objective.dispose();
    tf.dispose([x, y]);
  });

  test("has the gradient of central differences, over all rows and over parts, and leaks nothing", async () => {
    const { x, y, objective } = caseOf(loss, outputs, activation, rank);
    const tensors = tf.memory().numTensors;
    const at = await objective.weights();
    const gradient = new Float64Array(objective.size);
    const other = new Float64Array(objective.size);
    const parts = objective.parts(32);
    expect(parts.length).toBe(3);
    for (const rows of [undefined, [parts[2]]]) {
      await objective.at(at, gradient, rows);
      const step = 1e-2;
      for (let p = 1; p < objective.size; p += 7) {
        const moved = at.slice();
        moved[p] = at[p] + step;
        const above = await objective.at(moved, other, rows);
        moved[p] = at[p] - step;
        const below = await objective.at(moved, other, rows);
        // A bias of zero is at the kink of its l1 term.
        if (at[p] !== 0) expect((above - below) / (2 * step)).toBeCloseTo(gradient[p], 3);
      }
    }
    for (const part of parts) part.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
    objective.dispose();
    tf.dispose([x, y]);
  });
});

test("what is charged beside the layers counts in value and gradient", async () => {
  const { model, x, rows } = caseOf("meanSquaredError", 1, "linear");
  const weight = model.layers[1].weights[0];
  const [plain, charged] = [[], [{ weight, factor: 0.5 }]].map(
    (charges) => new WholeObjective(model, headWays(model, { loss: "meanSquaredError" }, x, rows), charges),
  );
  const at = await plain.weights();
  const [a, b] = [new Float64Array(plain.size), new Float64Array(plain.size)];
  const square = tf.tidy(() => tf.sum(tf.square(weight.read())).dataSync()[0]);
  expect((await charged.at(at, b)) - (await plain.at(at, a))).toBeCloseTo(0.5 * square, 5);
  const kernel = Array.from(weight.read().dataSync());
  const difference = Array.from(b.map((value, p) => value - a[p]));
  const place = difference.findIndex((value) => value !== 0);
  kernel.forEach((value, p) => {
    expect(difference[place + p]).toBeCloseTo(value, 6);
  });
  expect((await charged.value()).total).toBeCloseTo((await plain.value()).total + 0.5 * square, 5);
  for (const objective of [plain, charged]) objective.dispose();
  x.dispose();
});

test("what frozen layers alone charge is a constant of value and descent", async () => {
  const l2 = { kernelRegularizer: tf.regularizers.l2({ l2: 0.1 }) };
  const layers = [
    tf.layers.dense({ units: 4, activation: "relu", inputShape: [3], trainable: false, ...l2 }),
    tf.layers.dense({ units: 1 }),
  ];
  const model = tf.sequential({ layers });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  const X = gaussianMatrix(ROWS, 3, 1);
  const x = tf.tensor2d(Float32Array.from(X.data), [ROWS, 3]);
  const rows = { rows: Float64Array.from({ length: ROWS }, (_, k) => k), y: targetsFor("meanSquaredError", X, 1, 2) };
  const objective = new WholeObjective(
    model,
    headWays(model, { loss: "meanSquaredError" }, x, { ...rows, weights: null }),
  );
  const { total, regularization } = await objective.value();
  expect(regularization).toBeGreaterThan(0);
  expect(await objective.at(await objective.weights(), new Float64Array(objective.size))).toBeCloseTo(total, 6);
  objective.dispose();
  x.dispose();
});

test("hops and Adam never end above where they began, say only lower values, and leave the lowest weights", async () => {
  const { x, y, objective } = caseOf("meanSquaredError", 1, "linear", 2, MANY);
  const tensors = tf.memory().numTensors;
  const values = [(await objective.value()).total];
  const told = async (value: number) => {
    values.push(value);
    return values.length > 4;
  };
  const draw = gaussianSource(1);
  const epochs = await warmUp(objective, new Clock(Number.POSITIVE_INFINITY, () => false), draw, told);
  expect(epochs).toBeGreaterThan(0);
  expect((await objective.value()).total).toBeLessThanOrEqual(values[0]);
  await hopDown(objective, 1e-4, new Clock(60, () => false), await objective.weights(), draw, 3, told);
  for (let k = 1; k < values.length; k++) expect(values[k]).toBeLessThanOrEqual(values[k - 1]);
  expect((await objective.value()).total).toBeLessThanOrEqual((values.at(-1) as number) + 1e-6);
  expect(tf.memory().numTensors).toBe(tensors);
  objective.dispose();
  tf.dispose([x, y]);
});

test("weights drawn like others have their means and deviations, tensor by tensor, and hops to such leave a point without a slope", async () => {
  const { x, y, objective } = caseOf("meanSquaredError", 1, "linear", 2);
  await objective.moveToHost(referenceKernels);
  const first = await objective.weights();
  const draw = gaussianSource(3);
  const sums = new Float64Array(first.length);
  const squares = new Float64Array(first.length);
  const draws = 200;
  for (let k = 0; k < draws; k++) {
    objective.like(first, draw).forEach((value, p) => {
      sums[p] += value / draws;
      squares[p] += value ** 2 / draws;
    });
  }
  const total = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0);
  expect(total(sums)).toBeCloseTo(total(first), 0);
  expect(total(squares) / total(first.map((value) => value ** 2))).toBeCloseTo(1, 1);
  const zeros = new Float64Array(first.length);
  objective.write(zeros);
  const { total: flat } = await objective.value();
  const none = async () => false;
  const { value: stays } = await hopDown(objective, 1e-2, new Clock(60, () => false), zeros, draw, 3, none);
  objective.write(zeros);
  const { value: leaves } = await hopDown(objective, 1e-2, new Clock(60, () => false), first, draw, 3, none);
  // Without hidden units that are on only the output bias learns.
  expect(stays).toBeLessThanOrEqual(flat);
  expect(leaves).toBeLessThan(0.5 * stays);
  objective.dispose();
  tf.dispose([x, y]);
});
