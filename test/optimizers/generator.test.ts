import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { discriminated, linearGenerators } from "../../src/convex/matrices/index.js";
import { type GeneratorOptions, trainGenerator } from "../../src/index.js";
import { resample } from "../../src/optimizers/matrices/resample.js";
import { gaussianMatrix } from "../helpers/problems.js";
import reference from "../reference/deep.json" with { type: "json" };

beforeAll(async () => {
  await tf.setBackend("cpu");
});

function tensorOf(rows: number, cols: number, seed: number): tf.Tensor2D {
  return tf.tensor2d(Float32Array.from(gaussianMatrix(rows, cols, seed).data), [rows, cols]);
}

/** Rows that a model generates, in float64. */
function rowsOf(model: tf.Sequential, z: tf.Tensor, cols: number) {
  const predicted = model.predict(z) as tf.Tensor;
  const data = Float64Array.from(predicted.dataSync());
  predicted.dispose();
  return { rows: z.shape[0], cols, data };
}

describe("trainGenerator", () => {
  test.each(reference.generators)(
    "beta $beta: least mean square as the conic solver has it, weights below all descents",
    async (stored) => {
      const { images, latents, beta, trace, weights, rank } = stored;
      const [z, x] = [tf.tensor2d(latents), tf.tensor2d(images)];
      const tensors = tf.memory().numTensors;
      const { model, certificate, stages } = await trainGenerator(z, x, { regularization: beta });
      expect(certificate.primal / trace).toBeCloseTo(1, 6);
      expect(certificate.dual / trace).toBeCloseTo(1, 6);
      expect(certificate.relativeGap).toBeLessThan(1e-8);
      expect(certificate.weights.primal / certificate.weights.dual).toBeCloseTo(1, 9);
      // The descents have a penalty in place of the constraint, which leaves them that much below.
      expect(weights / certificate.weights.dual).toBeGreaterThan(1 - 1e-3);
      expect(weights / certificate.weights.dual).toBeLessThan(1 + 1e-3);
      const [kernel] = model.getWeights().map((weight) => [...weight.dataSync()]);
      expect(kernel.reduce((sum, w) => sum + w * w, 0) / certificate.weights.primal).toBeCloseTo(1, 5);
      const X = { rows: images.length, cols: 4, data: Float64Array.from(images.flat()) };
      const seen = discriminated(X, rowsOf(model, z, 4), "quadratic");
      expect(seen).toBeLessThanOrEqual(beta * (1 + 1e-5));
      expect(seen / certificate.discriminated).toBeCloseTo(1, 4);
      expect(stages[0].rank).toBe(rank);
      model.dispose();
      expect(tf.memory().numTensors).toBe(tensors);
      tf.dispose([z, x]);
    },
  );

  test("images diag(s): what is generated has second moments s^2 less beta", async () => {
    // Rows +-s_k e_k have the mean 0 and the second moments s_k^2 / 3.
    const s = [3, 2, 1];
    const rows = s.flatMap((size, k) => [1, -1].map((sign) => [0, 1, 2].map((p) => (p === k ? sign * size : 0))));
    const [x, z] = [tf.tensor2d(rows), tensorOf(40, 3, 1)];
    const { model, certificate } = await trainGenerator(z, x, { regularization: 0.5 });
    expect(certificate.primal).toBeCloseTo(9 / 3 - 0.5 + 4 / 3 - 0.5, 6);
    model.dispose();
    tf.dispose([x, z]);
  });

  test("no generator of random weights that the discriminator accepts has less", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 1e4 }),
        fc.double({ min: 0.3, max: 3, noNaN: true }),
        async (seed, size) => {
          const [Z, X] = [gaussianMatrix(30, 3, seed), gaussianMatrix(50, 3, seed + 1)];
          const problem = { Z, X, discriminator: "quadratic" as const, beta: 0.4 };
          const { gap, weights } = await linearGenerators
            .build(problem)
            .solve(undefined as never, { tolerance: 1e-9, maxIterations: 1, seconds: 1 });
          const W = gaussianMatrix(3, 3, seed + 2).data.map((value) => size * value);
          const G = Float64Array.from({ length: 90 }, (_, k) =>
            [0, 1, 2].reduce((sum, p) => sum + Z.data[Math.floor(k / 3) * 3 + p] * W[3 * p + (k % 3)], 0),
          );
          const generated = { rows: 30, cols: 3, data: G };
          if (discriminated(X, generated, "quadratic") > problem.beta) return;
          const means = [0, 1, 2].map((p) => G.reduce((sum, g, k) => sum + (k % 3 === p ? g / 30 : 0), 0));
          const spread = G.reduce((sum, g, k) => sum + (g - means[k % 3]) ** 2 / 30, 0);
          expect(spread).toBeGreaterThanOrEqual(gap.dual * (1 - 1e-9));
          expect(W.reduce((sum, w) => sum + w * w, 0)).toBeGreaterThanOrEqual(weights.dual * (1 - 1e-9));
        },
      ),
      { numRuns: 300 },
    ));

  test("stages: a layer for each side, images of the last, and each stage is accepted at its resolution", async () => {
    const x = tf.randomUniform([60, 8, 8, 2], 0, 1, "float32", 3);
    const z = tensorOf(50, 5, 4);
    const { model, stages } = await trainGenerator(z, x, { sides: [3, 4, 8] });
    expect(model.layers.map((layer) => layer.getClassName())).toEqual(["Dense", "Dense", "Dense", "Reshape"]);
    expect(model.outputs[0].shape).toEqual([null, 8, 8, 2]);
    expect(stages.map(({ side }) => side)).toEqual([3, 4, 8]);
    for (const { certificate, rank } of stages) {
      expect(rank).toBe(5);
      expect(certificate.relativeGap).toBeLessThan(1e-8);
      expect(certificate.discriminated).toBeLessThanOrEqual(certificate.beta * (1 + 1e-5));
    }
    model.dispose();
    tf.dispose([x, z]);
  });

  test("a ReLU generator in two steps: each has its certificate, and what a discriminator sees is told of the rows themselves", async () => {
    const [z, x] = [tensorOf(30, 3, 1), tensorOf(60, 6, 2)];
    const tensors = tf.memory().numTensors;
    const { model, certificate, second, status } = await trainGenerator(z, x, {
      generator: "relu",
      rank: 2,
      units: 24,
      timeLimit: 8,
    });
    expect(certificate.relativeGap).toBeLessThan(1e-8);
    expect(second?.certificate.claim).toMatch(/No network/);
    expect(second?.certificate.relativeGap).toBeLessThan(0.2);
    expect(["solved", "stalled", "timeLimit", "widthLimit", "slowed"]).toContain(status);
    const X = { rows: 60, cols: 6, data: Float64Array.from(x.dataSync()) };
    const seen = discriminated(X, rowsOf(model, z, 6), "quadratic");
    expect(seen / (second?.discriminated ?? 0)).toBeCloseTo(1, 4);
    expect(seen).toBeLessThan(1.1 * certificate.beta);
    model.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
    tf.dispose([z, x]);
  });

  test("where all gates are there the second step is proven optimal, as wide as it has to be; held to fewer units it is dearer, its bound loose", async () => {
    const [z, x] = [tensorOf(10, 2, 3), tensorOf(50, 6, 5)];
    const tensors = tf.memory().numTensors;
    const options: GeneratorOptions = { generator: "relu", rank: 2, decay: 0.01, tolerance: 2e-3 };
    const wide = await trainGenerator(z, x, options);
    expect(wide.second?.certificate.scope).toBe("all gates");
    expect(wide.second?.certificate.relativeGap).toBeLessThan(2e-3);
    expect(wide.model.layers[0].getConfig().units).toBe(wide.second?.neurons);
    const narrow = await trainGenerator(z, x, { ...options, units: 5 });
    expect(narrow.second?.neurons).toBeLessThanOrEqual(5);
    expect(narrow.second?.objective.total).toBeGreaterThan(wide.second?.certificate.dual ?? Number.NaN);
    expect(narrow.second?.certificate.dual).toBeLessThanOrEqual(wide.second?.objective.total ?? Number.NaN);
    expect(narrow.second?.certificate.relativeGap).toBeGreaterThan(0.01);
    for (const { model } of [wide, narrow]) model.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
    tf.dispose([z, x]);
  });

  test("against a linear discriminator one row is generated, as near to zero as the mean allows", async () => {
    const x = tf.tidy(() => tf.add(tensorOf(40, 3, 1), [3, 0, 4]));
    const z = tensorOf(10, 2, 2);
    const { model, certificate } = await trainGenerator(z, x, { discriminator: "linear", regularization: 1 });
    const rows = rowsOf(model, z, 3).data;
    expect(rows.slice(0, 3)).toEqual(rows.slice(27));
    expect(certificate.discriminated).toBeCloseTo(1, 5);
    expect(Math.sqrt(certificate.primal) + 1).toBeCloseTo(Math.hypot(...tf.tidy(() => tf.mean(x, 0).dataSync())), 5);
    model.dispose();
    tf.dispose([x, z]);
  });
});

