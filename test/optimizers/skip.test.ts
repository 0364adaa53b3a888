import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  ConvexReLUTrainer,
  certify,
  describeNetwork,
  gatedDense,
  joinNetworks,
  lossSurface,
  optimalSet,
  type TrainerOptions,
} from "../../src/index.js";
import { problemMessage, problemOf } from "../../src/worker/problemMessage.js";
import { objectiveOf } from "../helpers/objective.js";
import reference from "../reference/skip.json";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const ENUMERATED = { arrangements: { kind: "enumerate" }, vectorPenalty: "perOutput" } as const;

interface Wish {
  readonly features?: number;
  readonly outputs?: number;
  readonly loss?: string;
  readonly beta?: number | null; // null: no regularizer of the hidden layer and the read-out
  readonly l2?: number; // of the linear layer; 0: none
  readonly readOutBias?: number | null; // null: no bias
  readonly skipBias?: number | null;
  readonly gated?: boolean;
  readonly units?: number;
  readonly skips?: boolean;
  readonly metrics?: string[];
}

const l2Of = (l2: number | null) => (l2 === null || l2 === 0 ? null : tf.regularizers.l2({ l2 })) as never;
const ACTIVATIONS: Readonly<Record<string, string>> = {
  binaryCrossentropy: "sigmoid",
  categoricalCrossentropy: "softmax",
};

/** A hidden layer with its read-out, and beside both a linear layer. */
function modelOf(wish: Wish = {}): tf.LayersModel {
  const { features = 2, outputs = 1, loss = "meanSquaredError", beta = 0.01, l2 = 0, gated = false, metrics } = wish;
  const { readOutBias = 0, skipBias = null, units = 60, skips = true } = wish;
  const half = l2Of(beta === null ? null : beta / 2);
  const decay = { kernelRegularizer: half, biasRegularizer: half };
  const seeded = { kernelInitializer: tf.initializers.glorotNormal({ seed: 3 }) };
  const biased = (bias: number | null) => ({ useBias: bias !== null, biasRegularizer: l2Of(bias) });
  const inputs = tf.input({ shape: [features] });
  const hidden = gated
    ? gatedDense({ units, seed: 3, ...decay })
    : tf.layers.dense({ units, activation: "relu", ...decay, ...seeded });
  const last = tf.layers.dense({
    name: "read",
    units: outputs,
    kernelRegularizer: half,
    ...biased(readOutBias),
    ...seeded,
  });
  const deep = last.apply(hidden.apply(inputs)) as tf.SymbolicTensor;
  const linear = tf.layers.dense({
    name: "straight",
    units: outputs,
    kernelRegularizer: l2Of(l2),
    ...biased(skipBias),
    ...seeded,
  });
  const sum = skips ? tf.layers.add().apply([deep, linear.apply(inputs) as tf.SymbolicTensor]) : deep;
  const activation = ACTIVATIONS[loss] ?? "linear";
  const end = tf.layers.activation({ activation: activation as "linear" }).apply(sum) as tf.SymbolicTensor;
  const model = tf.model({ inputs, outputs: end });
  const optimizer = tf.train.sgd(0.1);
  model.compile({ optimizer, loss, ...(metrics === undefined ? {} : { metrics }) });
  (model as unknown as { isOptimizerOwned: boolean }).isOptimizerOwned = true;
  return model;
}

function dataOf(rows = 14, features = 2, outputs = 1, seed = 1): { x: tf.Tensor2D; y: tf.Tensor2D } {
  const x = Float32Array.from(
    { length: rows * features },
    (_, k) => Math.sin(seed + k * 12.9898) * Math.cos(k * k * 0.37),
  );
  const y = Float32Array.from({ length: rows * outputs }, (_, k) => Math.sin(3 * k + seed + (k % 7)));
  return { x: tf.tensor2d(x, [rows, features]), y: tf.tensor2d(y, [rows, outputs]) };
}

/** The kernel of the linear layer [d x C]. */
const kernelOf = (model: tf.LayersModel) => Array.from(layerOf(model, "straight").getWeights()[0].dataSync());
const layerOf = (model: tf.LayersModel, name: string) => model.getLayer(name);

async function fitted(wish: Wish, x: tf.Tensor, y: tf.Tensor, options: TrainerOptions = {}) {
  const model = modelOf(wish);
  const result = await new ConvexReLUTrainer({ tolerance: 1e-8, ...ENUMERATED, ...options }).fit(model, x, y);
  return { model, result };
}

