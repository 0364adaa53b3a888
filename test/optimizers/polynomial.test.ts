import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { descend } from "../../src/convex/linear/lbfgs.js";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { lossTraits } from "../../src/convex/losses/index.js";
import type { LossName } from "../../src/convex/types.js";
import { ConvexError, onesColumn, polynomial, trainConvexNN, trainPolynomial } from "../../src/index.js";
import { objectiveOf } from "../helpers/objective.js";
import { gaussianMatrix } from "../helpers/problems.js";
import reference from "../reference/polynomial_conv.json" with { type: "json" };

beforeAll(async () => {
  await tf.setBackend("cpu");
});

type Stored = (typeof reference)[number];

/** unitNorm over the axes of a filter, which the types of tfjs take for one number. */
const unitNorm = (axis: number | number[]) => tf.constraints.unitNorm({ axis: axis as number });

interface Changes {
  readonly filters?: number;
  readonly conv?: object;
  readonly last?: object;
  readonly between?: tf.layers.Layer[];
  readonly activation?: tf.layers.Layer;
}

/** The network class of a stored case as a model of `filters`. */
function modelOf(stored: Stored, { filters = 40, conv, last, between, activation }: Changes = {}): tf.Sequential {
  const { loss, a, b, c, size, stride, pool, beta, bias } = stored;
  const pools =
    pool === null
      ? [tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast" })]
      : [...(pool > 1 ? [tf.layers.averagePooling2d({ poolSize: pool, strides: pool })] : []), tf.layers.flatten()];
  const model = tf.sequential({
    layers: [
      tf.layers.conv2d({
        ...{ filters, kernelSize: size, strides: stride, useBias: false, kernelConstraint: unitNorm([0, 1, 2]) },
        inputShape: [stored.images[0].length, stored.images[0][0].length, stored.images[0][0][0].length],
        ...conv,
      }),
      activation ?? polynomial(a, b, c),
      ...(between ?? pools),
      tf.layers.dense({
        ...{ units: stored.y[0].length, useBias: bias, activation: lossTraits[loss as LossName].activation },
        kernelRegularizer: tf.regularizers.l1({ l1: beta }),
        ...last,
      }),
    ],
  });
  const name = loss === "huberLoss" ? (tf.losses.huberLoss as unknown as string) : loss;
  model.compile({ optimizer: "sgd", loss: name });
  return model;
}

const tensorsOf = (stored: Stored) => [tf.tensor4d(stored.images), tf.tensor2d(stored.y)] as const;

describe("quadratic convolutional networks", () => {
  test.each(reference)(
    "reach the conic solver's optimum in their own layers, which attain it: $loss, $a t^2 + $b t + $c, windows $pool",
    async (stored) => {
      const [x, y] = tensorsOf(stored);
      const model = modelOf(stored);
      const tensors = tf.memory().numTensors;
      const result = await trainPolynomial(model, x, y, { tolerance: 1e-6 });
      expect(tf.memory().numTensors).toBe(tensors);
      const { certificate, objective, status } = result;
      expect(result.model).toBe(model);
      expect(status).toBe("solved");
      expect(certificate.scope).toBe("all units");
      expect(certificate.primal / stored.optimum).toBeCloseTo(1, 5);
      expect(certificate.dual).toBeLessThanOrEqual(stored.optimum * (1 + 1e-7));
      expect(Math.abs(objective.total / certificate.primal - 1)).toBeLessThan(1e-6);
      expect(Math.abs(objectiveOf(model, x, y) / objective.total - 1)).toBeLessThan(1e-6);
      model.dispose();
      tf.dispose([x, y]);
    },
  );

  test("no descent of free filters from 25 starts ends below the bound", async () => {
    const stored = reference[0];
    const [x, y] = tensorsOf(stored);
    const model = modelOf(stored);
    const { certificate } = await trainPolynomial(model, x, y, { tolerance: 1e-6 });
    const draw = gaussianSource(3);
    const [n, side, m, f] = [stored.images.length, 4, 4, 4];
    // Outputs by loops over the image, and the gradient by differences: nothing of the library.
    const value = (theta: Float64Array) => {
      let loss = 0;
      for (let k = 0; k < n; k++) {
        let z = 0;
        for (let j = 0; j < m; j++) {
          const w = theta.subarray(j * f, (j + 1) * f);
          const length = Math.hypot(...w);
          for (let i = 0; i < side - 1; i++) {
            for (let l = 0; l < side - 1; l++) {
              let t = 0;
              for (let p = 0; p < f; p++) t += w[p] * stored.images[k][i + (p >> 1)][l + (p & 1)][0];
              z += (theta[m * f + j] * (t / length) ** 2) / (side - 1) ** 2;
            }
          }
        }
        loss += (z - stored.y[k][0]) ** 2 / n;
      }
      for (let j = 0; j < m; j++) loss += stored.beta * Math.abs(theta[m * f + j]);
      return loss;
    };
    const objective = (theta: Float64Array, gradient: Float64Array) => {
      for (let p = 0; p < theta.length; p++) {
        const [more, less] = [1e-6, -1e-6].map((by) => value(theta.map((entry, q) => (q === p ? entry + by : entry))));
        gradient[p] = (more - less) / 2e-6;
      }
      return value(theta);
    };
    let lowest = Number.POSITIVE_INFINITY;
    for (let start = 0; start < 25; start++) {
      const theta = Float64Array.from({ length: m * (f + 1) }, draw);
      lowest = Math.min(lowest, (await descend(objective, theta, 40, async () => false)).value);
    }
    expect(lowest).toBeGreaterThanOrEqual(certificate.dual);
    expect(lowest / certificate.primal).toBeLessThan(1.05);
    model.dispose();
    tf.dispose([x, y]);
  });

  test("too few filters are refused with how many it takes, weights as they were; width 'resize' returns a model that wide", async () => {
    const stored = reference[0];
    const [x, y] = tensorsOf(stored);
    const model = modelOf(stored, { filters: 1 });
    const before = model.getWeights().map((weight) => Array.from(weight.dataSync()));
    const error = await trainPolynomial(model, x, y).then(
      () => null,
      (thrown: ConvexError) => thrown,
    );
    expect(error?.code).toBe("model/units");
    expect(error?.message).toMatch(/at least \d+ filters .* got 1\..*resize/);
    expect(model.getWeights().map((weight) => Array.from(weight.dataSync()))).toEqual(before);
    const tensors = tf.memory().numTensors;
    const { model: wider, units, objective } = await trainPolynomial(model, x, y, { width: "resize" });
    expect(wider).not.toBe(model);
    expect(error?.message).toContain(`at least ${units} filters`);
    expect(wider.layers[0].getConfig().filters).toBe(units);
    expect(Math.abs(objectiveOf(wider, x, y) / objective.total - 1)).toBeLessThan(1e-6);
    wider.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
    model.dispose();
    tf.dispose([x, y]);
  });

  test("a signal in windows, padding, and ones as a channel are read as tfjs has them", async () => {
    const draw = gaussianSource(5);
    const kernelRegularizer = () => tf.regularizers.l1({ l1: 0.02 });
    const models: [tf.Sequential, tf.Shape][] = [];
    const shared = { filters: 60, useBias: false };
    models.push([
      tf.sequential({
        layers: [
          tf.layers.conv1d({ ...shared, kernelSize: 3, kernelConstraint: unitNorm([0, 1]), inputShape: [8, 2] }),
          polynomial(1, 0.5, 0),
          tf.layers.averagePooling1d({ poolSize: 3, strides: 3 }),
          tf.layers.flatten(),
          tf.layers.dense({ units: 1, kernelRegularizer: kernelRegularizer() }),
        ],
      }),
      [12, 8, 2],
    ]);
    models.push([
      tf.sequential({
        layers: [
          onesColumn({ inputShape: [4, 5, 1] }),
          tf.layers.conv2d({ ...shared, kernelSize: 2, padding: "same", kernelConstraint: unitNorm([0, 1, 2]) }),
          polynomial(1, 0.5, 0),
          tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast" }),
          tf.layers.dense({ units: 1, kernelRegularizer: kernelRegularizer() }),
        ],
      }),
      [12, 4, 5, 1],
    ]);
    for (const [model, shape] of models) {
      model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
      const size = (shape as number[]).reduce((all, one) => all * one, 1);
      const x = tf.tensor(Float32Array.from({ length: size }, draw), shape as number[]);
      const y = tf.tensor2d(Float32Array.from({ length: 12 }, draw), [12, 1]);
      const { certificate, objective, status } = await trainPolynomial(model, x, y);
      expect(status).toBe("solved");
      expect(Math.abs(objective.total / certificate.primal - 1)).toBeLessThan(1e-5);
      expect(Math.abs(objectiveOf(model, x, y) / objective.total - 1)).toBeLessThan(1e-6);
      model.dispose();
      tf.dispose([x, y]);
    }
  });

  const stored = reference[1];
  const wrong: [what: string, make: () => tf.Sequential, code: string, says: RegExp][] = [
    ["a bias of filters", () => modelOf(stored, { conv: { useBias: true } }), "model/layer", /no bias.*onesColumn/],
    [
      "filters of any length",
      () => modelOf(stored, { conv: { kernelConstraint: undefined } }),
      "model/regularizer",
      /unitNorm over axis \[0, 1, 2\].*got none/,
    ],
    [
      "filters of length one over one axis",
      () => modelOf(stored, { conv: { kernelConstraint: unitNorm(0) } }),
      "model/regularizer",
      /got UnitNorm over axis 0/,
    ],
    [
      "a charge on filters",
      () => modelOf(stored, { conv: { kernelRegularizer: "l1l2" } }),
      "model/regularizer",
      /no kernelRegularizer/,
    ],
    [
      "no charge on the last layer",
      () => modelOf(stored, { last: { kernelRegularizer: undefined } }),
      "model/regularizer",
      /an l1 regularizer.*got none/,
    ],
    [
      "weight decay on the last layer",
      () => modelOf(stored, { last: { kernelRegularizer: tf.regularizers.l2({ l2: 1 }) } }),
      "model/regularizer",
      /got l1 0, l2 1/,
    ],
    [
      "ReLU in the polynomial's place",
      () => modelOf(stored, { activation: tf.layers.reLU() }),
      "model/activation",
      /polynomial\(a, b, c\).*ReLU/,
    ],
    [
      "an activation of the convolution's own",
      () => modelOf(stored, { conv: { activation: "relu" } }),
      "model/activation",
      /without activation of its own, got "relu"/,
    ],
    [
      "maxima",
      () => modelOf(stored, { between: [tf.layers.maxPooling2d({ poolSize: 2 }), tf.layers.flatten()] }),
      "model/layer",
      /MaxPooling2D.*pool by averages/,
    ],
    [
      "an activation that is not the loss's",
      () => modelOf(stored, { last: { activation: "sigmoid" } }),
      "model/activation",
      /"linear" in the last layer/,
    ],
  ];
  test.each(wrong)("refuse %s, and leave the weights", async (_, make, code, says) => {
    const [x, y] = tensorsOf(stored);
    const model = make();
    const before = model.getWeights().map((weight) => Array.from(weight.dataSync()));
    const error = await trainPolynomial(model, x, y).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ConvexError);
    expect((error as ConvexError).code).toBe(code);
    expect((error as ConvexError).message).toMatch(says);
    expect(model.getWeights().map((weight) => Array.from(weight.dataSync()))).toEqual(before);
    model.dispose();
    tf.dispose([x, y]);
  });

  test("options that are none, and images of another shape, are refused", async () => {
    const [x, y] = tensorsOf(stored);
    const model = modelOf(stored);
    await expect(trainPolynomial(model, x, y, { beta: 1 } as never)).rejects.toThrow(/options among .*got "beta"/);
    await expect(trainPolynomial(model, x, y, { width: "wide" } as never)).rejects.toThrow(/"keep" or "resize"/);
    await expect(trainPolynomial(model, y, y)).rejects.toThrow(/x of shape \[rows, 5, 5, 1\]/);
    model.dispose();
    tf.dispose([x, y]);
  });
});

