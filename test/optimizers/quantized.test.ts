import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { lossNames } from "../../src/convex/losses/index.js";
import { polynomial, type QuantizedOptions, registerLayers, trainQuantized } from "../../src/index.js";
import { makeData, saveAndLoad } from "../helpers/models.js";
import { objectiveOf } from "../helpers/objective.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

describe("trainQuantized", () => {
  test.each(lossNames)(
    "writes frozen weights -1 and 1 that attain the optimum of all such networks (%s)",
    async (loss) => {
      const { x, y } = makeData(loss, 24, 3);
      const tensors = tf.memory().numTensors;
      const options = { loss, regularization: 0.05, tolerance: 1e-4 };
      const { model, certificate, objective, status, units, packed } = await trainQuantized(x, y, options);
      expect(status).toBe("solved");
      expect(certificate.enumerated).toBe(true);
      expect(certificate.relativeGap).toBeLessThanOrEqual(1e-4);
      expect(certificate.bound).toBeLessThanOrEqual(certificate.network);
      expect(certificate.ratio).toBeLessThan(1.7823);
      expect(Math.abs(objectiveOf(model, x, y) / objective.total - 1)).toBeLessThan(1e-6);
      expect(objective.total / certificate.primal).toBeCloseTo(1, 5);
      const [kernel, bias] = model.layers[0].getWeights();
      expect([...kernel.dataSync(), ...bias.dataSync()].every((value) => Math.abs(value) === 1)).toBe(true);
      expect(model.layers[0].trainable).toBe(false);
      expect(packed.hiddenBits).toBe(2 * units * 4);
      expect(packed.bytes).toBeLessThan(packed.float32Bytes);
      model.dispose();
      expect(tf.memory().numTensors).toBe(tensors);
      tf.dispose([x, y]);
    },
  );

  test("without enumeration it ends with a bound, says so, and claims no optimum", async () => {
    const { x, y } = makeData("meanSquaredError", 30, 3);
    const options = { loss: "meanSquaredError", regularization: 0.02, enumerate: false, tolerance: 1e-6 } as const;
    const { model, certificate, status, advice } = await trainQuantized(x, y, options);
    expect(certificate.enumerated).toBe(false);
    expect(certificate.dual).toBe(certificate.bound);
    expect(status).toBe("stalled");
    expect(advice).toMatch(/bound is of a relaxation/);
    expect(certificate.claim).toMatch(/and the best one has at most/);
    const all = await trainQuantized(x, y, { ...options, enumerate: true });
    expect(all.certificate.network).toBeLessThanOrEqual(certificate.network * (1 + 1e-6));
    expect(all.certificate.network).toBeGreaterThanOrEqual(certificate.bound);
    for (const made of [model, all.model]) made.dispose();
    tf.dispose([x, y]);
  });

  test("polynomial units and more levels are ordinary models: saved and loaded they predict the same", async () => {
    registerLayers();
    const { x, y } = makeData("meanSquaredError", 20, 2);
    for (const more of [{ activation: polynomial(0.09, 0.5, 0.47) }, { levels: 4 as const }]) {
      const { model } = await trainQuantized(x, y, { loss: "meanSquaredError", regularization: 0.05, ...more });
      const values = new Set(model.layers[0].getWeights()[0].dataSync());
      expect([...values].every((value) => [1, 3].slice(0, "levels" in more ? 2 : 1).includes(Math.abs(value)))).toBe(
        true,
      );
      const loaded = await saveAndLoad(model);
      const [before, after] = [model, loaded].map((m) => Array.from((m.predict(x) as tf.Tensor).dataSync()));
      expect(after).toEqual(before);
      model.dispose();
      loaded.dispose();
    }
    tf.dispose([x, y]);
  });
});

const wrong: [name: string, options: object, says: RegExp][] = [
  ["no regularization", { regularization: 0 }, /regularization: expected a finite number above 0, .* got 0/],
  ["an unknown activation", { activation: "relu" }, /activation: expected "bilinear" or .* got "relu"/],
  ["a constant activation", { activation: { a: 0, b: 0, c: 1 } }, /a polynomial that is no constant/],
  ["three levels", { levels: 3 }, /levels: expected 2, 4 or 8, got 3/],
  ["no samples", { samples: 0 }, /samples: expected an integer of 1 to 100000, got 0/],
  ["an unknown option", { units: 3 }, /trainQuantized: expected options among .* got "units"/],
];
test.each(wrong)("trainQuantized refuses %s", async (_, options, says) => {
  const { x, y } = makeData("hinge", 20, 2);
  const tensors = tf.memory().numTensors;
  const given = { loss: "hinge", regularization: 0.1, ...options } as QuantizedOptions;
  await expect(trainQuantized(x, y, given)).rejects.toThrow(says);
  expect(tf.memory().numTensors).toBe(tensors);
  tf.dispose([x, y]);
});

test("trainQuantized refuses more features than its relaxation takes", async () => {
  const { x, y } = makeData("meanSquaredError", 4, 320);
  const given = { loss: "meanSquaredError", regularization: 0.1 } as const;
  await expect(trainQuantized(x, y, given)).rejects.toThrow(/at most 600 rows .* got 642.*Drop columns/);
  tf.dispose([x, y]);
});
