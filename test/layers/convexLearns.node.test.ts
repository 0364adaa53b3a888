/** What convex layers are for: constraints that are learned from solutions, and a program inside a classifier. */

import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { flowers } from "../../examples/migration/flowers.js";
import { convexLayer, quadraticProgram } from "../../src/index.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("a layer learns the constraints of a small quadratic program from its solutions, and solves new ones", async () => {
  const hidden = { G: tf.tensor2d([[1, 0.3], [-0.2, 1], [-1, -0.4], [0.3, -1]]), h: tf.tensor1d([0.8, 0.7, 0.9, 0.6]) }; // biome-ignore format: rows
  const [seen, fresh] = [1, 2].map((seed) => {
    const x = tf.randomNormal([40, 2], 0, 1.5, "float32", seed) as tf.Tensor2D;
    return { x, z: quadraticProgram({ P: tf.eye(2), q: x.neg(), ...hidden }) };
  });
  const model = tf.sequential({ layers: [convexLayer({ inequalities: 10, seed: 1, inputShape: [2] })] });
  model.compile({ optimizer: tf.train.adam(0.05), loss: "meanSquaredError" });
  const error = () => tf.tidy(() => (model.evaluate(fresh.x, fresh.z) as tf.Scalar).dataSync()[0]);
  const before = error();
  await model.fit(seen.x, seen.z, { epochs: 100, batchSize: 20, shuffle: false, verbose: 0 });
  expect(error()).toBeLessThan(0.1 * before);
  model.dispose();
});

test("a program between the dense layers of a classifier of irises is trained with them: nine of ten flowers held out are right", async () => {
  const { x, y } = flowers();
  const rows = (held: boolean) => Array.from({ length: 150 }, (_, k) => k).filter((k) => (k % 3 === 0) === held);
  const [train, held] = [rows(false), rows(true)].map((taken) => ({ x: tf.gather(x, taken), y: tf.gather(y, taken) }));
  const seeded = (seed: number) => ({ kernelInitializer: tf.initializers.glorotNormal({ seed }) });
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units: 3, inputShape: [4], ...seeded(1) }),
      convexLayer({ inequalities: 4, seed: 1 }),
      tf.layers.dense({ units: 1, activation: "sigmoid", ...seeded(2) }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(0.05), loss: "binaryCrossentropy", metrics: ["accuracy"] });
  await model.fit(train.x, train.y, { epochs: 15, batchSize: 20, shuffle: false, verbose: 0 });
  const [, accuracy] = (model.evaluate(held.x, held.y) as tf.Scalar[]).map((value) => value.dataSync()[0]);
  expect(accuracy).toBeGreaterThan(0.9);
  model.dispose();
});
