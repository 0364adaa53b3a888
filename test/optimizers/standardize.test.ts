import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { ConvexReLUTrainer, certify, optimalSet } from "../../src/index.js";
import { makeData, makeModel } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const gates = { kind: "sample", count: 40, seed: 1 } as const;
const trainer = (options: object = {}) =>
  new ConvexReLUTrainer({ arrangements: gates, tolerance: 1e-8, width: "resize", ...options });

/** Columns as they are times a scale, plus an offset; powers of two, so that float32 holds the products. */
function moved(x: tf.Tensor2D, scales: readonly number[], offsets: readonly number[]): tf.Tensor2D {
  return tf.tidy(() => x.mul(tf.tensor1d([...scales])).add(tf.tensor1d([...offsets])) as tf.Tensor2D);
}

/** x rounded to multiples of 1 / 16, so that an offset changes no digit. */
function coarse(x: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => x.mul(16).round().div(16) as tf.Tensor2D);
}

/** Means and standard deviations of the columns. */
function moments(x: tf.Tensor2D): { mean: number[]; spread: number[] } {
  const rows = x.arraySync();
  const mean = rows[0].map((_, p) => rows.reduce((sum, row) => sum + row[p], 0) / rows.length);
  const spread = mean.map((m, p) => Math.sqrt(rows.reduce((sum, row) => sum + (row[p] - m) ** 2, 0) / rows.length));
  return { mean, spread };
}

describe.each(["relu", "gated"] as const)("a %s model without regularizers", (formulation) => {
  test("units of measurement do not matter: any scale and offset of each column leave objective and predictions", async () => {
    const { x: given, y } = makeData();
    const x = coarse(given);
    const options = { arrangements: gates, regularization: "share" } as const; // rows held out choose between betas that are as good
    const one = makeModel({ formulation });
    const plain = await trainer(options).fit(one, x, y);
    const scale = fc.integer({ min: -20, max: 40 }).map((k) => 2 ** k);
    const offset = fc.integer({ min: -500, max: 500 });
    await fc.assert(
      fc.asyncProperty(fc.tuple(scale, scale, scale), fc.tuple(offset, offset, offset), async (scales, offsets) => {
        const X = moved(
          x,
          scales,
          scales.map((s, p) => s * offsets[p]),
        );
        const model = makeModel({ formulation });
        const result = await trainer(options).fit(model, X, y);
        expect(result.certificate.primal / plain.certificate.primal).toBeCloseTo(1, 6);
        const [a, b] = [plain.model.predict(x) as tf.Tensor, result.model.predict(X) as tf.Tensor];
        expect(a.sub(b).abs().max().dataSync()[0]).toBeLessThan(2e-3); // float32 of an offset of 500
        tf.dispose([X, a, b]);
        result.model.dispose();
      }),
      { numRuns: 6, seed: 3 },
    );
    tf.dispose([given, x, y]);
  });

  test.each([true, false])(
    "is charged what a fit of columns that were standardised by hand is charged (hidden bias %s)",
    async (hiddenBias) => {
      const { x: given, y } = makeData();
      const x = moved(given, [0.5, 30, 4], hiddenBias ? [3, -100, 8] : [0, 0, 0]);
      const { mean, spread } = moments(x);
      const rows = x.arraySync();
      const sizes = hiddenBias
        ? spread
        : mean.map((_, p) => Math.sqrt(rows.reduce((sum, row) => sum + row[p] ** 2, 0) / rows.length));
      const widest = Math.max(...sizes);
      const byHand = tf.tensor2d(
        rows.map((row) => row.map((v, p) => ((v - (hiddenBias ? mean[p] : 0)) / sizes[p]) * widest)),
      );
      const model = makeModel({ formulation, hiddenBias });
      const ours = await trainer().fit(model, x, y);
      const { beta } = ours.regularization;
      const theirs = await trainer({ regularization: beta }).fit(makeModel({ formulation, hiddenBias }), byHand, y);
      expect(ours.regularization.standardized).toBe(true);
      expect(theirs.regularization.standardized).toBe(false);
      // The layer's gates are drawn, and these fits draw their own: the same for both.
      expect(ours.certificate.primal / theirs.certificate.primal).toBeCloseTo(1, 5);
      tf.dispose([given, x, y, byHand]);
    },
  );

  test("the objective is what evaluate says plus the charge of the weights as written, by hand", async () => {
    const { x: given, y } = makeData();
    const x = moved(given, [1, 100, 1], [5, 0, -300]);
    const result = await trainer().fit(makeModel({ formulation }), x, y);
    const { objective, certificate, regularization, problem, model } = result;
    const { mean, spread } = moments(x);
    const widest = Math.max(...spread);
    const hidden = model.layers[0].getWeights().map((weight) => weight.arraySync());
    const [kernel, bias] = hidden as [number[][], number[]];
    const output = model.layers[1].getWeights()[0].arraySync() as number[][];
    let charge = 0;
    bias.forEach((b, j) => {
      const moved = b + mean.reduce((sum, m, p) => sum + m * kernel[p][j], 0);
      charge += (moved / problem.column.value) ** 2 + output[j][0] ** 2;
      spread.forEach((s, p) => {
        charge += ((kernel[p][j] * s) / widest) ** 2;
      });
    });
    expect(objective.regularization).toBeCloseTo((regularization.beta / 2) * charge, 9);
    expect(objective.total).toBe(certificate.network);
    const loss = tf.tidy(() => (model.evaluate(x, y, { batchSize: 30 }) as tf.Scalar).dataSync()[0]);
    expect(loss).toBeCloseTo(objective.loss, 4);
    expect(certificate.network / certificate.primal).toBeCloseTo(1, 4);
    expect(result.notes.join(" ")).toMatch(/standardised columns/);
    tf.dispose([given, x, y]);
    model.dispose();
  });
});

