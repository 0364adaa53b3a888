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

test("a layer is charged by its name, others are not", async () => {
  for (const [layers, charged] of [
    [["hidden"], true],
    [["another"], false],
  ] as const) {
    const model = convexModel(proximalAdam({ beta: 100, learningRate: 0.1, layers: [...layers] }), true, "hidden");
    await model.fit(x, y, { epochs: 2, verbose: 0 });
    expect(objective(model).zero).toBe(charged ? units : 0);
  }
});

test("a model that is saved with its optimizer goes on where it was", async () => {
  const model = convexModel(proximalAdam({ beta, learningRate: 0.05, decay: 0.1, layers: ["kept"] }), true, "kept");
  const args = { epochs: 3, batchSize: 30, shuffle: false, verbose: 0 } as const;
  await model.fit(x, y, args);
  let saved: tf.io.ModelArtifacts | undefined;
  const keep = tf.io.withSaveHandler(async (artifacts) => {
    saved = artifacts;
    return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
  });
  await model.save(keep, { includeOptimizer: true });
  if (saved === undefined) throw new Error("nothing was saved");
  const again = (await tf.loadLayersModel(tf.io.fromMemory(saved))) as tf.Sequential;
  expect(again.optimizer.getConfig()).toEqual(model.optimizer.getConfig());
  expect(again.optimizer.iterations).toBe(3);
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
  [null, /expected an object of arguments/],
])("arguments %j are refused by a sentence", (args, says) => {
  expect(() => proximalAdam(args as never)).toThrow(says);
});
