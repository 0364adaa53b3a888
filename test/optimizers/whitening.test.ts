import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { referenceKernels } from "../../src/convex/kernels/index.js";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { ConvexReLUTrainer } from "../../src/index.js";
import type { Dataset } from "../../src/optimizers/read/data.js";
import { type NetworkSpec, readModel } from "../../src/optimizers/read/model.js";
import { white, whitened } from "../../src/optimizers/read/normalization/index.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const l2 = () => tf.regularizers.l2({ l2: 0.01 });

function modelOf(inputs: number, units = 20): tf.Sequential {
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units, inputShape: [inputs] }),
      tf.layers.batchNormalization({ gammaRegularizer: l2(), betaRegularizer: l2() }),
      tf.layers.reLU(),
      tf.layers.dense({ units: 1, kernelRegularizer: l2() }),
    ],
  });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  return model;
}

function specOf(inputs: number): NetworkSpec {
  const model = modelOf(inputs, 2);
  const spec = readModel(model, null, "fit");
  model.dispose();
  return spec;
}

const datasetOf = (rows: number, cols: number, data: Float64Array): Dataset => ({
  x: { rows, cols, data },
  y: { rows, cols: 1, data: new Float64Array(rows) },
  weights: null,
});

describe("white rows", () => {
  /** Rows of `independent` drawn columns in units of their own, with a constant, a copy and a sum beside them, as float32 has them. */
  function table(seed: number, n: number, independent: number): { data: Dataset; cols: number } {
    const draw = gaussianSource(seed);
    const cols = independent + 3;
    const units = Array.from({ length: independent }, (_, p) => ({ scale: 10 ** ((p * 3) % 10), offset: 10 * draw() }));
    const data = new Float64Array(n * cols);
    for (let k = 0; k < n; k++) {
      const row = units.map(({ scale, offset }) => Math.fround(scale * (draw() + offset)));
      data.set([...row, 7, row[0], Math.fround(row[0] + row[1])], k * cols);
    }
    return { data: datasetOf(n, cols, data), cols };
  }

  test.each([
    { n: 60, independent: 5, rank: 5 },
    { n: 80, independent: 40, rank: 40 },
    { n: 20, independent: 30, rank: 19 },
  ])(
    "are orthogonal, of mean 0 and variance 1, as many as columns in whatever units tell anything: $n x $independent",
    async ({ n, independent, rank }) => {
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 0, max: 1000 }), async (seed) => {
          const { data, cols } = table(seed, n, independent);
          let turns = 0;
          const pause = async () => ++turns;
          const spec = await whitened(specOf(cols), data, referenceKernels, pause);
          expect(turns).toBeGreaterThan(0);
          const { x } = await white(data, spec, referenceKernels, pause);
          expect([x.rows, x.cols, spec.inputs]).toEqual([n, rank, rank]);
          for (let i = 0; i < rank; i++) {
            for (let j = 0; j <= i; j++) {
              let [mean, product] = [0, 0];
              for (let k = 0; k < n; k++) {
                mean += x.data[k * rank + i] / n;
                product += (x.data[k * rank + i] * x.data[k * rank + j]) / n;
              }
              expect(Math.abs(mean)).toBeLessThan(1e-7);
              expect(Math.abs(product - (i === j ? 1 : 0))).toBeLessThan(1e-7);
            }
          }
        }),
        { numRuns: 8 },
      );
    },
  );
});

test("units of measurement change nothing of a normalised network: neither the optimum nor what it predicts", async () => {
  const draw = gaussianSource(3);
  const rows = Array.from({ length: 24 }, () => [draw(), draw(), draw()]);
  const y = tf.tensor2d(rows.map(([a, b, c]) => [Math.abs(a) - Math.max(0, b) + 0.3 * c]));
  const found = [];
  // Powers of two, so that float32 rounds alike.
  for (const scales of [
    [1, 1, 1],
    [2 ** 30, 2 ** -20, 1],
  ]) {
    const x = tf.tensor2d(rows.map((row) => row.map((value, p) => value * scales[p])));
    const model = modelOf(3);
    const options = { tolerance: 1e-5, arrangements: { kind: "enumerate" } } as const;
    const { certificate, status } = await new ConvexReLUTrainer(options).fit(model, x, y);
    expect(status).toBe("solved");
    const predicted = tf.tidy(() => (model.predict(x) as tf.Tensor).dataSync());
    found.push({ certificate, predicted });
    tf.dispose([x]);
    model.dispose();
  }
  const [one, other] = found;
  expect(other.certificate.primal / one.certificate.primal).toBeCloseTo(1, 4);
  expect(other.certificate.network / one.certificate.network).toBeCloseTo(1, 4);
  one.predicted.forEach((value, k) => void expect(other.predicted[k]).toBeCloseTo(value, 2));
  y.dispose();
});
