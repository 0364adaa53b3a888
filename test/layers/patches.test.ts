import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { Patches, patches, registerLayers } from "../../src/index.js";
import { saveAndLoad } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
  registerLayers();
});

const geometries = [
  { kernelSize: 2, inputShape: [4, 5, 2] },
  { kernelSize: [3, 2], strides: [2, 1], padding: "same", inputShape: [4, 5, 2] },
  { kernelSize: 2, dilationRate: [2, 3], inputShape: [4, 5, 2] },
  { kernelSize: 3, padding: "same", dataFormat: "channelsFirst", inputShape: [2, 4, 5] },
] as const;

test.each(geometries)("a dense layer on patches is tf.layers.conv2d, with the same kernel: %o", (geometry) => {
  const inputShape = [...geometry.inputShape];
  const cut = patches({ ...geometry, inputShape });
  const dense = tf.layers.dense({ units: 3 });
  const conv = tf.layers.conv2d({ ...geometry, inputShape, filters: 3 } as Parameters<typeof tf.layers.conv2d>[0]);
  const model = tf.sequential({ layers: [cut, dense] });
  const truth = tf.sequential({ layers: [conv] });
  const [kernel, bias] = conv.getWeights();
  tf.tidy(() => {
    dense.setWeights([kernel.reshape([-1, 3]), bias]);
    const x = tf.randomNormal([3, ...inputShape], 0, 1, "float32", 9);
    const wanted = truth.predict(x) as tf.Tensor;
    const last = "dataFormat" in geometry ? tf.transpose(wanted, [0, 2, 3, 1]) : wanted;
    const got = model.predict(x) as tf.Tensor;
    expect(got.shape).toEqual([3, last.size / 9, 3]);
    const [a, b] = [got.dataSync(), last.dataSync()];
    a.forEach((value, k) => {
      expect(Math.abs(value - b[k])).toBeLessThan(1e-5);
    });
  });
  model.dispose();
  truth.dispose();
});

test.each(geometries)("gradients pass to the pixels, by differences: %o", (geometry) => {
  const inputShape = [...geometry.inputShape];
  const layer = patches({ ...geometry, inputShape });
  const model = tf.sequential({ layers: [layer] });
  tf.tidy(() => {
    const x = tf.randomNormal([2, ...inputShape], 0, 1, "float32", 1);
    const weights = tf.randomNormal((model.outputs[0].shape as number[]).slice(1), 0, 1, "float32", 2);
    const value = (images: tf.Tensor) => tf.sum(tf.mul(tf.square(layer.apply(images) as tf.Tensor), weights));
    const gradient = tf.grad(value)(x).dataSync();
    const data = x.dataSync();
    for (let k = 0; k < data.length; k += 3) {
      const at = (t: number) => {
        const moved = data.map((entry, j) => entry + (j === k ? t : 0));
        return value(tf.tensor(moved, x.shape)).dataSync()[0];
      };
      const difference = (at(0.05) - at(-0.05)) / 0.1;
      expect(Math.abs(difference - gradient[k])).toBeLessThan(0.01 * (1 + Math.abs(gradient[k])));
    }
  });
  model.dispose();
});

test("its config goes round, also through a saved model, and no tensor is left", async () => {
  const before = tf.memory().numTensors;
  const layer = patches({ kernelSize: [2, 3], strides: 2, padding: "same", inputShape: [4, 4, 1] });
  const again = Patches.fromConfig(Patches, layer.getConfig()) as Patches;
  expect(again.getConfig()).toEqual(layer.getConfig());
  const model = tf.sequential({ layers: [layer, tf.layers.flatten(), tf.layers.dense({ units: 1 })] });
  const loaded = await saveAndLoad(model);
  const x = tf.randomNormal([2, 4, 4, 1]);
  const [a, b] = [model.predict(x) as tf.Tensor, loaded.predict(x) as tf.Tensor];
  expect(Array.from(b.dataSync())).toEqual(Array.from(a.dataSync()));
  tf.dispose([x, a, b]);
  model.dispose();
  loaded.dispose();
  expect(tf.memory().numTensors).toBe(before);
});

test("a filter that does not fit and images of unknown size are refused", () => {
  expect(() => tf.sequential({ layers: [patches({ kernelSize: 5, inputShape: [4, 4, 1] })] })).toThrow(
    /filter that fits into the image, got kernelSize \[5, 5\] for input \[4, 4, 1\]/,
  );
  expect(() => tf.sequential({ layers: [patches({ kernelSize: 2, inputShape: [null, 4, 1] })] })).toThrow(
    /known height, width and channels, got shape \[, 4, 1\]/,
  );
});