test("a dense model, ones before it, comes to the objective of trainConvexNN, whose own model it takes as well", async () => {
  const X = gaussianMatrix(30, 3, 8);
  const x = tf.tensor2d(Float32Array.from(X.data), [30, 3]);
  const y = tf.tidy(() => tf.sub(tf.square(tf.slice(x, [0, 0], [30, 1])), tf.slice(x, [0, 1], [30, 1])) as tf.Tensor2D);
  const free = await trainConvexNN(x, y, {
    ...{ loss: "meanSquaredError", activation: polynomial(0.3, 0.5, 0), regularization: 0.02, tolerance: 1e-6 },
  });
  const own = tf.sequential({
    layers: [
      onesColumn({ inputShape: [3] }),
      tf.layers.dense({ units: 12, useBias: false, kernelConstraint: unitNorm(0) }),
      polynomial(0.3, 0.5, 0),
      tf.layers.dense({ units: 1, kernelRegularizer: tf.regularizers.l1({ l1: 0.02 }) }),
    ],
  });
  own.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  for (const model of [own, free.model]) {
    const { objective, certificate } = await trainPolynomial(model, x, y, { tolerance: 1e-6 });
    expect(Math.abs(objective.total / free.objective.total - 1)).toBeLessThan(5e-6);
    expect(certificate.dual).toBeLessThanOrEqual(free.objective.total * (1 + 1e-6));
    expect(Math.abs(objectiveOf(model, x, y) / objective.total - 1)).toBeLessThan(1e-6);
    model.dispose();
  }
  tf.dispose([x, y]);
});

