import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import {
  convexParallel,
  descendParallel,
  makeRows,
  plainParallel,
  SETTING,
} from "../../examples/parallel/experiment.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

test("five rows in parallel three-layer networks: the optimum over all 95,480 blocks or fewer, and SGD never below", async () => {
  const points = makeRows(3);
  const tensors = tf.memory().numTensors;
  const { model, certificate, blocks, status, branches } = await convexParallel(points, 1e-5);
  expect(status).toBe("solved");
  expect(certificate.scope).toBe("all blocks");
  expect(certificate.relativeGap).toBeLessThanOrEqual(1e-5);
  expect(blocks.count).toBeLessThanOrEqual(95480);
  expect(branches).toBeLessThanOrEqual(SETTING.n);
  for (const K of [2, 5]) {
    const plain = plainParallel(K, 0.15, 1);
    const { lowest } = await descendParallel(plain, points, 100);
    expect(lowest).toBeGreaterThan(certificate.dual);
    plain.optimizer.dispose();
    plain.dispose();
  }
  model.dispose();
  expect(tf.memory().numTensors).toBe(tensors);
});
