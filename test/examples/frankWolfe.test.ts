import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  alignmentOf,
  convexNetwork,
  growNetwork,
  makeMoons,
  makePlanted,
  plainModel,
} from "../../examples/frank-wolfe/experiment.js";
import { errorOf, tensorsOf } from "../../examples/support/points.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** The objective of a model after some epochs of Adam. */
async function byAdam(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor, epochs: number): Promise<number> {
  await model.fit(x, y, { epochs, batchSize: x.shape[0], shuffle: false, verbose: 0 });
  return tf.tidy(() => {
    const loss = (model.evaluate(x, y, { batchSize: x.shape[0] }) as tf.Scalar).dataSync()[0];
    return model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], loss);
  });
}

describe("the double moon (Bengio et al. 2006)", () => {
  const train = makeMoons(40, 1);
  const beta = 1 / 40;

  test("few sign units part it, proven over all such networks; tanh networks cannot be better", async () => {
    const sign = await convexNetwork(train, "sign", "hinge", beta);
    expect(sign.certificate.scope).toBe("all units");
    expect(sign.certificate.relativeGap).toBeLessThanOrEqual(1e-3);
    expect(sign.units).toBeLessThan(12);
    expect(errorOf(sign.model, train)).toBeLessThan(0.05);
    expect(errorOf(sign.model, makeMoons(400, 2))).toBeLessThan(0.12);
    const tanh = await convexNetwork(train, "tanh", "hinge", beta, 2e-2);
    expect(tanh.certificate.network).toBeGreaterThanOrEqual(sign.certificate.dual);
    expect(errorOf(tanh.model, train)).toBeLessThan(0.05);
    const { x, y } = tensorsOf(train);
    const adam = plainModel(train, 20, beta, "tanh", "hinge", tf.train.adam(0.02), 1);
    expect(await byAdam(adam, x, y, 60)).toBeGreaterThan(tanh.certificate.network);
    tf.dispose([x, y]);
    for (const model of [sign.model, tanh.model, adam]) model.dispose();
  });
});

describe.each([
  { n: 20, d: 25 },
  { n: 25, d: 20 },
])("10 planted neurons, n = $n, d = $d (d'Aspremont and Pilanci 2020)", ({ n, d }) => {
  test("Frank-Wolfe and moving neurons end at one objective, below Adam's", async () => {
    const points = makePlanted(n, d, 10, 1);
    const [steps, moving] = [
      await growNetwork("frank-wolfe", points, 0.1, 5e-3, 50),
      await growNetwork("moving-neurons", points, 0.1, 5e-3, 50),
    ];
    expect(steps.objective / moving.objective).toBeCloseTo(1, 2);
    expect(steps.certificate.evidence?.bestRatio).toBeLessThan(1.01);
    expect(steps.certificate.relativeGap).toBeLessThanOrEqual(5e-3);
    for (let k = 1; k < steps.points.length; k++) {
      expect(steps.points[k].objective).toBeLessThanOrEqual(steps.points[k - 1].objective * (1 + 1e-9));
    }
    const { x, y } = tensorsOf(points);
    const adam = plainModel(points, 30, 0.1, "relu", "meanSquaredError", tf.train.adam(0.01), 1);
    expect(await byAdam(adam, x, y, 60)).toBeGreaterThan(steps.certificate.dual);
    tf.dispose([x, y]);
    adam.dispose();
  });
});

test("alignmentOf is 1 for the planted neurons themselves, and less for others", () => {
  const points = makePlanted(5, 3, 2, 4);
  const own = [points.planted.slice(0, 3), points.planted.slice(3)];
  expect(alignmentOf(points, own)).toBeCloseTo(1, 12);
  expect(alignmentOf(points, own.slice(1))).toBeLessThan(1);
});
