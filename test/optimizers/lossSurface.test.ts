import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { ConvexReLUTrainer, type LossSurfaceOptions, lossSurface } from "../../src/index.js";
import { type ModelOptions, makeData, makeModel, weightsIn } from "../helpers/models.js";
import { objectiveOf } from "../helpers/objective.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const shapes: ModelOptions[] = [
  {},
  { l2: 1e-2 },
  { l2: 1e-2, biasL2: 5e-3 },
  { formulation: "gated", l2: 1e-2, loss: "binaryCrossentropy" },
  { outputs: 2, outputBias: false },
];

describe.each(shapes)("of a model with %o", (shape) => {
  test("the middle is tfjs's own objective, the model stays as it is, and no tensor is left", async () => {
    const { x, y } = makeData(shape.loss, 20, 3, shape.outputs ?? 1);
    const model = makeModel({ ...shape, units: 8 });
    const before = [weightsIn(model), tf.memory().numTensors];
    const { steps, values, objective } = await lossSurface(model, x, y, { resolution: 5, span: 0.5 });
    expect([...steps]).toEqual([-0.5, -0.25, 0, 0.25, 0.5]);
    expect(values).toHaveLength(25);
    expect(objective).toBeCloseTo(objectiveOf(model, x, y), 5);
    expect(objective).toBe(values[12]);
    expect([weightsIn(model), tf.memory().numTensors]).toEqual(before);
    tf.dispose([x, y]);
    model.dispose();
  });
});

test("no point of the plane is below the bound of a convex fit, and a bowl stands around it", async () => {
  const { x, y } = makeData("meanSquaredError", 12, 2);
  const model = makeModel({ inputs: 2, l2: 5e-3, units: 60 });
  const { certificate } = await new ConvexReLUTrainer({ arrangements: { kind: "enumerate" }, tolerance: 1e-6 }).fit(
    model,
    x,
    y,
  );
  const { values, objective } = await lossSurface(model, x, y, { resolution: 11, seed: 3 });
  expect(objective).toBeCloseTo(certificate.network, 6);
  expect(Math.min(...values)).toBeGreaterThanOrEqual(certificate.dual);
  expect(values[0]).toBeGreaterThan(1.05 * objective);
  tf.dispose([x, y]);
  model.dispose();
});

test("the same seed gives the same plane, another one another, and a neuron's scale changes nothing", async () => {
  const { x, y } = makeData();
  const model = makeModel({ units: 4, hiddenBias: false, outputBias: false });
  const scaled = makeModel({ units: 4, hiddenBias: false, outputBias: false });
  const [kernel, output] = model.getWeights();
  scaled.setWeights([tf.mul(kernel, 4), tf.div(output, 4)]);
  const of = (which: tf.Sequential, seed: number) => lossSurface(which, x, y, { resolution: 5, seed });
  const [a, b, c, d] = await Promise.all([of(model, 1), of(model, 1), of(model, 2), of(scaled, 1)]);
  expect(a.values).toEqual(b.values);
  expect(a.values).not.toEqual(c.values);
  for (const [k, value] of a.values.entries()) expect(d.values[k]).toBeCloseTo(value, 6);
  tf.dispose([x, y]);
  for (const each of [model, scaled]) each.dispose();
});

test("beta of a model without regularizers is charged half on each kernel", async () => {
  const { x, y } = makeData();
  const model = makeModel({ units: 4, hiddenBias: false });
  const [plain, charged] = await Promise.all(
    [{}, { regularization: 0.2 }].map((options) => lossSurface(model, x, y, { resolution: 3, ...options })),
  );
  const squares = [0, 1].reduce(
    (sum, k) => sum + weightsIn(model)[k].reduce((total, value) => total + value ** 2, 0),
    0,
  );
  expect(charged.objective - plain.objective).toBeCloseTo(0.1 * squares, 6);
  tf.dispose([x, y]);
  model.dispose();
});

test.each<[LossSurfaceOptions, string]>([
  [{ span: 0 }, "options/value"],
  [{ resolution: 10 }, "options/value"],
  [{ steps: 3 } as LossSurfaceOptions, "options/unknown"],
])("refuses %o", async (options, code) => {
  const { x, y } = makeData();
  const model = makeModel();
  await expect(lossSurface(model, x, y, options)).rejects.toMatchObject({ code });
  tf.dispose([x, y]);
  model.dispose();
});