describe.each(reference.problems)(
  "$loss, l2 $l2, biases $readOutBias and $skipBias, $outputs outputs, gated: $gated",
  (problem) => {
    test("the fit over all patterns is the optimum that CVXPY has, and certify bounds any model by no more", async () => {
      const { loss, outputs, features, rows, optimum, within } = problem;
      const before = tf.memory().numTensors;
      const x = tf.tensor2d(problem.x, [rows, features]);
      const y = tf.tensor2d(problem.y, [rows, outputs]);
      const model = modelOf({ ...problem, units: 200 });
      const untrained = await certify(model, x, y, ENUMERATED);
      expect(untrained.objective.total).toBeCloseTo(objectiveOf(model, x, y), 4);
      expect(untrained.certificate.dual).toBeLessThanOrEqual(optimum * (1 + within));
      const result = await new ConvexReLUTrainer({ tolerance: 1e-7, ...ENUMERATED }).fit(model, x, y);
      expect(result.status).toBe("solved");
      expect(result.gates.count).toBe(problem.patterns);
      expect(result.certificate.scope).toBe("all gates");
      expect(result.certificate.primal).toBeGreaterThanOrEqual(optimum * (1 - within));
      expect(result.certificate.primal).toBeLessThanOrEqual(optimum * (1 + 2 * within));
      expect(result.certificate.dual).toBeLessThanOrEqual(optimum * (1 + within));
      expect(result.certificate.network).toBeLessThanOrEqual(optimum * (1 + 1e-5));
      expect(objectiveOf(model, x, y)).toBeCloseTo(result.objective.total, 5);
      const trained = await certify(model, x, y, ENUMERATED);
      expect(trained.certificate.dual).toBeLessThanOrEqual(optimum * (1 + within));
      expect(trained.objective.total).toBeCloseTo(result.objective.total, 6);
      expect(loss).toBe(model.loss);
      tf.dispose([x, y]);
      model.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });
  },
);

const seeds = fc.integer({ min: 1, max: 1000 });
const coefficients = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 2, maxLength: 2 });
const plus = (y: tf.Tensor, x: tf.Tensor2D, c: readonly number[]) =>
  tf.tidy(() => tf.add(y, tf.matMul(x, tf.tensor2d(c.map((value) => [value])))));

describe("a free linear layer", () => {
  test.each([
    ["regularizers of the hidden layer", { beta: 0.01 }],
    ["no regularizer, standardised columns", { beta: null }],
    ["no bias of the outputs", { beta: 0.01, readOutBias: null }],
    ["no bias of the outputs and no regularizer", { beta: null, readOutBias: null }],
    ["a gated layer", { beta: 0.01, gated: true }],
  ] as [string, Wish][])("takes up what is linear in the targets, and nothing else changes: %s", async (_, wish) => {
    await fc.assert(
      fc.asyncProperty(seeds, coefficients, async (seed, c) => {
        const { x, y } = dataOf(14, 2, 1, seed);
        const shifted = plus(y, x, c);
        const [one, other] = [await fitted(wish, x, y), await fitted(wish, x, shifted)];
        const { total } = one.result.objective;
        expect(other.result.objective.total).toBeCloseTo(total, 5);
        expect(other.result.regularization.beta / one.result.regularization.beta).toBeCloseTo(1, 4);
        const seen = tf.tidy(() => {
          const [a, b] = [one, other].map(({ model }) => model.predict(x) as tf.Tensor);
          return tf.max(tf.abs(tf.sub(b, plus(a, x, c)))).dataSync()[0];
        });
        expect(seen).toBeLessThan(2e-3);
        const moved = kernelOf(other.model).map((value, p) => value - kernelOf(one.model)[p]);
        moved.forEach((value, p) => {
          // At a gap of 1e-8 units and kernel may still share a direction in which the objective is flat otherwise.
          expect(Math.abs(value - c[p])).toBeLessThan(0.2);
        });
        tf.dispose([x, y, shifted]);
        for (const { model } of [one, other]) model.dispose();
      }),
      { numRuns: 4, endOnFailure: true },
    );
  });

  test("does not see the units and the origin of its columns where there is a bias", async () => {
    const { x, y } = dataOf(14);
    const other = tf.tidy(() => tf.add(tf.mul(x, tf.tensor1d([100, 0.01])), tf.tensor1d([50, -3]))) as tf.Tensor2D;
    const results = [await fitted({ beta: null }, x, y), await fitted({ beta: null }, other, y)];
    const [a, b] = results.map(({ result }) => result.objective.total);
    expect(b / a).toBeCloseTo(1, 4);
    tf.dispose([x, y, other]);
    for (const { model } of results) model.dispose();
  });

  test("explains alone what is linear: no unit is left, and the gap is closed", async () => {
    const { x } = dataOf(14);
    const y = plus(tf.zeros([14, 1]), x, [2, -1]);
    const { model, result } = await fitted({ beta: 0.01 }, x, y);
    expect(result.status).toBe("solved");
    expect(result.objective.total).toBeLessThan(1e-10);
    expect(kernelOf(model)[0]).toBeCloseTo(2, 5);
    tf.dispose([x, y]);
    model.dispose();
  });

  test("with labels that a line separates the loss is as good as none", async () => {
    const { x } = dataOf(14);
    const y = tf.tidy(() => tf.cast(tf.greater(plus(tf.zeros([14, 1]), x, [2, -1]), 0.05), "float32"));
    for (const loss of ["squaredHinge", "binaryCrossentropy"]) {
      const target = loss === "squaredHinge" ? tf.tidy(() => tf.sub(tf.mul(y, 2), 1)) : y.clone();
      const { model, result } = await fitted({ loss, beta: 0.01 }, x, target);
      expect(result.objective.total).toBeLessThan(1e-7);
      expect(result.certificate.dual).toBeLessThanOrEqual(result.certificate.primal);
      target.dispose();
      model.dispose();
    }
    tf.dispose([x, y]);
  });
});

