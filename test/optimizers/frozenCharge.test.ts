import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { ConvexReLUTrainer, certify, lossSurface } from "../../src/index.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const l2 = () => tf.regularizers.l2({ l2: 0.01 });

/** A frozen layer with a regularizer, and a head with or without. */
function modelOf(charged: boolean): tf.Sequential {
  const own = charged ? { kernelRegularizer: l2() } : {};
  const trunk = tf.layers.dense({
    units: 3,
    kernelInitializer: tf.initializers.constant({ value: 0.7 }),
    inputShape: [2],
    activation: "tanh",
    kernelRegularizer: l2(),
    biasRegularizer: l2(),
  });
  trunk.trainable = false;
  const hidden = tf.layers.dense({ units: 30, activation: "relu", useBias: false, ...own });
  const model = tf.sequential({ layers: [trunk, hidden, tf.layers.dense({ units: 1, ...own })] });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  return model;
}

const objectiveBy = (model: tf.LayersModel, x: tf.Tensor, y: tf.Tensor) =>
  tf.tidy(() => {
    const loss = (model.evaluate(x, y) as tf.Scalar).dataSync()[0];
    return model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], loss);
  });

test("objective counts what frozen layers charge, in fit, certify and lossSurface, and the certificate does not", async () => {
  const x = tf.tensor2d([1, 2, -1, 0.5, 2, -1, 0, 1, -2, -1, 1.5, 0.25], [6, 2]);
  const y = tf.tensor2d([1, -1, 0.5, 2, 0, -0.5], [6, 1]);
  const model = modelOf(true);
  const charge = tf.tidy(() => model.layers[0].calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], 0));
  const { objective, certificate, notes } = await new ConvexReLUTrainer().fit(model, x, y);
  const held = tf.memory().numTensors;
  expect(charge).toBeGreaterThan(0.01);
  expect(objective.total).toBeCloseTo(objectiveBy(model, x, y), 6);
  expect(objective.total - certificate.network).toBeCloseTo(charge, 6);
  expect(objective.loss + objective.regularization).toBeCloseTo(objective.total, 12);
  expect(notes.join(" ")).toMatch(/regularizers of their own: 0\.\d+, a constant/);
  const certified = await certify(model, x, y);
  expect(certified.objective.total).toBeCloseTo(objective.total, 6);
  expect((await lossSurface(model, x, y, { resolution: 3 })).objective).toBeCloseTo(objective.total, 6);
  expect(tf.memory().numTensors).toBe(held);
  tf.dispose([x, y]);
});

test("the points of a path count it", async () => {
  const x = tf.tensor2d([1, 2, -1, 0.5, 2, -1, 0, 1, -2, -1, 1.5, 0.25], [6, 2]);
  const y = tf.tensor2d([1, -1, 0.5, 2, 0, -0.5], [6, 1]);
  const model = modelOf(false);
  const charge = tf.tidy(() => model.layers[0].calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], 0));
  const { points } = await new ConvexReLUTrainer().path(model, x, y, { betas: [0.1, 0.01] });
  for (const { objective, certificate } of points) expect(objective.total - certificate.network).toBeCloseTo(charge, 6);
  tf.dispose([x, y]);
});
