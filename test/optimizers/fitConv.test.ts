import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { lossNames } from "../../src/convex/losses/index.js";
import { ConvexError, ConvexReLUTrainer, certify, registerLayers } from "../../src/index.js";
import { type ConvModelOptions, makeConvModel, makeImages } from "../helpers/convModels.js";
import { weightsIn } from "../helpers/models.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
  registerLayers();
});

/** Evaluates in one batch, so that tfjs's own rounding is that of one mean. */
function evaluate(model: tf.Sequential, x: tf.Tensor, y: tf.Tensor): number {
  return tf.tidy(() => (model.evaluate(x, y, { batchSize: x.shape[0] }) as tf.Scalar).dataSync()[0]);
}

function regularizers(model: tf.Sequential): number {
  return tf.tidy(() => model.calculateLosses().reduce((sum, loss) => sum + loss.dataSync()[0], 0));
}

const trainer = (options = {}) =>
  new ConvexReLUTrainer({ arrangements: { kind: "sample", count: 16, seed: 1 }, tolerance: 1e-5, ...options });

/** Fits and checks that the model says of itself what the result says of it. */
async function fitAndCheck(options: ConvModelOptions, rows = 12): Promise<void> {
  const model = makeConvModel(options);
  const { x, y } = makeImages(model, options.loss, rows);
  const { objective, certificate, status } = await trainer().fit(model, x, y);
  expect(status).toBe("solved");
  expect(certificate.relativeGap).toBeLessThanOrEqual(1e-5);
  expect(evaluate(model, x, y)).toBeCloseTo(objective.loss, 5);
  if ((options.l2 ?? 0) > 0) {
    expect(regularizers(model)).toBeCloseTo(objective.regularization, 5);
    expect(certificate.network).toBeCloseTo(objective.total, 12);
  }
  expect(certificate.network).toBeLessThanOrEqual(certificate.primal * (1 + 1e-5));
  expect(certificate.dual).toBeLessThanOrEqual(certificate.primal);
  tf.dispose([x, y]);
  model.dispose();
}

describe.each(["conv2d", "gatedConv2D"] as const)("%s", (kind) => {
  describe.each(["average", "flatten"] as const)("read out by %s", (readOut) => {
    test.each(lossNames)("with %s the model evaluates to exactly the objective that is reported", (loss) =>
      fitAndCheck({ kind, readOut, loss, l2: 2e-3, filters: 300 }),
    );
  });
});

const shapes: ConvModelOptions[] = [
  { kind: "conv1d" },
  { kind: "conv1d", kernelSize: 3, padding: "same", strides: 2 },
  { kind: "conv1d", dilationRate: 2, readOut: "flatten", filters: 200 },
  { kind: "conv1d", hiddenBias: false, outputBias: false, outputs: 2 },
  { kernelSize: [3, 2], padding: "same", strides: 2, inputShape: [5, 6, 2] },
  { kernelSize: 2, dilationRate: 2, inputShape: [5, 4, 2] },
  { dataFormat: "channelsFirst", inputShape: [2, 4, 5] },
  { dataFormat: "channelsFirst", inputShape: [2, 4, 5], readOut: "flatten", filters: 400 },
  {
    dataFormat: "channelsFirst",
    inputShape: [2, 3, 3],
    readOut: "flatten",
    flattenFormat: "channelsFirst",
    filters: 300,
  },
  { dataFormat: "channelsFirst", inputShape: [2, 4, 3], readOut: "flatten", kind: "gatedConv2D", outputs: 2 },
  { kind: "gatedConv2D", padding: "same", strides: 2, hiddenBias: false, outputs: 2 },
  { kind: "gatedConv2D", dilationRate: 2, kernelSize: 2, outputBias: false },
  { kind: "gatedConv2D", readOut: "flatten", windows: { size: 2 }, inputShape: [5, 5, 2], outputs: 2, filters: 100 },
  {
    kind: "gatedConv2D",
    readOut: "flatten",
    windows: { size: 2, strides: 1 },
    loss: "categoricalCrossentropy",
    filters: 150,
  },
  { kind: "conv1d", readOut: "flatten", windows: { size: 2, strides: 1 }, filters: 200 },
  { kind: "conv1d", readOut: "flatten", windows: { size: 3, padding: "same" }, inputShape: [7, 2], filters: 200 },
  { readOut: "flatten", windows: { size: 2 }, loss: "binaryCrossentropy", inputShape: [5, 6, 1], filters: 200 },
  {
    dataFormat: "channelsFirst",
    inputShape: [2, 5, 4],
    readOut: "flatten",
    windows: { size: 2, strides: 1 },
    filters: 300,
  },
];
test.each(shapes)("writes weights into a model with %o", (shape) => fitAndCheck(shape));