test("the dearer the linear layer, the nearer to the network without it, and never below the free one", async () => {
  await fc.assert(
    fc.asyncProperty(seeds, async (seed) => {
      const { x, y } = dataOf(14, 2, 1, seed);
      const charges = [0, 1e-3, 1e-1, 10, 1e6];
      const all = [];
      for (const l2 of charges) all.push(await fitted({ l2 }, x, y));
      const without = await fitted({ skips: false }, x, y);
      const values = all.map(({ result }) => result.certificate.primal);
      for (let k = 1; k < values.length; k++) expect(values[k]).toBeGreaterThanOrEqual(values[k - 1] * (1 - 1e-7));
      expect(values[4] / without.result.certificate.primal).toBeCloseTo(1, 5);
      expect(Math.hypot(...kernelOf(all[4].model))).toBeLessThan(1e-4);
      tf.dispose([x, y]);
      for (const { model } of [...all, without]) model.dispose();
    }),
    { numRuns: 3, endOnFailure: true },
  );
});

test("two biases, each charged, share what they add up to at the least charge", async () => {
  const { x, y } = dataOf(14);
  const lifted = tf.tidy(() => tf.add(y, 3)) as tf.Tensor2D;
  const { model, result } = await fitted({ readOutBias: 0.01, skipBias: 0.03 }, x, lifted);
  const [own, other] = ["read", "straight"].map((name) => layerOf(model, name).getWeights()[1].dataSync()[0]);
  expect(own / other).toBeCloseTo(3, 4);
  expect(objectiveOf(model, x, lifted)).toBeCloseTo(result.objective.total, 5);
  tf.dispose([x, y, lifted]);
  model.dispose();
});

test("two biases that share badly are charged as the layers charge them, by certify and lossSurface", async () => {
  const { x, y } = dataOf(14);
  for (const [readOutBias, skipBias] of [
    [0.1, 0.1],
    [0.01, 0.2],
    [0.1, 0],
  ]) {
    const { model } = await fitted({ readOutBias, skipBias, l2: 0.01 }, x, y);
    const before = await certify(model, x, y, ENUMERATED);
    for (const [name, more] of [
      ["read", 1],
      ["straight", -1],
    ] as const) {
      const layer = layerOf(model, name);
      const [kernel, bias] = layer.getWeights();
      layer.setWeights([kernel, tf.add(bias, more)]);
    }
    const after = await certify(model, x, y, ENUMERATED);
    const value = objectiveOf(model, x, y);
    expect(after.objective.total).toBeCloseTo(value, 5);
    expect(after.objective.regularization - before.objective.regularization).toBeGreaterThan(0.09);
    expect(after.certificate.primal).toBeCloseTo(value, 5);
    expect(after.certificate.network).toBeCloseTo(value, 5);
    expect(after.balanced).toBeCloseTo(value, 4);
    expect(after.certificate.dual).toBeCloseTo(before.certificate.dual, 6);
    expect(after.certificate.primal - after.certificate.dual).toBeGreaterThan(0.09);
    expect((await lossSurface(model, x, y, { resolution: 3 })).objective).toBeCloseTo(value, 5);
    model.dispose();
  }
  tf.dispose([x, y]);
});