describe("what ends early", () => {
  const stored = reference[0];
  const weightsOf = (model: tf.LayersModel) => model.getWeights().map((weight) => Array.from(weight.dataSync()));

  test("leaves the weights of a model alone when a signal ends it, and where what it has is better", async () => {
    const [x, y] = tensorsOf(stored);
    const model = modelOf(stored);
    const drawn = weightsOf(model);
    const cancelled = await trainPolynomial(model, x, y, { signal: AbortSignal.abort() });
    expect(cancelled.status).toBe("cancelled");
    expect(cancelled.written).toBe(false);
    expect(cancelled.advice).toMatch(/weights are as they were/);
    expect(weightsOf(model)).toEqual(drawn);
    const solved = await trainPolynomial(model, x, y);
    expect(solved.written).toBe(true);
    const optimal = weightsOf(model);
    const { status, written, objective, certificate } = await trainPolynomial(model, x, y, { timeLimit: 1e-6 });
    expect(status).toBe("timeLimit");
    expect(written).toBe(false);
    expect(weightsOf(model)).toEqual(optimal);
    expect(objective.total).toBe(solved.objective.total);
    expect(certificate.dual).toBeLessThanOrEqual(objective.total);
    expect(certificate.network).toBe(objective.total);
    model.dispose();
    tf.dispose([x, y]);
  });

  test("is said to be no optimum where it takes more filters than there are", async () => {
    const [x, y] = tensorsOf(stored);
    const model = modelOf(stored, { filters: 1 });
    model.setWeights(model.getWeights().map((weight) => tf.mul(weight, 100)));
    const before = weightsOf(model);
    await expect(trainPolynomial(model, x, y, { maxIterations: 3, tolerance: 1e-9 })).rejects.toThrow(
      /at least \d+ filters .*network at which it ended, with status "iterationLimit" and a gap of .* got 1\./,
    );
    expect(weightsOf(model)).toEqual(before);
    model.dispose();
    tf.dispose([x, y]);
  });
});

test("rows of more than one axis are refused when a dense model is read, and nothing is left behind", async () => {
  const before = tf.memory().numTensors;
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units: 4, inputShape: [2, 3], useBias: false, kernelConstraint: unitNorm(0) }),
      polynomial(1, 0.5, 0),
      tf.layers.dense({ units: 1, kernelRegularizer: tf.regularizers.l1({ l1: 0.02 }) }),
    ],
  });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  const x = tf.ones([5, 2, 3]);
  const y = tf.ones([5, 2, 1]);
  for (const width of ["keep", "resize"] as const) {
    const error = await trainPolynomial(model, x, y, { width }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConvexError);
    expect((error as ConvexError).code).toBe("model/layer");
    expect((error as ConvexError).message).toMatch(/one axis before layer .* got inputShape \[2, 3\]/);
  }
  tf.dispose([x, y]);
  model.dispose();
  expect(tf.memory().numTensors).toBe(before);
});
