import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { ConvexReLUTrainer, gatedDense, type ProximalAdam, proximalAdam, registerLayers } from "../../src/index.js";
import { gaussianMatrix } from "../helpers/problems.js";

const beta = 0.05;
const units = 12;
let x: tf.Tensor2D;
let y: tf.Tensor2D;

beforeAll(async () => {
  await tf.setBackend("cpu");
  registerLayers();
  const { data } = gaussianMatrix(30, 3, 5);
  x = tf.tensor2d(Float32Array.from(data), [30, 3]);
  y = tf.tensor2d(
    Float32Array.from({ length: 30 }, (_, k) => Math.abs(data[3 * k]) - data[3 * k + 1]),
    [30, 1],
  );
});

/** Gated units that a read-out of ones adds up: the convex program itself. */
function convexModel(optimizer: ProximalAdam, useBias: boolean, name?: string): tf.Sequential {
  const gated = { units, inputShape: [3], seed: 7, useBias, ...(name === undefined ? {} : { name }) };
  const ones = { units: 1, useBias: false, kernelInitializer: "ones", trainable: false } as const;
  const model = tf.sequential({ layers: [gatedDense(gated), tf.layers.dense(ones)] });
  model.compile({ optimizer, loss: "meanSquaredError" });
  return model;
}

/** loss + beta sum_k |(w_k, b_k)|, and how many units are zero. */
function objective(model: tf.Sequential): { value: number; zero: number } {
  return tf.tidy(() => {
    const loss = (model.evaluate(x, y) as tf.Scalar).dataSync()[0];
    const [kernel, ...rest] = model.layers[0].getWeights(true);
    const bias = rest.filter(({ shape }) => shape.length === 1);
    const squares = bias.reduce<tf.Tensor>((sum, one) => tf.add(sum, tf.square(one)), tf.sum(tf.square(kernel), 0));
    const norms = Array.from(tf.sqrt(squares).dataSync());
    return {
      value: loss + beta * norms.reduce((sum, norm) => sum + norm, 0),
      zero: norms.filter((v) => v === 0).length,
    };
  });
}

/** The trainer's bound for networks with the same gates and weight decay whose factors make the same beta. */
async function boundOf(convex: tf.Sequential, useBias: boolean): Promise<number> {
  const l2 = () => tf.regularizers.l2({ l2: beta / 2 });
  const decay = { kernelRegularizer: l2(), ...(useBias ? { biasRegularizer: l2() } : {}) };
  const hidden = gatedDense({ units, inputShape: [3], seed: 7, useBias, ...decay });
  const readOut = tf.layers.dense({ units: 1, useBias: false, kernelRegularizer: l2() });
  const model = tf.sequential({ layers: [hidden, readOut] });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  hidden.setWeights(convex.layers[0].getWeights());
  const { certificate } = await new ConvexReLUTrainer({ tolerance: 1e-6 }).fit(model, x, y);
  return certificate.dual;
}

test.each([false, true])(
  "full steps end within a thousandth of the trainer's bound, with units at zero (bias: %s)",
  async (useBias) => {
    const model = convexModel(proximalAdam({ beta, learningRate: 0.2 }), useBias);
    await model.fit(x, y, { epochs: 500, batchSize: 30, verbose: 0 });
    const { value, zero } = objective(model);
    const bound = await boundOf(model, useBias);
    expect(value).toBeGreaterThanOrEqual(bound * (1 - 1e-6));
    expect(value).toBeLessThanOrEqual(bound * (1 + 1e-3));
    expect(zero).toBeGreaterThan(0);
  },
);

test("steps over batches come within some percent of the bound", async () => {
  const model = convexModel(proximalAdam({ beta, learningRate: 0.03, decay: 0.02 }), false);
  await model.fit(x, y, { epochs: 150, batchSize: 10, verbose: 0 });
  const { value } = objective(model);
  expect(value).toBeLessThanOrEqual((await boundOf(model, false)) * 1.03);
});

/** Two layers of gates with names of their own, and a read-out of ones. */
function twoLayers(optimizer: ProximalAdam): tf.Sequential {
  const gated = (name: string) => {
    const inputShape = name === "first" ? { inputShape: [3] } : {};
    return gatedDense({ units, ...inputShape, seed: 7, useBias: true, name });
  };
  const ones = { units: 1, useBias: false, kernelInitializer: "ones", trainable: false, name: "ones" } as const;
  const model = tf.sequential({ layers: [gated("first"), gated("second"), tf.layers.dense(ones)] });
  model.compile({ optimizer, loss: "meanSquaredError" });
  return model;
}

test("a layer is charged by its name, others are not", async () => {
  const model = twoLayers(proximalAdam({ beta: 100, learningRate: 0.1, layers: ["second"] }));
  await model.fit(x, y, { epochs: 2, verbose: 0 });
  const zeros = model.layers.slice(0, 2).map((layer) =>
    layer
      .getWeights()[0]
      .dataSync()
      .every((w) => w === 0),
  );
  expect(zeros).toEqual([false, true]);
  model.dispose();
});

