import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { ConvexReLUTrainer, GatedDense, gatedDense, registerLayers } from "../../src/index.js";
import { makeData, makeModel, saveAndLoad, weightsIn } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
  registerLayers();
});

test("y = (x W + b) 1[x G + g >= 0], with the gate open at zero", () => {
  const layer = gatedDense({ units: 2, inputShape: [2] });
  const model = tf.sequential({ layers: [layer] });
  layer.setWeights([
    tf.tensor2d([
      [1, 2],
      [3, 4],
    ]),
    tf.tensor1d([10, 20]),
    tf.tensor2d([
      [1, -1],
      [0, 0],
    ]),
    tf.tensor1d([0, -0.5]),
  ]);
  const y = model.predict(
    tf.tensor2d([
      [1, 1],
      [0, 1],
      [-1, 1],
    ]),
  ) as tf.Tensor;
  expect(Array.from(y.dataSync())).toEqual([14, 0, 13, 0, 0, 22]);
  y.dispose();
  model.dispose();
});

test("it acts on the last axis of inputs of any rank, as a dense layer does", () => {
  const layer = gatedDense({ units: 3, inputShape: [4, 2], seed: 1 });
  const model = tf.sequential({ layers: [layer] });
  tf.tidy(() => {
    const x = tf.randomNormal([5, 4, 2], 0, 1, "float32", 1);
    const y = model.predict(x) as tf.Tensor;
    expect(y.shape).toEqual([5, 4, 3]);
    const flat = layer.call(x.reshape([20, 2]));
    expect(Array.from(y.dataSync())).toEqual(Array.from(flat.dataSync()));
  });
  model.dispose();
});

test("gradients reach the kernel and the bias, by differences, and never the gates", () => {
  const model = makeModel({ formulation: "gated", units: 3 });
  const { x, y } = makeData("meanSquaredError", 6);
  const layer = model.layers[0];
  expect(layer.trainableWeights.map((weight) => weight.shape)).toEqual([[3, 3], [3]]);
  expect(layer.nonTrainableWeights.map((weight) => weight.shape)).toEqual([[3, 3], [3]]);
  const loss = (kernel: tf.Tensor) =>
    tf.tidy(() => {
      const [, bias, gate, gateBias] = layer.getWeights();
      const open = tf.add(tf.dot(x, gate), gateBias).greaterEqual(0).cast("float32");
      const hidden = tf.mul(tf.add(tf.dot(x, kernel), bias), open);
      return tf.sum(tf.square(hidden)).dataSync()[0];
    });
  const kernel = layer.getWeights()[0];
  const { grads } = tf.variableGrads(() => tf.sum(tf.square(layer.apply(x) as tf.Tensor)) as tf.Scalar);
  const gradient =
    Object.values(grads)
      .find((grad) => grad.rank === 2)
      ?.dataSync() ?? [];
  for (let k = 0; k < 9; k++) {
    const at = (t: number) =>
      loss(
        tf.tensor2d(
          Float32Array.from(kernel.dataSync(), (value, j) => value + (j === k ? t : 0)),
          [3, 3],
        ),
      );
    expect(Math.abs((at(0.01) - at(-0.01)) / 0.02 - gradient[k])).toBeLessThan(0.02 * (1 + Math.abs(gradient[k])));
  }
  tf.dispose([x, y, ...Object.values(grads)]);
  model.dispose();
});

test("model.fit trains it and leaves its gates as they are", async () => {
  const model = makeModel({ formulation: "gated" });
  const { x, y } = makeData();
  const gates = weightsIn(model).slice(-2);
  const { history } = await model.fit(x, y, { epochs: 5, verbose: 0 });
  expect(Number(history.loss[4])).toBeLessThan(Number(history.loss[0]));
  expect(weightsIn(model).slice(-2)).toEqual(gates);
  tf.dispose([x, y]);
  model.dispose();
});

describe("saving and loading", () => {
  test.each([true, false])(
    "a convexly trained model predicts the same after loading (useBias: %s)",
    async (hiddenBias) => {
      const { x, y } = makeData();
      const model = makeModel({ formulation: "gated", hiddenBias, l2: 1e-3 });
      await new ConvexReLUTrainer({ tolerance: 1e-3 }).fit(model, x, y);
      const loaded = await saveAndLoad(model);
      const [a, b] = [model.predict(x) as tf.Tensor, loaded.predict(x) as tf.Tensor];
      expect(Array.from(b.dataSync())).toEqual(Array.from(a.dataSync()));
      expect(loaded.layers[0]).toBeInstanceOf(GatedDense);
      expect((loaded.layers[0] as GatedDense).kernelRegularizer).not.toBeNull();
      tf.dispose([x, y, a, b]);
      model.dispose();
      loaded.dispose();
    },
  );

  test("its config goes round, and the seed gives the same gates again", () => {
    const layer = gatedDense({
      units: 4,
      seed: 3,
      useBias: false,
      inputShape: [2],
      kernelRegularizer: tf.regularizers.l2({ l2: 0.5 }),
    });
    const again = GatedDense.fromConfig(GatedDense, layer.getConfig()) as GatedDense;
    expect(again.getConfig()).toEqual(layer.getConfig());
    const models = [layer, again].map((each) => tf.sequential({ layers: [each] }));
    expect(weightsIn(models[1])).toEqual(weightsIn(models[0]));
    for (const model of models) model.dispose();
  });

  test("units that are no positive integer are refused", () => {
    expect(() => gatedDense({ units: 0 })).toThrow(/units: expected an integer of 1 to 1000000, got 0/);
  });
});

test("a gated fit keeps the layer's own gates unless arrangements are asked for", async () => {
  const { x, y } = makeData();
  const model = makeModel({ formulation: "gated", units: 20, hiddenBias: false });
  const before = new Set(columns(model));
  const own = await new ConvexReLUTrainer({ tolerance: 1e-4 }).fit(model, x, y);
  expect(own.gates.count).toBeLessThanOrEqual(20);
  const zero = Array(3).fill(0).join();
  for (const column of columns(model)) expect(before.has(column) || column === zero).toBe(true);
  const wide = makeModel({ formulation: "gated", units: 200, hiddenBias: false });
  const sampled = await new ConvexReLUTrainer({ arrangements: { kind: "sample", count: 70 }, tolerance: 1e-4 }).fit(
    wide,
    x,
    y,
  );
  expect(sampled.gates.count).toBe(70);
  expect(sampled.certificate.dual).toBeLessThanOrEqual(own.certificate.primal * 2);
  tf.dispose([x, y]);
  model.dispose();
  wide.dispose();
});

/** The gate of every unit as a string. */
function columns(model: tf.Sequential): string[] {
  const gate = model.layers[0].getWeights()[1];
  const units = gate.shape[1] ?? 0;
  const data = gate.dataSync();
  return Array.from({ length: units }, (_, j) => [0, 1, 2].map((p) => data[p * units + j]).join());
}
