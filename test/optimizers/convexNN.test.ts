import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { lossNames, lossTraits } from "../../src/convex/losses/index.js";
import { type ConvexNNOptions, polynomial, registerLayers, trainConvexNN } from "../../src/index.js";
import { makeData, saveAndLoad } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** What tfjs says of a model: the loss, and the charge that its layers carry. */
function judged(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor): { loss: number; charge: number } {
  return tf.tidy(() => ({
    loss: (model.evaluate(x, y, { batchSize: x.shape[0] }) as tf.Scalar).dataSync()[0],
    charge: model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], 0),
  }));
}

describe.each(["tanh", "sign"] as const)("trainConvexNN with %s units", (activation) => {
  test.each(lossNames)("writes the network that the program promises (%s)", async (loss) => {
    const { x, y } = makeData(loss, 20, 2, undefined, lossTraits[loss].activation === "softmax" ? 1 : 3);
    const tensors = tf.memory().numTensors;
    const regularization = 0.1;
    const { model, certificate, objective, status, units } = await trainConvexNN(x, y, {
      loss,
      activation,
      regularization,
      tolerance: 1e-2,
      starts: 20,
    });
    expect(status).toBe("solved");
    expect(certificate.dual).toBeLessThanOrEqual(certificate.primal);
    expect(certificate.relativeGap).toBeLessThanOrEqual(1e-2);
    expect(certificate.network / certificate.primal).toBeCloseTo(1, 4);
    if (activation === "sign") expect(certificate.scope).toBe("all units");
    const seen = judged(model, x, y);
    expect(seen.loss).toBeCloseTo(objective.loss, 4);
    expect(seen.charge).toBeCloseTo(objective.regularization, 5);
    expect((model.layers[0].getWeights()[0].shape as number[])[1]).toBe(Math.max(1, units));
    model.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
    tf.dispose([x, y]);
  });

  test("the model is an ordinary one: saved and loaded it predicts the same", async () => {
    registerLayers();
    const { x, y } = makeData("meanSquaredError", 24, 2);
    const { model, notes, beta } = await trainConvexNN(x, y, {
      loss: "meanSquaredError",
      activation,
      tolerance: 0.05,
      timeLimit: 2,
    });
    const loaded = await saveAndLoad(model);
    const [before, after] = [model, loaded].map((m) => Array.from((m.predict(x) as tf.Tensor).dataSync()));
    expect(after).toEqual(before);
    expect(beta).toBeGreaterThan(0);
    expect(notes.join(" ")).toMatch(/sum of \|a\|.*1e-3 of the smallest at which no unit helps/);
    model.dispose();
    loaded.dispose();
    tf.dispose([x, y]);
  });
});

describe("trainConvexNN with polynomial units", () => {
  test.each(lossNames)("writes units of length one that attain the optimum over all of them (%s)", async (loss) => {
    const { x, y } = makeData(loss, 20, 2, undefined, lossTraits[loss].targets === "distribution" ? 1 : 3);
    const tensors = tf.memory().numTensors;
    const activation = polynomial(0.09, 0.5, 0.47);
    const { model, certificate, objective, status } = await trainConvexNN(x, y, {
      loss,
      activation,
      regularization: 0.05,
      tolerance: 1e-3,
    });
    expect(status).toBe("solved");
    expect(certificate.scope).toBe("all units");
    expect(certificate.claim).toMatch(/any polynomial units/);
    expect(certificate.relativeGap).toBeLessThanOrEqual(1e-3);
    expect(certificate.network / certificate.primal).toBeCloseTo(1, 5);
    const seen = judged(model, x, y);
    expect((seen.loss + seen.charge) / objective.total).toBeCloseTo(1, 5);
    expect(model.layers.map((layer) => layer.getClassName())).toEqual([
      "OnesColumn",
      "Dense",
      "PolynomialActivation",
      "Dense",
    ]);
    tf.tidy(() => {
      const lengths = tf.norm(model.layers[1].getWeights()[0], 2, 0).dataSync();
      for (const length of lengths) expect(length).toBeCloseTo(1, 5);
    });
    model.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
    tf.dispose([x, y]);
  });

  test("t^2 without a bias is two dense layers and an activation, saved and loaded as they are", async () => {
    registerLayers();
    const { x, y } = makeData("meanSquaredError", 24, 2);
    const activation = { a: 1, b: 0, c: 0 };
    const options = { loss: "meanSquaredError", activation, regularization: 0.05, hiddenBias: false } as const;
    const { model, certificate } = await trainConvexNN(x, y, { ...options, tolerance: 1e-6 });
    expect(model.layers.map((layer) => layer.getClassName())).toEqual(["Dense", "PolynomialActivation", "Dense"]);
    const loaded = await saveAndLoad(model);
    const [before, after] = [model, loaded].map((m) => Array.from((m.predict(x) as tf.Tensor).dataSync()));
    expect(after).toEqual(before);
    expect(certificate.network).toBeGreaterThanOrEqual(certificate.dual * (1 - 1e-5));
    model.dispose();
    loaded.dispose();
    tf.dispose([x, y]);
  });
});