test.each([
  ["a name that is misspelt", { layers: ["secnd"] }, /got "secnd"/],
  ["one that is, beside one that is not", { layers: ["first", "secnd"] }, /got "first", "secnd"/],
  ["no name", { layers: [] }, /got an empty array/],
  ["layers with names of their own, and none given", {}, /got none/],
])("a charge for %s is refused in the first step, before weights move", async (_, given, says) => {
  const model = twoLayers(proximalAdam({ beta: 0.1, ...given }));
  const before = model.getWeights().map((weight) => Array.from(weight.dataSync()));
  const fit = model.fit(x, y, { epochs: 1, verbose: 0 });
  await expect(fit).rejects.toThrow(says);
  await expect(fit).rejects.toMatchObject({
    name: "ConvexError",
    message: expect.stringMatching(/among "first", "second"/),
  });
  expect(model.getWeights().map((weight) => Array.from(weight.dataSync()))).toEqual(before);
  model.optimizer = proximalAdam({ beta: 0, ...given }); // where nothing is to be charged
  await model.fit(x, y, { epochs: 1, verbose: 0 });
  model.dispose();
});

test("an argument that is undefined has its default", () => {
  const none = { learningRate: undefined, decay: undefined, beta1: undefined, beta2: undefined, epsilon: undefined };
  const given = proximalAdam({ beta: 1, ...none, layers: undefined } as never);
  expect(given.getConfig()).toEqual(proximalAdam({ beta: 1 }).getConfig());
});

/** Saved with its optimizer and loaded, while the model itself lives on. */
async function reloaded(model: tf.LayersModel): Promise<{ again: tf.LayersModel; names: string[] }> {
  let saved: tf.io.ModelArtifacts | undefined;
  const keep = tf.io.withSaveHandler(async (artifacts) => {
    saved = artifacts;
    return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
  });
  await model.save(keep, { includeOptimizer: true });
  if (saved?.weightSpecs === undefined) throw new Error("nothing was saved");
  const names = saved.weightSpecs.filter(({ group }) => group === "optimizer").map(({ name }) => name);
  return { again: await tf.loadLayersModel(tf.io.fromMemory(saved)), names };
}

test.each([
  [
    "one layer",
    () => convexModel(proximalAdam({ beta, learningRate: 0.05, decay: 0.1, layers: ["kept"] }), true, "kept"),
  ],
  ["one layer without a name", () => convexModel(proximalAdam({ beta, learningRate: 0.05 }), false)],
  ["two layers, one charged", () => twoLayers(proximalAdam({ beta, learningRate: 0.05, layers: ["first"] }))],
])("a model of %s that is saved with its optimizer goes on where it was, beside the model itself", async (_, make) => {
  const args = { epochs: 3, batchSize: 30, shuffle: false, verbose: 0 } as const;
  const model = make();
  await model.fit(x, y, args);
  const { again, names } = await reloaded(model);
  expect(again.optimizer.getConfig()).toEqual(model.optimizer.getConfig());
  expect(again.optimizer.iterations).toBe(3);
  const third = (await reloaded(again)).again; // saved again before it made a step
  for (const each of [model, again, third]) await each.fit(x, y, args);
  const [wanted, ...found] = [model, again, third].map((each) =>
    each.getWeights().map((weight) => Array.from(weight.dataSync())),
  );
  for (const weights of found) expect(weights).toEqual(wanted);
  expect((await reloaded(again)).names.length).toBe(names.length);
  for (const each of [model, again, third]) each.dispose();
});

test("training and disposal leave no tensors", async () => {
  const before = tf.memory().numTensors;
  const model = convexModel(proximalAdam({ beta }), true);
  await model.fit(x, y, { epochs: 2, verbose: 0 });
  model.dispose();
  model.optimizer.dispose(); // an optimizer that came as an object is its maker's to dispose
  expect(tf.memory().numTensors).toBe(before);
});

test.each([
  [{ beta: -1 }, /beta: expected a finite number of at least 0, got -1/],
  [{ beta: 1, learningRate: 0 }, /learningRate: expected a finite number above 0/],
  [{ beta: 1, decay: Number.NaN }, /decay/],
  [{ beta: 1, beta1: 1 }, /beta1: expected a number in \[0, 1\)/],
  [{ beta: 1, beta2: "0.9" }, /beta2/],
  [{ beta: 1, epsilon: 0 }, /epsilon/],
  [{ beta: 1, layers: "hidden" }, /layers: expected an array of names/],
  [{ beta: 1, lr: 3 }, /expected options among beta, learningRate, .*, got "lr"/],
  [null, /expected an object of arguments/],
])("arguments %j are refused by a sentence", (args, says) => {
  expect(() => proximalAdam(args as never)).toThrow(says);
});
