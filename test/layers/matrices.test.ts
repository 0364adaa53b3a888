import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import {
  OnesColumn,
  onesColumn,
  PairProducts,
  PolynomialActivation,
  pairProducts,
  polynomial,
} from "../../src/index.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("PolynomialActivation is a t^2 + b t + c, with its gradient, and keeps its numbers in its config", () => {
  const layer = polynomial(0.5, -2, 3);
  tf.tidy(() => {
    const x = tf.tensor2d([[0, 1, -2]]);
    expect(Array.from((layer.apply(x) as tf.Tensor).dataSync())).toEqual([3, 1.5, 9]);
    const slope = tf.grad((t) => layer.call(t).sum())(x);
    expect(Array.from(slope.dataSync())).toEqual([-2, -1, -4]);
  });
  const { a, b, c } = layer.getConfig();
  expect([a, b, c]).toEqual([0.5, -2, 3]);
  expect(() => new PolynomialActivation({ a: Number.NaN, b: 0, c: 0 })).toThrow(
    /expected a to be a finite number, got NaN/,
  );
  layer.dispose();
});

test("OnesColumn appends a one to every row", () => {
  tf.tidy(() => {
    const layer = onesColumn({ inputShape: [2] });
    const out = layer.apply(
      tf.tensor2d([
        [5, 6],
        [7, 8],
      ]),
    ) as tf.Tensor;
    expect(out.shape).toEqual([2, 3]);
    expect(Array.from(out.dataSync())).toEqual([5, 6, 1, 7, 8, 1]);
    expect(new OnesColumn().computeOutputShape([null, 4])).toEqual([null, 5]);
  });
});

test("PairProducts multiplies one half with the other, and refuses an odd number", () => {
  tf.tidy(() => {
    const out = pairProducts().apply(tf.tensor2d([[1, 2, 3, 4]])) as tf.Tensor;
    expect(Array.from(out.dataSync())).toEqual([3, 8]);
    expect(() => new PairProducts().computeOutputShape([null, 3])).toThrow(/even number of inputs, got shape \[, 3\]/);
  });
});
