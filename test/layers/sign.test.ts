import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { Sign, signLayer } from "../../src/index.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("Sign is 1 from zero on, -1 below, and its gradient is zero", () => {
  const layer = signLayer({ inputShape: [3] });
  expect(layer.getClassName()).toBe("Sign");
  expect(Sign.fromConfig(Sign, layer.getConfig()).getClassName()).toBe("Sign");
  tf.tidy(() => {
    const z = tf.tensor2d([[-2, 0, 3]]);
    expect(Array.from((layer.apply(z) as tf.Tensor).dataSync())).toEqual([-1, 1, 1]);
    const slope = tf.grad((v) => (layer.apply(v) as tf.Tensor).sum())(z);
    expect(Array.from(slope.dataSync()).map(Math.abs)).toEqual([0, 0, 0]);
  });
});