test("a filter as large as the image is the dense model on its pixels", async () => {
  const conv = makeConvModel({ kernelSize: [2, 3], inputShape: [2, 3, 1], l2: 1e-3 });
  const { x, y } = makeImages(conv);
  const l2 = tf.regularizers.l2({ l2: 1e-3 });
  const regularized = { kernelRegularizer: l2, biasRegularizer: l2 };
  const dense = tf.sequential({
    layers: [
      tf.layers.dense({ units: 80, activation: "relu", inputShape: [6], ...regularized }),
      tf.layers.dense({ units: 1, kernelRegularizer: l2 }),
    ],
  });
  dense.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  const flat = x.reshape([20, 6]);
  const a = await trainer().fit(conv, x, y);
  const b = await trainer().fit(dense, flat, y);
  expect(a.certificate.primal).toBeCloseTo(b.certificate.primal, 10);
  // Products of other shapes, with other last bits where they are fused.
  const [one, other] = [conv, dense].map((model) => weightsIn(model).flat());
  expect(one).toHaveLength(other.length);
  one.forEach((value, k) => void expect(value).toBeCloseTo(other[k], 6));
  tf.dispose([x, y, flat]);
  conv.dispose();
  dense.dispose();
});

test("growing filters attain the optimum over all arrangements of the patches, from a few", async () => {
  const model = makeConvModel({ kind: "conv1d", inputShape: [4, 1], hiddenBias: false, l2: 5e-3 });
  const { x, y } = makeImages(model, "meanSquaredError", 6);
  const all = await trainer({ arrangements: { kind: "enumerate" } }).fit(model, x, y);
  expect(all.certificate.scope).toBe("all gates");
  const grown = await trainer({ arrangements: { kind: "grow", count: 3, starts: 60 } }).fit(model, x, y);
  expect(grown.certificate.network).toBeLessThanOrEqual(all.certificate.network * (1 + 1e-4));
  expect(grown.certificate.network).toBeGreaterThanOrEqual(all.certificate.dual);
  tf.dispose([x, y]);
  model.dispose();
});

test("a filter trained convexly is below what gradient descent finds from five starts", async () => {
  const options = { kind: "conv1d", inputShape: [5, 1], hiddenBias: false, l2: 5e-3 } as const;
  const model = makeConvModel(options);
  const { x, y } = makeImages(model, "meanSquaredError", 8);
  const all = await trainer({ arrangements: { kind: "enumerate" } }).fit(model, x, y);
  for (let seed = 0; seed < 5; seed++) {
    const rival = makeConvModel(options);
    rival.setWeights(
      rival.getWeights().map((weight, k) => tf.randomNormal(weight.shape, 0, 0.3, "float32", 10 * seed + k)),
    );
    rival.compile({ optimizer: tf.train.adam(0.02), loss: "meanSquaredError" });
    await rival.fit(x, y, { epochs: 50, verbose: 0 });
    expect(evaluate(rival, x, y) + regularizers(rival)).toBeGreaterThan(all.certificate.dual);
    rival.dispose();
  }
  tf.dispose([x, y]);
  model.dispose();
});

test("resizing, validation, a warm start and callbacks work as with dense layers", async () => {
  const model = makeConvModel({ kind: "gatedConv2D", filters: 1, l2: 2e-3 });
  const { x, y } = makeImages(model, "meanSquaredError", 24);
  const before = tf.memory().numTensors;
  const seen: number[] = [];
  const result = await trainer({ width: "resize" }).fit(model, x, y, {
    validationSplit: 0.25,
    callbacks: {
      onEpochEnd: (_epoch: number, logs?: tf.Logs) => {
        seen.push(logs?.val_loss ?? Number.NaN);
      },
    },
  });
  expect(result.neurons).toBeGreaterThan(1);
  expect(result.model.layers[0].getWeights()[0].shape[3]).toBe(result.neurons);
  expect(seen.length).toBeGreaterThan(0);
  expect(seen.every(Number.isFinite)).toBe(true);
  result.model.dispose();
  const rows = x.slice([0, 0, 0, 0], [18, -1, -1, -1]);
  const targets = y.slice([0, 0], [18, -1]);
  const again = await new ConvexReLUTrainer({ width: "resize", tolerance: 1e-5 }).fit(model, rows, targets, {
    warmStart: result,
  });
  expect(again.certificate.primal).toBeCloseTo(result.certificate.primal, 6);
  again.model.dispose();
  tf.dispose([rows, targets]);
  expect(tf.memory().numTensors).toBe(before);
  tf.dispose([x, y]);
  model.dispose();
});

