import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { accuracyOf, convexConvolution, descendConvolution } from "../../examples/polynomial/convolution.js";
import {
  convexFlowers,
  convexPolynomial,
  descendPolynomial,
  flowersOf,
  makeCells,
  makePlantedPolynomial,
  plainPolynomial,
  quantizedCells,
  RELU_LIKE,
  straightThrough,
} from "../../examples/polynomial/experiment.js";
import { errorOf } from "../../examples/support/points.js";
import { gaussianSource } from "../../src/convex/linear/random.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("a planted network of 10 polynomial units is trained to the optimum with fewer units; descent ends above the bound", async () => {
  const points = makePlantedPolynomial(100, 10, 10, RELU_LIKE, 1);
  const tensors = tf.memory().numTensors;
  const { model, certificate, status, units } = await convexPolynomial(points, RELU_LIKE, 0.01);
  expect(status).toBe("solved");
  expect(certificate.scope).toBe("all units");
  expect(certificate.relativeGap).toBeLessThanOrEqual(1e-4);
  expect(units).toBeLessThanOrEqual(10);
  const optimizer = tf.train.adam(0.02);
  const plain = plainPolynomial(points, 10, RELU_LIKE, 0.01, optimizer, 1);
  expect(await descendPolynomial(plain, points, 40)).toBeGreaterThan(certificate.dual);
  for (const made of [model, plain, optimizer]) made.dispose();
  expect(tf.memory().numTensors).toBe(tensors);
});

test("two classes by weights of -1 and 1: optimal over every unit, below straight-through descent, in 9 + 1 bits a vector", async () => {
  const train = makeCells(90, 1);
  const tensors = tf.memory().numTensors;
  const { model, certificate, packed, units } = await quantizedCells(train, 0.02);
  expect(certificate.enumerated).toBe(true);
  expect(certificate.relativeGap).toBeLessThanOrEqual(1e-3);
  expect(certificate.ratio).toBeLessThan(1.7823);
  expect(packed.hiddenBits).toBe(2 * 10 * units);
  expect(errorOf(model, makeCells(400, 2))).toBeLessThan(0.3);
  const descent = straightThrough(train, makeCells(400, 2), 20, 0.02, 100, 0.01, 1);
  expect(descent.objective).toBeGreaterThan(certificate.dual);
  model.dispose();
  expect(tf.memory().numTensors).toBe(tensors);
});

test("irises, a real table, are told apart by polynomial units, proven over all, and their own evaluate attains the objective", async () => {
  const { result, wrong } = await convexFlowers(RELU_LIKE, 0.01);
  const { certificate, objective, status, model } = result;
  expect(status).toBe("solved");
  expect(certificate.scope).toBe("all units");
  expect(Math.abs(objective.total / certificate.primal - 1)).toBeLessThan(1e-5);
  const attained = tf.tidy(() => {
    const [x, y] = flowersOf(false);
    const loss = (model.evaluate(x, y, { batchSize: x.shape[0] }) as tf.Scalar).dataSync()[0];
    return model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], loss);
  });
  expect(Math.abs(attained / objective.total - 1)).toBeLessThan(1e-5);
  expect(wrong).toBeLessThan(0.1);
  model.dispose();
});

test("a quadratic convolutional network tells textures apart, proven over all filters; descents end above the bound", async () => {
  const shape = { kernelSize: 2, strides: 2, window: 0, activation: { a: 1, b: 0, c: 0 }, beta: 0.01 };
  const [train, held] = [textures(40, 1), textures(200, 2)];
  const tensors = tf.memory().numTensors;
  const { model, certificate, units } = await convexConvolution(train, shape, 1e-4);
  expect(certificate.relativeGap).toBeLessThanOrEqual(1e-4);
  expect(accuracyOf(model, held)).toBeGreaterThan(0.9);
  const optimizer = tf.train.adam(0.05);
  const options = { epochs: 30, batchSize: 20, seed: 1 };
  let looks = 0;
  const best = await descendConvolution(train, held, { ...shape, filters: units }, optimizer, options, () => {
    looks += 1;
    return false;
  });
  expect(looks).toBe(31);
  expect(best.objective).toBeGreaterThanOrEqual(certificate.dual * (1 - 1e-6));
  for (const made of [model, optimizer]) made.dispose();
  expect(tf.memory().numTensors).toBe(tensors);
  tf.dispose([train.x, train.y, held.x, held.y]);
});

/** Noise of one variance; in one class of two neighbours are alike, so that second moments alone tell. */
function textures(count: number, seed: number) {
  const draw = gaussianSource(seed);
  const x = new Float32Array(count * 64);
  for (let at = 0; at < x.length; at++) {
    const alike = Math.floor(at / 64) % 2 === 1 && at % 2 === 1;
    x[at] = alike ? 0.8 * x[at - 1] + 0.6 * draw() : draw();
  }
  const y = Float32Array.from({ length: count }, (_, k) => k % 2);
  return { x: tf.tensor4d(x, [count, 8, 8, 1]), y: tf.tensor2d(y, [count, 1]) };
}
