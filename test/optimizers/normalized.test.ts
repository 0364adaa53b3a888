import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { ConvexReLUTrainer, certify, describeNetwork, joinNetworks, lossSurface, optimalSet } from "../../src/index.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

interface Wish {
  readonly beta?: number; // 0: no regularizers
  readonly center?: boolean;
  readonly units?: number;
  readonly leaky?: boolean;
}

/** dense, batch normalisation, ReLU, dense; charged on gamma, beta and the read-out. */
function modelOf({ beta = 0.02, center = true, units = 30, leaky = false }: Wish = {}): tf.Sequential {
  const l2 = () => (beta === 0 ? {} : { l2: tf.regularizers.l2({ l2: beta / 2 }) }).l2 as never;
  const seeded = { kernelInitializer: tf.initializers.glorotNormal({ seed: 3 }) };
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units, inputShape: [2], ...seeded }),
      tf.layers.batchNormalization({ center, gammaRegularizer: l2(), ...(center ? { betaRegularizer: l2() } : {}) }),
      leaky ? tf.layers.leakyReLU() : tf.layers.reLU(),
      tf.layers.dense({ units: 1, kernelRegularizer: l2(), ...seeded }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(0.02), loss: "meanSquaredError" });
  return model;
}

function dataOf(rows = 16, from = 0): { x: tf.Tensor2D; y: tf.Tensor2D } {
  const x = Float32Array.from(
    { length: rows * 2 },
    (_, k) => 3 + Math.sin(1 + (k + from) * 12.9898) * (k % 2 === 0 ? 2 : 0.3),
  );
  const y = Float32Array.from({ length: rows }, (_, k) => Math.abs(x[2 * k] - 3) - 2 * Math.max(0, x[2 * k + 1] - 3.1));
  return { x: tf.tensor2d(x, [rows, 2]), y: tf.tensor2d(y, [rows, 1]) };
}

const lossBy = (model: tf.LayersModel, x: tf.Tensor, y: tf.Tensor) =>
  tf.tidy(() => (model.evaluate(x, y, { batchSize: x.shape[0] }) as tf.Scalar).dataSync()[0]);
const chargeBy = (model: tf.LayersModel) =>
  tf.tidy(() => model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], 0));