test.each(["globalAveragePooling2d", "flatten"] as const)(
  "one filter, where the optimum needs more, is what evaluate says, between the bound and no filter (%s)",
  async (pool) => {
    const l2 = () => tf.regularizers.l2({ l2: 1e-3 });
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({
          filters: 1,
          kernelSize: 2,
          activation: "relu",
          inputShape: [4, 4, 1],
          kernelRegularizer: l2(),
          biasRegularizer: l2(),
        }),
        pool === "flatten" ? tf.layers.flatten() : tf.layers.globalAveragePooling2d({}),
        tf.layers.dense({ units: 1, kernelRegularizer: l2() }),
      ],
    });
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const x = tf.randomNormal([20, 4, 4, 1], 0, 1, "float32", 5);
    const y = tf.randomNormal([20, 1], 0, 1, "float32", 6);
    const { status, certificate, neurons } = await new ConvexReLUTrainer({ tolerance: 1e-2, timeLimit: 20 }).fit(
      model,
      x,
      y,
    );
    expect(["widthLimit", "timeLimit"]).toContain(status);
    expect(neurons).toBe(1);
    const written = tf.tidy(() => {
      const loss = (model.evaluate(x, y) as tf.Scalar).dataSync()[0];
      return model.calculateLosses().reduce((sum, term) => sum + term.dataSync()[0], loss);
    });
    expect(written).toBeCloseTo(certificate.network, 5);
    expect(certificate.dual).toBeLessThanOrEqual(written);
    const mean = tf.tidy(() => y.sub(y.mean()).square().mean().dataSync()[0]);
    expect(written).toBeLessThan(mean);
    tf.dispose([x, y]);
    model.dispose();
  },
);

test("a path over betas and the certificate of a model trained elsewhere work over patches", async () => {
  const model = makeConvModel({ kind: "gatedConv2D", filters: 60 });
  const { x, y } = makeImages(model, "meanSquaredError", 12);
  const { points } = await trainer({ tolerance: 1e-4 }).path(model, x, y, { count: 4, ratio: 1e-2 });
  expect(points.map(({ status }) => status)).toEqual(["solved", "solved", "solved", "solved"]);
  expect(points[0].neurons).toBe(0);
  for (let k = 1; k < 4; k++) expect(points[k].metrics.loss).toBeLessThan(points[k - 1].metrics.loss);
  const rival = makeConvModel({ kind: "gatedConv2D", filters: 20, l2: 2e-3 });
  await rival.fit(x, y, { epochs: 5, verbose: 0 });
  const judged = await certify(rival, x, y);
  const { certificate, objective } = judged;
  expect(objective.loss).toBeCloseTo(evaluate(rival, x, y), 5);
  expect(certificate.dual).toBeLessThan(certificate.primal);
  const best = await new ConvexReLUTrainer({ tolerance: 1e-5, width: "resize" }).fit(rival, x, y, {
    warmStart: judged,
  });
  expect(best.certificate.primal).toBeGreaterThanOrEqual(certificate.dual);
  expect(best.certificate.primal).toBeLessThan(certificate.primal);
  tf.dispose([x, y]);
  model.dispose();
  rival.dispose();
  if (best.model !== rival) best.model.dispose();
});

