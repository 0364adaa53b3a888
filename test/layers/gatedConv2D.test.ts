import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { ConvexReLUTrainer, GatedConv2D, gatedConv2D, registerLayers } from "../../src/index.js";
import { makeConvModel, makeImages } from "../helpers/convModels.js";
import { saveAndLoad, weightsIn } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
  registerLayers();
});

const geometries = [
  { kernelSize: 2, inputShape: [4, 5, 2] },
  { kernelSize: [3, 2], strides: [2, 1], padding: "same", inputShape: [4, 5, 2] },
  { kernelSize: 2, dilationRate: 2, inputShape: [4, 5, 2] },
  { kernelSize: 2, padding: "same", dataFormat: "channelsFirst", inputShape: [2, 4, 5] },
] as const;

test.each(geometries)("y = conv2d(x, W, b) where conv2d(x, G, g) >= 0, by tf.layers.conv2d: %o", (geometry) => {
  const { inputShape, ...rest } = geometry;
  const args = { ...rest, inputShape: [...inputShape], filters: 3 } as Parameters<typeof tf.layers.conv2d>[0];
  const layer = gatedConv2D({ ...geometry, inputShape: [...inputShape], filters: 3, seed: 4 });
  const model = tf.sequential({ layers: [layer] });
  const [linear, open] = [tf.layers.conv2d(args), tf.layers.conv2d(args)];
  const models = [linear, open].map((each) => tf.sequential({ layers: [each] }));
  layer.setWeights(layer.getWeights().map((weight, k) => tf.randomNormal(weight.shape, 0, 1, "float32", k)));
  const weights = layer.getWeights();
  linear.setWeights(weights.slice(0, 2));
  open.setWeights(weights.slice(2));
  tf.tidy(() => {
    const x = tf.randomNormal([3, ...inputShape], 0, 1, "float32", 9);
    const y = model.predict(x) as tf.Tensor;
    const [a, g] = models.map((each) => each.predict(x) as tf.Tensor);
    expect(y.shape).toEqual(a.shape);
    expect(layer.computeOutputShape([3, ...inputShape])).toEqual(a.shape);
    const [got, value, gate] = [y, a, g].map((tensor) => tensor.dataSync());
    expect(gate.some((z) => z < 0) && gate.some((z) => z >= 0)).toBe(true);
    got.forEach((entry, k) => {
      expect(Math.abs(entry - (gate[k] >= 0 ? value[k] : 0))).toBeLessThan(1e-5);
    });
  });
  for (const each of [model, ...models]) each.dispose();
});

test("the gate is open at zero", () => {
  const layer = gatedConv2D({ filters: 1, kernelSize: 1, inputShape: [1, 2, 1] });
  const model = tf.sequential({ layers: [layer] });
  const one = tf.ones([1, 1, 1, 1]);
  const [gate, bias, shut] = [tf.neg(one), tf.tensor1d([5]), tf.tensor1d([0])];
  layer.setWeights([one, bias, gate, shut]);
  const y = model.predict(tf.tensor4d([0, 1], [1, 1, 2, 1])) as tf.Tensor;
  expect(Array.from(y.dataSync())).toEqual([5, 0]);
  tf.dispose([one, gate, bias, shut, y]);
  model.dispose();
});

test("gradients reach the kernel and the bias, by differences, and never the gates", () => {
  const model = makeConvModel({ kind: "gatedConv2D", filters: 2, strides: 2, padding: "same" });
  const { x, y } = makeImages(model, "meanSquaredError", 4);
  const layer = model.layers[0];
  expect(layer.trainableWeights.map((weight) => weight.shape)).toEqual([[2, 2, 1, 2], [2]]);
  expect(layer.nonTrainableWeights.map((weight) => weight.shape)).toEqual([[2, 2, 1, 2], [2]]);
  const value = () => tf.sum(tf.square(model.apply(x) as tf.Tensor)) as tf.Scalar;
  const { grads } = tf.variableGrads(value);
  const variables = layer.trainableWeights.map((weight) => (weight as unknown as { val: tf.Variable }).val);
  for (const variable of variables) {
    const gradient = grads[variable.name].dataSync();
    const start = variable.dataSync().slice();
    for (let k = 0; k < start.length; k++) {
      const at = (t: number) =>
        tf.tidy(() => {
          variable.assign(
            tf.tensor(
              start.map((entry, j) => entry + (j === k ? t : 0)),
              variable.shape,
            ),
          );
          return value().dataSync()[0];
        });
      const difference = (at(0.01) - at(-0.01)) / 0.02;
      expect(Math.abs(difference - gradient[k])).toBeLessThan(0.01 * (1 + Math.abs(gradient[k])));
      at(0);
    }
  }
  expect(Object.keys(grads)).toHaveLength(model.trainableWeights.length);
  tf.dispose([x, y, ...Object.values(grads)]);
  model.dispose();
});