test("a certificate of the written model, a warm start, the optimal set and the path speak of the same objective", async () => {
  const { x: given, y } = makeData("meanSquaredError", 20);
  const x = moved(given, [1, 1000, 0.01], [2000, 0, 0]);
  const result = await trainer({ regularization: undefined }).fit(makeModel(), x, y);
  const { beta } = result.regularization;
  const proven = await certify(result.model, x, y, { regularization: beta, standardize: true });
  expect(proven.certificate.network / result.certificate.network).toBeCloseTo(1, 6);
  const again = await new ConvexReLUTrainer({ regularization: beta, tolerance: 1e-8, width: "resize" }).fit(
    makeModel(),
    x,
    y,
    {
      warmStart: result,
    },
  );
  expect(again.regularization.standardized).toBe(true);
  expect(again.certificate.primal / result.certificate.primal).toBeCloseTo(1, 6);
  const set = await optimalSet(result);
  const small = set.modelOf(set.fewest());
  const loss = tf.tidy(() => (small.evaluate(x, y, { batchSize: 20 }) as tf.Scalar).dataSync()[0]);
  expect(loss).toBeCloseTo(result.objective.loss, 4);
  const { points } = await trainer({ standardize: true }).path(makeModel(), x, y, { betas: [beta] });
  expect(points[0].certificate.primal / result.certificate.primal).toBeCloseTo(1, 6);
  tf.dispose([given, x, y]);
});

describe("constant columns", () => {
  const withColumn = (x: tf.Tensor2D, value: number) =>
    tf.tidy(() => tf.concat([x, tf.fill([x.shape[0], 1], value)], 1) as tf.Tensor2D);

  test("change nothing where columns are standardised, and a note names them", async () => {
    const { x, y } = makeData();
    const X = withColumn(x, 20);
    const without = await trainer().fit(makeModel(), x, y);
    const result = await trainer().fit(makeModel({ inputs: 4 }), X, y);
    expect(result.certificate.primal / without.certificate.primal).toBeCloseTo(1, 6);
    expect(result.notes.join(" ")).toMatch(/Column 3 of x is constant/);
    tf.dispose([x, y, X]);
  });

  test("beside regularizers are one with the bias: a column c and one of t charge as one of sqrt(c^2 + t^2) does", async () => {
    const { x, y } = makeData();
    const X = withColumn(x, 2);
    const arrangements = { kind: "grow" } as const;
    const both = await trainer({ arrangements, tolerance: 1e-6 }).fit(makeModel({ inputs: 4, l2: 0.01 }), X, y);
    // t = 1 with equal factors; g b^2 over sqrt(5) is what both together are charged.
    const alone = await trainer({ arrangements, tolerance: 1e-6 }).fit(makeModel({ l2: 0.01, biasL2: 0.002 }), x, y);
    expect(both.certificate.primal / alone.certificate.primal).toBeCloseTo(1, 3);
    tf.dispose([x, y, X]);
  });
});

