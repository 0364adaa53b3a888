import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  BETA,
  convexFit,
  descend,
  drawWeights,
  makePoints,
  RATE,
} from "../../examples/gradient-explosion/experiment.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** The same descent by model.fit: objective after so many steps. */
async function byModelFit(n: number, m: number, steps: number): Promise<number> {
  const { d, x, y } = makePoints(n, 1);
  const { w, a } = drawWeights(m, d, "glorot", 3);
  const l2 = () => tf.regularizers.l2({ l2: BETA / 2 });
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units: m, inputShape: [d], activation: "relu", useBias: false, kernelRegularizer: l2() }),
      tf.layers.dense({ units: 1, useBias: false, kernelRegularizer: l2() }),
    ],
  });
  model.compile({ optimizer: tf.train.sgd(RATE), loss: "meanSquaredError" });
  const rows = tf.tidy(() => {
    model.setWeights([
      tf.tensor2d(Float32Array.from(w), [m, d]).transpose(),
      tf.tensor2d(Float32Array.from(a), [m, 1]),
    ]);
    return tf.tensor2d(Float32Array.from(x), [n, d]);
  });
  const targets = tf.tensor2d(Float32Array.from(y), [n, 1]);
  await model.fit(rows, targets, { epochs: steps, batchSize: n, verbose: 0 });
  const total = tf.tidy(() =>
    model
      .calculateLosses()
      .reduce((sum, term) => sum + term.dataSync()[0], (model.evaluate(rows, targets) as tf.Scalar).dataSync()[0]),
  );
  tf.dispose([rows, targets]);
  model.optimizer.dispose();
  model.dispose();
  return total;
}

describe("gradient explosion", () => {
  test("the descent is that of model.fit with all rows in a batch", async () => {
    const points = makePoints(20, 1);
    const ours = descend(points, drawWeights(8, points.d, "glorot", 3), 30);
    expect(ours.exploded).toBe(false);
    expect(ours.objective).toBeCloseTo(await byModelFit(20, 8, 30), 5);
  });

  test.each([10, 100])("n = %i: no start explodes with 16 neurons, and with 128 all do, within 20 steps", (n) => {
    const points = makePoints(n, 1);
    const runs = (m: number) =>
      Array.from({ length: 10 }, (_, seed) => descend(points, drawWeights(m, points.d, "standard", seed), 100));
    expect(runs(16).filter((run) => run.exploded)).toEqual([]);
    expect(runs(128).filter((run) => run.exploded && run.steps <= 20)).toHaveLength(10);
  });

  test.each([10, 100])("n = %i: the convex program is solved, below what gradient descent reaches", async (n) => {
    const points = makePoints(n, 1);
    const { certificate, status, model } = await convexFit(points, 1);
    const run = descend(points, drawWeights(64, points.d, "glorot", 1), 300);
    expect(status).toBe("solved");
    expect(certificate.relativeGap).toBeLessThanOrEqual(1e-3);
    expect(run.objective).toBeGreaterThan(certificate.network);
    model.dispose();
  });
});