test("model.fit trains it and leaves its gates as they are", async () => {
  const model = makeConvModel({ kind: "gatedConv2D" });
  const { x, y } = makeImages(model);
  const gates = weightsIn(model).slice(-2);
  const { history } = await model.fit(x, y, { epochs: 4, verbose: 0 });
  expect(Number(history.loss[3])).toBeLessThan(Number(history.loss[0]));
  expect(weightsIn(model).slice(-2)).toEqual(gates);
  tf.dispose([x, y]);
  model.dispose();
});

test("a convexly trained model predicts the same after loading", async () => {
  const model = makeConvModel({ kind: "gatedConv2D", readOut: "flatten", padding: "same", l2: 1e-3 });
  const { x, y } = makeImages(model);
  await new ConvexReLUTrainer({ tolerance: 1e-2 }).fit(model, x, y);
  const loaded = await saveAndLoad(model);
  const [a, b] = [model.predict(x) as tf.Tensor, loaded.predict(x) as tf.Tensor];
  expect(Array.from(b.dataSync())).toEqual(Array.from(a.dataSync()));
  expect(loaded.layers[0]).toBeInstanceOf(GatedConv2D);
  expect((loaded.layers[0] as GatedConv2D).kernelRegularizer).not.toBeNull();
  tf.dispose([x, y, a, b]);
  model.dispose();
  loaded.dispose();
});

test("its config goes round, and the seed gives the same gates again", () => {
  const layer = gatedConv2D({
    filters: 4,
    kernelSize: [2, 3],
    strides: 2,
    padding: "same",
    dilationRate: 1,
    seed: 3,
    useBias: false,
    inputShape: [4, 4, 1],
    kernelRegularizer: tf.regularizers.l2({ l2: 0.5 }),
  });
  const again = GatedConv2D.fromConfig(GatedConv2D, layer.getConfig()) as GatedConv2D;
  expect(again.getConfig()).toEqual(layer.getConfig());
  const models = [layer, again].map((each) => tf.sequential({ layers: [each] }));
  expect(weightsIn(models[1])).toEqual(weightsIn(models[0]));
  for (const model of models) model.dispose();
});

test("a gated fit keeps the layer's own gates", async () => {
  const model = makeConvModel({ kind: "gatedConv2D", filters: 20, hiddenBias: false });
  const { x, y } = makeImages(model);
  const columns = () => {
    const data = model.layers[0].getWeights()[1].dataSync();
    return Array.from({ length: 20 }, (_, j) => [0, 1, 2, 3].map((p) => data[p * 20 + j]).join());
  };
  const before = new Set(columns());
  const { gates } = await new ConvexReLUTrainer({ tolerance: 1e-3 }).fit(model, x, y);
  expect(gates.count).toBeLessThanOrEqual(20);
  for (const column of columns()) expect(before.has(column)).toBe(true);
  tf.dispose([x, y]);
  model.dispose();
});

test("sizes that are no positive integers and paddings that are none are refused", () => {
  const make = (extra: object) => () => gatedConv2D({ filters: 1, kernelSize: 2, ...extra });
  expect(make({ filters: 0 })).toThrow(/filters: expected an integer of 1 to 1000000, got 0/);
  expect(make({ kernelSize: [2, 2, 2] })).toThrow(/kernelSize to be a positive integer or two/);
  expect(make({ strides: 0.5 })).toThrow(/strides to be a positive integer/);
  expect(make({ padding: "causal" })).toThrow(/padding to be "valid" or "same", got "causal"/);
  expect(() => make({})().build([null, 4, 4])).toThrow(/images of known height, width and channels/);
});