describe("what trains and what reads takes it", () => {
  test("path: every point has its certificate, and what is written is what was said of it", async () => {
    const { x, y } = dataOf(16);
    const trainer = new ConvexReLUTrainer({ tolerance: 1e-6, ...ENUMERATED });
    for (const wish of [{ beta: null }, { beta: null, l2: 0.01 }, { beta: null, gated: true }] as Wish[]) {
      const model = modelOf({ ...wish, metrics: ["mse"] });
      const path = await trainer.path(model, x, y, { count: 5, ratio: 1e-2, validationSplit: 0.25 });
      // Up to rounding the first beta is the least at which no unit is left.
      expect(path.points[0].neurons).toBeLessThanOrEqual(1);
      for (const point of path.points) {
        expect(point.certificate.relativeGap).toBeLessThanOrEqual(1e-6);
        expect(point.objective.total).toBeCloseTo(point.certificate.primal, 2);
        path.write(point);
        const [loss] = tf.tidy(() =>
          (model.evaluate(tf.slice(x, 12), tf.slice(y, 12)) as tf.Scalar[]).map((value) => value.dataSync()[0]),
        );
        expect(point.metrics.val_loss).toBeCloseTo(loss, 4);
      }
      model.dispose();
    }
    tf.dispose([x, y]);
  });

  test("crossValidate and regularization: held-out choose a beta", async () => {
    const { x, y } = dataOf(24);
    const model = modelOf({ beta: null });
    const trainer = new ConvexReLUTrainer({ tolerance: 1e-4, arrangements: { kind: "sample", count: 30 } });
    const chosen = await trainer.crossValidate(model, x, y, { folds: 3, count: 4 });
    expect(chosen.mean.every(Number.isFinite)).toBe(true);
    const held = await new ConvexReLUTrainer({ tolerance: 1e-4, regularization: "held-out" }).fit(model, x, y);
    expect(held.status).toBe("solved");
    expect(held.regularization.curve?.mean.every(Number.isFinite)).toBe(true);
    expect(objectiveOf(model, x, y)).toBeCloseTo(held.objective.loss, 5);
    tf.dispose([x, y]);
    model.dispose();
  });

  test("branch and bound over growing gates ends at the optimum of all patterns; a narrow layer ends above it", async () => {
    const { x, y } = dataOf(18);
    const all = await fitted({ l2: 0.01 }, x, y);
    const pricing = { kind: "branch-and-bound" } as const;
    const grown = await fitted({ l2: 0.01 }, x, y, { tolerance: 1e-5, arrangements: { kind: "grow" }, pricing });
    expect(grown.result.certificate.scope).toBe("all gates");
    expect(grown.result.certificate.primal / all.result.certificate.primal).toBeCloseTo(1, 4);
    const narrow = await fitted({ l2: 0.01, units: 1 }, x, y, { tolerance: 1e-4 });
    expect(narrow.result.certificate.network).toBeGreaterThanOrEqual(all.result.certificate.dual);
    expect(objectiveOf(narrow.model, x, y)).toBeCloseTo(narrow.result.objective.total, 5);
    tf.dispose([x, y]);
    for (const { model } of [all, grown, narrow]) model.dispose();
  });

  test("a fit begins at an earlier result, and at a certificate of a model", async () => {
    const { x, y } = dataOf(16);
    const { model, result } = await fitted({ l2: 0.01 }, x, y);
    const trainer = new ConvexReLUTrainer({ tolerance: 1e-7, vectorPenalty: "perOutput" });
    const again = await trainer.fit(model, x, y, { warmStart: result });
    expect(again.certificate.primal).toBeCloseTo(result.certificate.primal, 7);
    const known = await certify(model, x, y, ENUMERATED);
    expect((await trainer.fit(model, x, y, { warmStart: known })).certificate.primal).toBeCloseTo(
      again.certificate.primal,
      7,
    );
    tf.dispose([x, y]);
    model.dispose();
  });

  test("describeNetwork names its kernel, and the function of one input has its slope", async () => {
    const { x, y } = dataOf(12, 1);
    const { model } = await fitted({ features: 1, l2: 0.001 }, x, y);
    const { skip, piecewise, variance } = await describeNetwork(model, x);
    expect(skip).toEqual([[expect.closeTo(kernelOf(model)[0], 6)]]);
    const at = [-3, -0.4, 0.1, 2];
    const seen = tf.tidy(() => (model.predict(tf.tensor2d(at, [4, 1])) as tf.Tensor).dataSync());
    at.forEach((value, k) => {
      const segment = piecewise?.segments.find(({ from, to }) => from <= value && value <= to);
      expect((segment?.offset[0] ?? 0) + (segment?.slope[0] ?? 0) * value).toBeCloseTo(seen[k], 4);
    });
    const spread = tf.tidy(() => tf.moments(model.predict(x) as tf.Tensor).variance.dataSync()[0]);
    expect(variance).toBeCloseTo(spread, 4);
    const { objective } = await lossSurface(model, x, y, { resolution: 3 });
    expect(objective).toBeCloseTo(objectiveOf(model, x, y), 5);
    tf.dispose([x, y]);
    model.dispose();
  });

  test("a worker's result has the same program: its columns come with the message", async () => {
    const { x, y } = dataOf(14);
    for (const wish of [{ l2: 0 }, { l2: 0.01, readOutBias: 0.02 }, { l2: 0, readOutBias: null }] as Wish[]) {
      const { model, result } = await fitted(wish, x, y);
      const matrix = (t: tf.Tensor2D) => ({
        rows: t.shape[0],
        cols: t.shape[1],
        data: Float64Array.from(t.dataSync()),
      });
      const message = problemMessage(result.problem, { x: matrix(x), y: matrix(y), weights: null });
      const { program } = problemOf(structuredClone(message));
      const Z = Float64Array.from({ length: 14 }, (_, k) => Math.sin(k));
      expect(program.loss.value(Z)).toBeCloseTo(result.problem.program.loss.value(Z), 12);
      expect(program.outputBias).toBe(result.problem.program.outputBias);
      model.dispose();
    }
    tf.dispose([x, y]);
  });

  test("optimalSet and joinNetworks refuse it, and say what to do", async () => {
    const { x, y } = dataOf(14);
    const { model, result } = await fitted({}, x, y);
    await expect(optimalSet(result)).rejects.toThrow(/linear layer beside the hidden one.*without that layer/);
    await expect(joinNetworks(model, model, x, y)).rejects.toThrow(/linear layer beside the hidden one.*out of both/);
    tf.dispose([x, y]);
    model.dispose();
  });
});