test("the number of threads is the caller's choice, and changes no weight", async () => {
  const { x, y } = makeData("meanSquaredError", 60, 4);
  const runs = [];
  for (const threads of [1, 2]) {
    const options = { regularization: 0.1, tolerance: 1e-2, starts: 20, threads };
    const { model, engine } = await trainConvexNN(x, y, { loss: "meanSquaredError", ...options });
    runs.push({ engine, weights: model.getWeights().map((weight) => Array.from(weight.dataSync())) });
    model.dispose();
  }
  expect(runs[0].engine).toMatch(/; 1 thread$/);
  expect(runs[1].engine).toMatch(/; [12] threads?( \(.*\))?$/);
  expect(runs[1].weights).toEqual(runs[0].weights);
  tf.dispose([x, y]);
});

const wrong: [name: string, options: object, says: RegExp][] = [
  ["no threads", { threads: 0 }, /threads: expected an integer of 1 to 31, got 0/],
  ["an unknown loss", { loss: "poisson" }, /loss: expected "meanSquaredError" or .* got "poisson"/],
  ["an unknown activation", { activation: "relu" }, /activation: expected "tanh" or "sign" or .* got "relu"/],
  ["a constant polynomial", { activation: { a: 0, b: 0, c: 1 } }, /a polynomial that is no constant/],
  ["a polynomial that is none", { activation: { a: 1, b: 0 } }, /finite numbers, got an object of class Object/],
  [
    "tanh units without bias",
    { hiddenBias: false },
    /hiddenBias: expected true, or no such option, for activation "tanh"/,
  ],
  ["a beta that is none", { regularization: 0 }, /regularization: expected a finite number above 0 or "auto", got 0/],
  ["a reach that is none", { reach: -1 }, /reach: expected a finite number above 0/],
  ["no starts", { starts: 0 }, /starts: expected an integer of 1 to 100000, got 0/],
  ["an unknown option", { units: 3 }, /trainConvexNN: expected options among .* got "units"/],
];
test.each(wrong)("trainConvexNN refuses %s", async (_, options, says) => {
  const { x, y } = makeData("hinge", 20, 2);
  const tensors = tf.memory().numTensors;
  await expect(trainConvexNN(x, y, { loss: "hinge", ...options } as ConvexNNOptions)).rejects.toThrow(says);
  expect(tf.memory().numTensors).toBe(tensors);
  tf.dispose([x, y]);
});

test("polynomial units over more columns than an eigendecomposition has time for are refused before any work", async () => {
  const [x, y] = [tf.randomNormal([3, 1300], 0, 1, "float32", 1), tf.tensor2d([[1], [2], [3]])];
  const options = { loss: "meanSquaredError", activation: { a: 1, b: 1, c: 1 }, regularization: 0.1 } as const;
  await expect(trainConvexNN(x, y, options)).rejects.toMatchObject({
    code: "data/size",
    message: expect.stringMatching(/at most 1200 features, bias included, got 1301.*principal components/s),
  });
  tf.dispose([x, y]);
});