test("images at a lower resolution keep their means, whatever the sides", () =>
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), (from, to) => {
      fc.pre(to <= from);
      const X = gaussianMatrix(2, from * from * 2, from);
      const small = resample(X, [from, from, 2], [to, to, 2]);
      for (let k = 0; k < 2; k++) {
        const mean = (data: Float64Array, cols: number) =>
          data.subarray(k * cols, (k + 1) * cols).reduce((sum, value) => sum + value / cols, 0);
        expect(mean(small.data, small.cols)).toBeCloseTo(mean(X.data, X.cols), 12);
      }
    }),
  ));

const wrong: [name: string, options: object, says: RegExp][] = [
  ["too few latents", { regularization: 1e-6 }, /latents of as many directions .*, 16, got 3.*more columns/],
  [
    "both of rank and regularization",
    { regularization: 1, rank: 2 },
    /rank: expected either a rank or a regularization/,
  ],
  ["a rank of none", { rank: 0 }, /rank: expected an integer of at least 1, got 0/],
  ["an unknown discriminator", { discriminator: "deep" }, /"quadratic" or "linear", got "deep"/],
  ["sides that do not end at the images'", { sides: [2, 3] }, /the images' own side, 4, as the last, got 3/],
  ["sides that do not grow", { sides: [2, 2, 4] }, /sides: expected an integer of 3 to 4, got 2/],
  ["stages of ReLU", { sides: [2, 4], generator: "relu" }, /stages of linear generators alone/],
  [
    "a linear discriminator without regularization",
    { discriminator: "linear" },
    /a finite number above 0 for a linear/,
  ],
  ["ReLU units with nothing to learn", { regularization: 100, generator: "relu" }, /directions to generate.*Lower it/],
  ["an unknown option", { stages: 3 }, /expected options among .* got "stages"/],
];
test.each(wrong)("trainGenerator refuses %s", async (_, options, says) => {
  const [z, x] = [tensorOf(20, 3, 1), tf.randomNormal([30, 4, 4, 1], 0, 1, "float32", 2)];
  const tensors = tf.memory().numTensors;
  await expect(trainGenerator(z, x, options as GeneratorOptions)).rejects.toThrow(says);
  expect(tf.memory().numTensors).toBe(tensors);
  tf.dispose([z, x]);
});

test("trainGenerator refuses images without rows to compare, and ones of three dimensions", async () => {
  const [z, one, flat] = [tensorOf(20, 3, 1), tensorOf(1, 4, 2), tf.zeros([5, 4, 4])];
  await expect(trainGenerator(z, one)).rejects.toThrow(/at least 2 rows, got 20 of latents and 1 of images/);
  await expect(trainGenerator(z, flat)).rejects.toThrow(/images of shape/);
  await expect(trainGenerator(z, null as never)).rejects.toThrow(/images to be a tf.Tensor/);
  tf.dispose([z, one, flat]);
});