describe("what no program takes is refused, and the weights stay:", () => {
  const { dense } = tf.layers;
  const joined = (make: (x: tf.SymbolicTensor) => tf.SymbolicTensor[], loss = "meanSquaredError") => {
    const inputs = tf.input({ shape: [2] });
    const outputs = tf.layers.add({ name: "sum" }).apply(make(inputs)) as tf.SymbolicTensor;
    const model = tf.model({ inputs, outputs });
    model.compile({ optimizer: "sgd", loss });
    return model;
  };
  const through = (x: tf.SymbolicTensor, ...layers: tf.layers.Layer[]) =>
    layers.reduce((tensor, layer) => layer.apply(tensor) as tf.SymbolicTensor, x);
  const deep = (x: tf.SymbolicTensor) => through(x, dense({ units: 9, activation: "relu" }), dense({ units: 1 }));
  const line = (more: object = {}) => dense({ units: 1, name: "line", ...more });
  const cases: [string, () => tf.LayersModel, RegExp, TrainerOptions?][] = [
    ["a loss with kinks", () => modelOf({ loss: "hinge" }), /smooth loss beside the linear layer.*squaredHinge/],
    ["mean absolute error", () => modelOf({ loss: "meanAbsoluteError" }), /smooth loss.*huberLoss/],
    ["two hidden layers side by side", () => joined((x) => [deep(x), deep(x)]), /branches that meet in layer "sum"/],
    [
      "x itself",
      () => joined((x) => [through(x, dense({ units: 9, activation: "relu" }), dense({ units: 2 })), x]),
      /branches that meet/,
    ],
    [
      "three branches",
      () => joined((x) => [deep(x), through(x, line()), through(x, line({ name: "b" }))]),
      /branches that meet/,
    ],
    [
      "a frozen linear layer",
      () => joined((x) => [deep(x), through(x, line({ trainable: false }))]),
      /branches that meet/,
    ],
    [
      "two linear layers",
      () => joined((x) => [through(x, dense({ units: 1 })), through(x, line())]),
      /a hidden layer beside the linear one.*got two linear ones/,
    ],
    [
      "a bend before the sum",
      () => joined((x) => [deep(x), through(x, line({ activation: "relu" }))]),
      /no activation before layer "sum".*after the sum/,
    ],
    [
      "a read-out that bends before the sum",
      () =>
        joined((x) => [
          through(x, dense({ units: 9, activation: "relu" }), dense({ units: 1, activation: "sigmoid" })),
          through(x, line()),
        ]),
      /no activation before layer "sum"/,
    ],
    [
      "more units than outputs",
      () => joined((x) => [deep(x), through(x, line({ units: 2 }))]),
      /1 unit in layer "line".*got 2/,
    ],
    [
      "a linear layer that begins elsewhere",
      () => joined((x) => [deep(through(x, dense({ units: 3, trainable: false }))), through(x, line())]),
      /branches that meet.*from where the hidden layer begins/,
    ],
    [
      "batch normalisation beside it",
      () =>
        joined((x) => [
          through(x, dense({ units: 9 }), tf.layers.batchNormalization(), tf.layers.reLU(), dense({ units: 1 })),
          through(x, line()),
        ]),
      /no batch normalisation beside a linear layer/,
    ],
    [
      "an l1 regularizer",
      () => joined((x) => [deep(x), through(x, line({ kernelRegularizer: tf.regularizers.l1({ l1: 0.1 }) }))]),
      /l2 regularizers only.*"line"/,
    ],
    [
      "a constraint in place of the loss",
      () => modelOf({ beta: null }),
      /got "interpolate".*Leave that layer out/,
      { regularization: "interpolate" },
    ],
    ["a rank", () => modelOf(), /no rank beside a linear layer that sees all columns/, { rank: 1 }],
    ["principal components", () => modelOf({ beta: null }), /no pca beside a linear layer/, { pca: 1 }],
    [
      "standardised columns beside its regularizer",
      () => modelOf({ beta: null, l2: 0.1 }),
      /standardize: true/,
      { standardize: true },
    ],
    ["a solver without a step for it", () => modelOf(), /admm: has no step for a linear part/, { solver: "admm" }],
  ];

  test.each(cases)("%s", async (_, make, says, options = { formulation: "relu" }) => {
    const { x, y } = dataOf(14);
    const signs = tf.tidy(() => tf.sign(y));
    const model = make();
    const before = model.getWeights().map((weight) => Array.from(weight.dataSync()));
    const target = model.loss === "hinge" ? signs : y;
    await expect(new ConvexReLUTrainer(options).fit(model, x, target)).rejects.toThrow(says);
    expect(model.getWeights().map((weight) => Array.from(weight.dataSync()))).toEqual(before);
    tf.dispose([x, y, signs]);
    model.dispose();
  });

  test("a free layer that fits any targets alone on the rows of a fold, which says so", async () => {
    const { x, y } = dataOf(10, 7);
    const model = modelOf({ features: 7, beta: null });
    const trainer = new ConvexReLUTrainer({ arrangements: { kind: "sample", count: 9 }, timeLimit: 5 });
    await expect(trainer.crossValidate(model, x, y, { folds: 5 })).rejects.toThrow(
      /on the 8 rows that a fold trains on, of 10 .*7 columns fits any targets alone.*raise folds/,
    );
    const held = new ConvexReLUTrainer({ regularization: "held-out" });
    await expect(held.fit(model, x, y)).rejects.toThrow(/rows that a fold trains on.*validationData.*"share"/);
    expect((await trainer.fit(model, x, y)).objective.total).toBeGreaterThanOrEqual(0);
    tf.dispose([x, y]);
    model.dispose();
  });

  test("a free layer that fits any targets alone on the rows of a fold has its beta by the share where nothing asks for folds", async () => {
    const { x, y } = dataOf(30, 25);
    const model = modelOf({ features: 25, beta: null });
    const { regularization, objective } = await new ConvexReLUTrainer({ timeLimit: 5 }).fit(model, x, y);
    expect(regularization.source).toBe("share");
    expect(objective.total).toBeGreaterThanOrEqual(0);
    tf.dispose([x, y]);
    model.dispose();
  });

  test("a free layer that fits any targets alone", async () => {
    const { x, y } = dataOf(4, 6);
    const model = modelOf({ features: 6 });
    await expect(new ConvexReLUTrainer().fit(model, x, y)).rejects.toThrow(
      /on 4 rows of 6 columns fits any targets alone.*more rows/,
    );
    tf.dispose([x, y]);
    model.dispose();
  });
});
