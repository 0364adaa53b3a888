import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { certifiedByParts, descendedInFit, type Rows } from "../../examples/cifar/batchwise.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

function rowsOf(n: number, seed: number): Rows {
  return tf.tidy(() => {
    const values = tf.randomNormal([n, 3], 0, 1, "float32", seed) as tf.Tensor2D;
    const kinds = values.argMax(1);
    return {
      x: tf.concat([values, tf.ones([n, 1])], 1) as tf.Tensor2D,
      y: tf.oneHot(kinds, 3).toFloat() as tf.Tensor2D,
    };
  });
}

test("three classes by parts of the rows: a proven gap, and proximalAdam in model.fit falls towards it and never below", async () => {
  const [train, held] = [rowsOf(120, 1), rowsOf(60, 2)];
  const settings = { gates: 6, beta: 0.01, batch: 20, seed: 3 };
  const tensors = tf.memory().numTensors;
  const certified = await certifiedByParts(train, held, settings, { tolerance: 1e-3, limit: 60 });
  expect(certified.status).toBe("solved");
  expect(certified.relativeGap).toBeLessThanOrEqual(1e-3);
  expect(certified.looks.at(-1)?.objective).toBeCloseTo(certified.objective, 4);
  const looks = await descendedInFit(train, held, settings, { rate: 0.01, seconds: 1, looks: 5 });
  expect(tf.memory().numTensors).toBe(tensors);
  for (const { objective } of looks) expect(objective).toBeGreaterThan(certified.lowerBound);
  expect(looks[looks.length - 1].objective).toBeLessThan(Math.log(3)); // that of weights of zero
  tf.dispose([train.x, train.y, held.x, held.y]);
});
