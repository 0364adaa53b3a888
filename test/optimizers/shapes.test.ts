import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { ConvexReLUTrainer, registerLayers } from "../../src/index.js";
import { objectiveOf } from "../helpers/objective.js";
import { reloaded, shapes } from "../helpers/shapes.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
  registerLayers();
});

const FLOAT32 = 2e-6;
const STEPS = 40;

describe.each(shapes)("$name", ({ make, everywhere, statistics }) => {
  test("is taken as it stands, and what is reported is what its own evaluate and calculateLosses say", async () => {
    const before = tf.memory().numTensors;
    const { model, x, y } = await make();
    const made = tf.memory().numTensors;
    const still = frozenOf(model);
    const own = weightsOf(model);
    const start = objectiveOf(model, x, y);
    const result = await new ConvexReLUTrainer({ tolerance: 1e-3 }).fit(model, x, y);
    // The bound for neurons that feed all outputs need not close on what the search found.
    const shared = result.certificate.neurons === "feed all outputs";
    expect(shared ? ["solved", "stalled"] : ["solved"]).toContain(result.status);
    expect(result.model === model).toBe(true);
    expect(tf.memory().numTensors).toBe(made);
    // The layers are the model's own, trained, and those that were frozen as they were.
    expect(frozenOf(model)).toEqual(still);
    expect(weightsOf(model)).not.toEqual(own);
    const seen = objectiveOf(model, x, y);
    expect(Math.abs(seen - result.objective.total)).toBeLessThanOrEqual(FLOAT32 * Math.max(1, Math.abs(seen)));
    expect(seen).toBeLessThan(start);
    // dual <= network <= primal, each as far as float32 weights allow.
    const { primal, dual, network } = result.certificate;
    const room = 1e-6 * Math.max(1, Math.abs(primal));
    expect(dual).toBeLessThanOrEqual(network + room);
    expect(network).toBeLessThanOrEqual(primal + room);
    if (!shared) expect(result.certificate.relativeGap).toBeLessThanOrEqual(1e-3);
    if (everywhere === true) expect(result.certificate.scope).toBe("all gates");
    await roundTrip(model, x);
    if (result.certificate.scope === "all gates") descend(model, x, y, dual, statistics === true);
    tf.dispose([x, y]);
    discard(model);
    expect(tf.memory().numTensors).toBe(before);
  });
});

/** Disposes a model, and what tfjs keeps of the models within it. */
function discard(model: tf.LayersModel): void {
  const variables = model.weights.map((weight) => weight.read());
  model.dispose();
  tf.dispose(variables);
}

const weightsOf = (model: tf.LayersModel) => model.getWeights().map((weight) => Array.from(weight.dataSync()));
const frozenOf = (model: tf.LayersModel) =>
  model.nonTrainableWeights
    .filter(({ originalName }) => !/moving|gate/.test(originalName))
    .map((weight) => [weight.name, Array.from(weight.read().dataSync())]);

/** The model that comes back from where it was saved predicts the same. */
async function roundTrip(model: tf.LayersModel, x: tf.Tensor): Promise<void> {
  const again = await reloaded(model);
  const [a, b] = tf.tidy(() =>
    [model, again].map((one) => (one.predict(x) as tf.Tensor).dataSync().slice() as Float32Array),
  );
  expect(Array.from(b)).toEqual(Array.from(a));
  discard(again);
}

/** Plain descent on the model as it was compiled, from the optimum and from far away, never goes below the bound. */
function descend(model: tf.LayersModel, x: tf.Tensor, y: tf.Tensor, bound: number, training: boolean): void {
  const best = model.trainableWeights.map((weight) => weight.read().clone());
  for (const noise of [0, 0.3]) {
    const optimizer = tf.train.adam(0.02);
    tf.tidy(() => {
      for (const weight of model.trainableWeights) {
        const value = weight.read();
        weight.write(tf.add(value, tf.randomNormal(value.shape, 0, noise, "float32", 11)));
      }
    });
    for (let step = 0; step < STEPS; step++) {
      const cost = optimizer.minimize(() => onTape(model, x, y, training), true, variablesOf(model)) as tf.Scalar;
      const value = cost.dataSync()[0];
      cost.dispose();
      expect(value).toBeGreaterThanOrEqual(bound - 1e-5 * Math.max(1, Math.abs(bound)));
    }
    optimizer.dispose();
  }
  model.trainableWeights.forEach((weight, k) => {
    weight.write(best[k]);
  });
  tf.dispose(best);
}

function onTape(model: tf.LayersModel, x: tf.Tensor, y: tf.Tensor, training: boolean): tf.Scalar {
  const inner = (model as { model?: tf.LayersModel }).model ?? model;
  const loss = tf.mean(inner.lossFunctions[0](y, model.apply(x, { training }) as tf.Tensor)) as tf.Scalar;
  return model.calculateLosses().reduce((sum, term) => tf.add(sum, term), loss);
}

const variablesOf = (model: tf.LayersModel) =>
  model.trainableWeights.map((weight) => weight.read() as unknown as tf.Variable);