describe("wrong input", () => {
  const compiled = (...layers: tf.layers.Layer[]) => {
    const model = tf.sequential({ layers });
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    return model;
  };
  const conv = (extra: object = {}) =>
    tf.layers.conv2d({ filters: 4, kernelSize: 2, activation: "relu", inputShape: [4, 4, 1], ...extra });
  const pool = () => tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast" });
  const dense = () => tf.layers.dense({ units: 1 });
  const images = () => tf.randomNormal([8, 4, 4, 1], 0, 1, "float32", 1);

  interface Case {
    readonly wrong: string;
    readonly code: string;
    readonly says: RegExp;
    readonly model: () => tf.Sequential;
    readonly x?: () => tf.Tensor;
    /** Without it a descent takes the model. */
    readonly formulation?: "relu";
  }
  const cases: Case[] = [
    {
      wrong: "a filter larger than the image",
      code: "model/layer",
      says: /filter that fits into the image, got kernelSize \[5, 2\] for input \[4, 4, 1\].*padding: "same"/,
      model: () => compiled(conv({ kernelSize: [5, 2] }), pool(), dense()),
    },
    {
      wrong: "a dilated filter larger than the image",
      code: "model/layer",
      says: /with dilationRate \[4, 4\]/,
      model: () => compiled(conv({ dilationRate: 4 }), pool(), dense()),
    },
    {
      wrong: "rows in place of images",
      code: "data/shape",
      says: /x of shape \[rows, 4, 4, 1\].*got \[8, 16\]/,
      model: () => compiled(conv({ filters: 60 }), pool(), dense()),
      x: () => tf.randomNormal([8, 16], 0, 1, "float32", 1),
    },
    {
      wrong: "images of another size",
      code: "data/shape",
      says: /got \[8, 4, 5, 1\]/,
      model: () => compiled(conv({ filters: 60 }), pool(), dense()),
      x: () => tf.randomNormal([8, 4, 5, 1], 0, 1, "float32", 1),
    },
    {
      wrong: "max pooling",
      code: "model/layer",
      says: /of class MaxPooling2D\. Which patch is the largest/,
      formulation: "relu",
      model: () => compiled(conv(), tf.layers.maxPooling2d({ poolSize: 2 }), tf.layers.flatten(), dense()),
    },
    {
      wrong: "windows that average fewer patches at the border",
      code: "model/layer",
      says: /padding "same" that makes some smaller, poolSize \[2, 2\] on 3 x 3 outputs.*padding "valid"/,
      formulation: "relu",
      model: () =>
        compiled(conv(), tf.layers.averagePooling2d({ poolSize: 2, padding: "same" }), tf.layers.flatten(), dense()),
    },
    {
      wrong: "windows larger than the convolution's output",
      code: "model/layer",
      says: /fit into the convolution's output, got poolSize \[1, 4\] on 3 x 3 outputs/,
      model: () =>
        compiled(
          conv({ padding: "valid" }),
          tf.layers.averagePooling2d({ poolSize: [1, 4] }),
          tf.layers.flatten(),
          dense(),
        ),
    },
    {
      wrong: "average pooling without flatten",
      code: "model/layer",
      says: /layer "second" after layer "first"/,
      formulation: "relu",
      model: () =>
        compiled(
          conv(),
          tf.layers.averagePooling2d({ poolSize: 2, strides: 1, name: "first" }),
          tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast", name: "second" }),
          dense(),
        ),
    },
    {
      wrong: "windows that read other axes",
      code: "model/layer",
      says: /dataFormat "channelsFirst" as in the convolution/,
      model: () =>
        compiled(
          conv({ dataFormat: "channelsFirst", inputShape: [1, 4, 4] }),
          tf.layers.averagePooling2d({ poolSize: 2, strides: 1, dataFormat: "channelsLast" }),
          tf.layers.flatten(),
          dense(),
        ),
    },
    {
      wrong: "a layer between that is not read",
      code: "model/layer",
      says: /"norm" of class BatchNormalization after the activation.*leave it out/,
      formulation: "relu",
      model: () => compiled(conv(), tf.layers.batchNormalization({ name: "norm" }), pool(), dense()),
    },
    {
      wrong: "nothing between convolution and dense",
      code: "model/layer",
      says: /got nothing after layer.*Add one/,
      model: () => compiled(conv(), dense()),
    },
    {
      wrong: "pooling that reads other axes",
      code: "model/layer",
      says: /dataFormat "channelsFirst" as in the convolution, got "channelsLast"/,
      model: () => compiled(conv({ dataFormat: "channelsFirst", inputShape: [1, 4, 4] }), pool(), dense()),
    },
    {
      wrong: "a conv1d with channels first",
      code: "model/layer",
      says: /channelsLast in a conv1d/,
      model: () =>
        compiled(
          tf.layers.conv1d({
            filters: 2,
            kernelSize: 2,
            activation: "relu",
            inputShape: [3, 5],
            dataFormat: "channelsFirst",
          }),
          tf.layers.globalAveragePooling1d(),
          dense(),
        ),
    },
    {
      wrong: "an activation other than relu",
      code: "model/activation",
      says: /"tanh" in layer/,
      formulation: "relu",
      model: () => compiled(conv({ activation: "tanh" }), pool(), dense()),
    },
    {
      wrong: "images of unknown size",
      code: "model/layer",
      says: /inputShape of known sizes.*got \[null, 4, 1\]/,
      formulation: "relu",
      model: () => compiled(conv({ inputShape: [null, 4, 1] }), pool(), dense()),
    },
  ];

  test.each(cases)(
    "$wrong: refused with $code, and the weights stay",
    async ({ code, says, model: make, x: data, formulation }) => {
      const model = make();
      const before = weightsIn(model);
      const [x, y] = [data?.() ?? images(), tf.randomNormal([8, 1], 0, 1, "float32", 2)];
      const tensors = tf.memory().numTensors;
      const error = await trainer(formulation === undefined ? {} : { formulation })
        .fit(model, x, y)
        .then(() => null)
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ConvexError);
      expect((error as ConvexError).message).toMatch(says);
      expect((error as ConvexError).code).toBe(code);
      expect(tf.memory().numTensors).toBe(tensors);
      expect(weightsIn(model)).toEqual(before);
      tf.dispose([x, y]);
      model.dispose();
    },
  );
});