describe("a beta that is given charges the layers' own weights, also far from the origin", () => {
  // A lasso over knots on a grid, by cvxpy (Clarabel), of centred x.
  test.each([
    [20000, 0.0502081],
    [200000, 0.0502198],
    [2000000, 0.050221],
  ])("offset %d: all arrangements of one feature, the optimum is %d", async (offset, optimum) => {
    const draw = mulberry(5);
    const base = Array.from({ length: 40 }, (_, k) => k);
    const y = tf.tensor2d(base.map((v) => [3 * Math.sin(v / 6) + 0.2 * draw()]));
    const x = tf.tensor2d(base.map((v) => [v + offset]));
    const result = await new ConvexReLUTrainer({ width: "resize", regularization: 0.01 }).fit(
      makeModel({ inputs: 1 }),
      x,
      y,
    );
    expect(result.certificate.primal / optimum).toBeCloseTo(1, 3);
    expect(result.certificate.dual).toBeLessThanOrEqual(optimum * (1 + 1e-5));
    expect(result.certificate.relativeGap).toBeLessThan(1e-3);
    tf.dispose([x, y]);
    result.model.dispose();
  });

  /** Normal draws as the case had them. */
  function mulberry(seed: number): () => number {
    let a = seed >>> 0;
    const u = () => {
      a = (a + 0x6d2b79f5) | 0;
      let t = Math.imul(a ^ (a >>> 15), 1 | a);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    return () => Math.sqrt(-2 * Math.log(1 - u())) * Math.cos(2 * Math.PI * u());
  }

  test("an offset of 300 spreads in one of three columns: as good as the network of centred columns carried over", async () => {
    const { x: given, y } = makeData("meanSquaredError", 40);
    const offset = 300;
    const x = moved(given, [1, 1, 1], [0, 0, offset]);
    const options = { arrangements: { kind: "grow" }, tolerance: 1e-4, regularization: 0.005 } as const;
    const [far, near] = [
      await trainer(options).fit(makeModel({ units: 1 }), x, y),
      await trainer(options).fit(makeModel({ units: 1 }), given, y),
    ];
    const [kernel, bias, output] = near.model.getWeights().map((weight) => weight.dataSync());
    const m = bias.length;
    let carried = near.objective.loss;
    for (let j = 0; j < m; j++) {
      const length = Math.hypot(
        kernel[j],
        kernel[m + j],
        kernel[2 * m + j],
        (bias[j] - offset * kernel[2 * m + j]) / far.problem.column.value,
      );
      carried += 0.005 * length * Math.abs(output[j]);
    }
    expect(far.certificate.primal).toBeLessThan(carried * 1.002);
    tf.dispose([given, x, y]);
  });
});

describe("the option standardize", () => {
  test.each([
    [{ rank: 2 }, {}, "options/value", /no rank/],
    [{ pca: 2 }, {}, "options/value", /no pca/],
    [{}, { l2: 0.01 }, "model/regularizer", /without l2 regularizers/],
    [{ regularization: "interpolate" }, {}, "options/value", /loss with regularization/],
  ] as const)("true beside %o and %o is refused", async (options, shape, code, says) => {
    const { x, y } = makeData();
    const model = makeModel(shape);
    await expect(new ConvexReLUTrainer({ standardize: true, ...options }).fit(model, x, y)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(says),
    });
    tf.dispose([x, y]);
    model.dispose();
  });

  test("false charges the layers' own weights", async () => {
    const { x, y } = makeData();
    const result = await trainer({ standardize: false }).fit(makeModel(), x, y);
    expect(result.regularization.standardized).toBe(false);
    expect(result.notes.join(" ")).not.toMatch(/standardised/);
    tf.dispose([x, y]);
  });
});

test("a note names row and column of an outlier that owns its column, and no dummy", async () => {
  const rows = Array.from({ length: 30 }, (_, k) => [Math.sin(k), k === 7 ? -999 : Math.cos(k), k === 3 ? 1 : 0]);
  const x = tf.tensor2d(rows);
  const y = tf.tensor2d(rows.map(([a]) => [a * a]));
  const { notes } = await trainer().fit(makeModel(), x, y);
  expect(notes.join(" ")).toMatch(/-999\.0 in row 7, column 1 of x/);
  expect(notes.join(" ")).not.toMatch(/column 2/);
  tf.dispose([x, y]);
});