describe("batch normalisation before the ReLU", () => {
  test.each([{}, { center: false }, { leaky: true }])(
    "%o: certify sees the network that fit has written, and bounds it by the same number",
    async (wish) => {
      const { x, y } = dataOf();
      const model = modelOf(wish);
      const result = await new ConvexReLUTrainer({ tolerance: 1e-6 }).fit(model, x, y);
      expect(result.status).toBe("solved");
      const { certificate, objective } = await certify(model, x, y);
      expect(certificate.scope).toBe("all gates");
      expect(certificate.network).toBeCloseTo(result.certificate.network, 5);
      expect(certificate.dual).toBeLessThanOrEqual(result.certificate.primal * (1 + 1e-9));
      expect(certificate.relativeGap).toBeLessThan(1e-2);
      expect(objective.total).toBeCloseTo(lossBy(model, x, y) + chargeBy(model), 5);
      tf.dispose([x, y]);
    },
  );

  test("certify bounds what model.fit has trained: no network of any statistics is below, and objective is the layers' own", async () => {
    const { x, y } = dataOf();
    const best = modelOf();
    const { certificate: least } = await new ConvexReLUTrainer({ tolerance: 1e-6 }).fit(best, x, y);
    const model = modelOf();
    await model.fit(x, y, { epochs: 60, batchSize: 16, verbose: 0 });
    const { certificate, objective, notes } = await certify(model, x, y, { tolerance: 1e-6 });
    expect(objective.total).toBeCloseTo(lossBy(model, x, y) + chargeBy(model), 4);
    expect(objective.loss).toBeCloseTo(lossBy(model, x, y), 4);
    expect(certificate.dual).toBeCloseTo(least.dual, 5);
    expect(certificate.network).toBeGreaterThan(least.dual);
    expect(notes.join(" ")).toMatch(/by the moving statistics/);
    tf.dispose([x, y]);
  });

  test("where it has no beta, moving means of other rows are refused by sentence", async () => {
    const { x, y } = dataOf();
    const other = dataOf(12, 300);
    const model = modelOf({ center: false });
    await new ConvexReLUTrainer().fit(model, x, y); // tfjs itself cannot train it
    await expect(certify(model, other.x, other.y)).rejects.toThrow(/moving means are those of these rows/);
    tf.dispose([other.x, other.y]);
    tf.dispose([x, y]);
  });

  test("a path has the objectives of fits at its betas, and writes a model that predicts them", async () => {
    const { x, y } = dataOf();
    const model = modelOf({ beta: 0 });
    const trainer = new ConvexReLUTrainer({ tolerance: 1e-5, standardize: false });
    const { points, write } = await trainer.path(model, x, y, { betas: [0.1, 0.02] });
    const alone = await new ConvexReLUTrainer({ tolerance: 1e-5 }).fit(modelOf({ beta: 0.02 }), x, y);
    // The path charges the hidden bias as fit does where no layer charges it, at a scale of its own.
    expect(points[1].certificate.relativeGap).toBeLessThan(1e-4);
    expect(points[1].objective.total).toBeLessThan(1.2 * alone.objective.total);
    write(points[1]);
    expect(lossBy(model, x, y)).toBeCloseTo(points[1].objective.loss, 5);
    tf.dispose([x, y]);
  });

  test("cross-validation whitens each fold by the rows that it trains on, and writes the best", async () => {
    const { x, y } = dataOf(24);
    const model = modelOf({ beta: 0 });
    const found = await new ConvexReLUTrainer().crossValidate(model, x, y, { betas: [0.3, 0.01], folds: 3 });
    expect(found.mean[1]).toBeLessThan(found.mean[0]);
    const last = found.path.points[found.path.points.length - 1];
    expect(lossBy(found.model, x, y)).toBeCloseTo(last.objective.loss, 5);
    tf.dispose([x, y]);
  });

  test("the optimal set has one objective, chooses by other rows as the model sees them, and writes layers", async () => {
    const { x, y } = dataOf();
    const other = dataOf(10, 500);
    const model = modelOf();
    const result = await new ConvexReLUTrainer({ tolerance: 1e-6 }).fit(model, x, y);
    const before = lossBy(model, other.x, other.y);
    const set = await optimalSet(result);
    const chosen = await set.choose(other.x, other.y);
    expect(chosen.objective).toBeCloseTo(result.objective.total, 6);
    set.write(model, chosen);
    expect(lossBy(model, x, y) + chargeBy(model)).toBeCloseTo(result.objective.total, 5);
    expect(lossBy(model, other.x, other.y)).toBeLessThanOrEqual(before + 1e-6);
    tf.dispose([x, y, other.x, other.y]);
  });

  test("describeNetwork folds it: contributions add up to what the model predicts", async () => {
    const { x, y } = dataOf();
    const model = modelOf();
    await model.fit(x, y, { epochs: 5, verbose: 0 });
    const { variance } = await describeNetwork(model, x);
    const predicted = Array.from((model.predict(x) as tf.Tensor).dataSync());
    const mean = predicted.reduce((sum, value) => sum + value / predicted.length, 0);
    expect(variance).toBeCloseTo(
      predicted.reduce((sum, value) => sum + (value - mean) ** 2 / predicted.length, 0),
      4,
    );
    tf.dispose([x, y]);
  });

  test("planes and joins of weights with statistics among them are refused by name", async () => {
    const { x, y } = dataOf();
    const model = modelOf();
    await expect(lossSurface(model, x, y)).rejects.toThrow(/no batch normalisation here/);
    await expect(joinNetworks(model, model, x, y)).rejects.toThrow(/no batch normalisation here/);
    tf.dispose([x, y]);
  });
});
