import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { ConvexReLUTrainer, optimalSet } from "../../../src/index.js";
import { type ModelOptions, makeData, makeModel, weightsIn } from "../../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const trainer = (regularization: "interpolate" | "max-margin", options = {}) =>
  new ConvexReLUTrainer({ arrangements: { kind: "sample", count: 150, seed: 1 }, regularization, ...options });

function halfSquare(model: tf.Sequential): number {
  const kernels = model.layers.flatMap((layer) => Array.from(layer.getWeights()[0].dataSync()));
  return kernels.reduce((sum, value) => sum + value * value, 0) / 2;
}

describe.each([
  { loss: "meanSquaredError", formulation: "relu", outputs: 1 },
  { loss: "huberLoss", formulation: "gated", outputs: 2 },
  { loss: "meanAbsoluteError", formulation: "relu", outputs: 2 },
] as const)("interpolate: $loss, $formulation, $outputs outputs", ({ loss, formulation, outputs }) => {
  test("the model fits every target, its weights are those that the certificate bounds", async () => {
    const { x, y } = makeData(loss, 14, 3, outputs);
    const model = makeModel({ loss, formulation, outputs, units: 150, hiddenBias: false });
    const { status, certificate, objective, notes } = await trainer("interpolate").fit(model, x, y);
    expect(status).toBe("solved");
    const wrong = tf.tidy(() => tf.max(tf.abs(tf.sub(model.predict(x) as tf.Tensor, y))).dataSync()[0]);
    expect(wrong).toBeLessThan(1e-5);
    expect(objective.loss).toBeLessThan(1e-5);
    expect(halfSquare(model) / certificate.network).toBeCloseTo(1, 5);
    expect(objective.regularization).toBe(certificate.network);
    expect(certificate.network / certificate.dual).toBeCloseTo(1, 5);
    expect(certificate.dual).toBeLessThanOrEqual(certificate.primal * (1 + 1e-8));
    expect(certificate.claim).toMatch(
      /fits every target exactly with .* below .*; this one has .* and misses none by more than/,
    );
    expect(notes.join(" ")).toContain("No regularization: of the networks that fit every target exactly");
    tf.dispose([x, y]);
    model.dispose();
  });
});

describe.each([
  { loss: "hinge", formulation: "relu" },
  { loss: "squaredHinge", formulation: "gated" },
  { loss: "binaryCrossentropy", formulation: "relu" },
] as const)("max-margin: $loss, $formulation", ({ loss, formulation }) => {
  test("every row has a margin of one, and all losses of one data set have the same certificate", async () => {
    const { x, y } = makeData(loss, 20);
    const result = await trainer("max-margin", { formulation }).train(x, y, { loss, hiddenBias: false });
    const { model, certificate, status } = result;
    expect(status).toBe("solved");
    const margins = tf.tidy(() => {
      const outputs = model.predict(x) as tf.Tensor;
      const [signs, logits] =
        loss === "binaryCrossentropy" ? [y.mul(2).sub(1), outputs.div(tf.sub(1, outputs)).log()] : [y, outputs];
      return Array.from(tf.mul(signs, logits).dataSync());
    });
    expect(Math.min(...margins)).toBeGreaterThan(1 - 1e-4);
    expect(Math.min(...margins)).toBeLessThan(1 + 1e-4);
    expect(halfSquare(model) / certificate.dual).toBeCloseTo(1, 5);
    expect(certificate.claim).toMatch(
      /has y z >= 1 on every row with .* below .*; this one has .* and has y z >= (1\.|0\.99999)/,
    );
    // Its layers carry no regularizers: weights are measured, not charged.
    expect(model.calculateLosses()).toHaveLength(0);
    const set = await optimalSet(result);
    expect(set.fewest().neurons).toBeLessThanOrEqual(set.solutions[0].neurons);
    tf.dispose([x, y]);
    model.dispose();
  });
});

test("gates that cannot fit leave the weights as they were, with a status that says what to do", async () => {
  const { x, y } = makeData("meanSquaredError", 40);
  const model = makeModel({ hiddenBias: false });
  const before = weightsIn(model);
  const few = trainer("interpolate", { arrangements: { kind: "sample", count: 2 } });
  const { status, advice, notes, certificate } = await few.fit(model, x, y);
  expect(status).toBe("stalled");
  expect(advice).toContain("take more gates");
  expect(notes[0]).toContain("No network that meets the constraint was found");
  expect(certificate.claim).toContain("none was found");
  expect(weightsIn(model)).toEqual(before);
  tf.dispose([x, y]);
  model.dispose();
});

describe("misuse is refused", () => {
  test.each([
    ["interpolate", { loss: "hinge" }, {}, /options\/value/, /a loss of a regression for "interpolate", got hinge/],
    ["max-margin", { loss: "meanSquaredError" }, {}, /options\/value/, /hinge, squaredHinge or binaryCrossentropy/],
    ["max-margin", { loss: "categoricalCrossentropy" }, {}, /options\/value/, /got categoricalCrossentropy/],
    ["interpolate", { l2: 0.1 }, {}, /model\/regularizer/, /a model without l2 regularizers/],
    ["interpolate", {}, { classWeight: { 0: 2 } }, /data\/weight/, /classWeight|no sample or class weights/],
    ["interpolate", {}, { sampleWeight: new Array(30).fill(2) }, /data\/weight/, /no sample or class weights/],
  ] as const)("%s, model %j, arguments %j", async (wish, options, args, code, message) => {
    const { x, y } = makeData((options as ModelOptions).loss);
    const model = makeModel(options);
    const before = weightsIn(model);
    const error = await trainer(wish)
      .fit(model, x, y, args)
      .then(
        () => null,
        (reason: unknown) => reason,
      );
    expect((error as { code: string }).code).toMatch(code);
    expect((error as Error).message).toMatch(message);
    expect(weightsIn(model)).toEqual(before);
    tf.dispose([x, y]);
    model.dispose();
  });

  test("labels that are no labels", async () => {
    const { x } = makeData("binaryCrossentropy");
    const y = tf.fill([30, 1], 0.5);
    const model = makeModel({ loss: "binaryCrossentropy" });
    await expect(trainer("max-margin").fit(model, x, y)).rejects.toThrow(
      'labels 0 or 1 for regularization "max-margin", got 0.5 in row 0',
    );
    tf.dispose([x, y]);
    model.dispose();
  });
});
