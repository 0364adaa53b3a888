import * as tf from "@tensorflow/tfjs";
import { beforeAll, describe, expect, test } from "vitest";
import { lossNames } from "../../src/convex/losses/index.js";
import type { LossName } from "../../src/convex/types.js";
import { ConvexReLUTrainer, certify, joinNetworks, optimalSet, WorkerTrainer } from "../../src/index.js";
import { makeConvModel, makeImages } from "../helpers/convModels.js";
import { type ModelOptions, makeData, makeModel } from "../helpers/models.js";
import { startWorker } from "../helpers/workers.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** Of data with rows of both classes among those that count. */
const SEED = 5;

interface Weighed {
  readonly x: tf.Tensor;
  readonly y: tf.Tensor;
  readonly weights: number[];
  /** The rows of weight above 0 alone, with weights by which tfjs's mean over them is that over all. */
  readonly subset: { readonly x: tf.Tensor; readonly y: tf.Tensor; readonly weights: number[] };
}

/** Every third row has weight 0 and is wild: the largest of all, in columns of its own. */
function weighed(x: tf.Tensor, y: tf.Tensor): Weighed {
  const n = x.shape[0];
  const weights = Array.from({ length: n }, (_, k) => (k % 3 === 1 ? 0 : 0.5 + (k % 4)));
  const kept = weights.flatMap((weight, k) => (weight > 0 ? [k] : []));
  const wild = tf.tidy(() => {
    const factor = tf.tensor(Array.from({ length: n }, (_, k) => (k % 3 === 1 ? 40 : 1)));
    return x.mul(factor.reshape([n, ...x.shape.slice(1).map(() => 1)]));
  });
  const part = (tensor: tf.Tensor) => tf.tidy(() => tf.gather(tensor, tf.tensor1d(kept, "int32")));
  const subset = { x: part(wild), y: part(y), weights: kept.map((k) => (kept.length / n) * weights[k]) };
  x.dispose();
  return { x: wild, y, weights, subset };
}

function disposeAll({ x, y, subset }: Weighed): void {
  tf.dispose([x, y, subset.x, subset.y]);
}

/** Data loss by the definition, over all rows as tfjs's mean has them. */
function weighedLoss(model: tf.Sequential, loss: LossName, { x, y, weights }: Weighed): number {
  return tf.tidy(() => {
    const apart = { meanSquaredError: tf.losses.meanSquaredError, meanAbsoluteError: tf.losses.absoluteDifference };
    const judge = apart[loss as keyof typeof apart];
    const losses = judge(y, model.predict(x) as tf.Tensor, undefined, tf.Reduction.NONE) as tf.Tensor;
    return losses.mean(-1).mul(tf.tensor1d(weights)).mean().dataSync()[0];
  });
}

const trainer = new ConvexReLUTrainer({ width: "resize", tolerance: 1e-6, vectorPenalty: "perOutput" });

describe.each(["relu", "gated"] as const)("a %s network", (formulation) => {
  const biases: readonly Pick<ModelOptions, "hiddenBias" | "outputBias" | "biasL2">[] = [
    { hiddenBias: true, outputBias: true, biasL2: 0 },
    { hiddenBias: true, outputBias: false },
    { hiddenBias: false, outputBias: false },
  ];
  test.each(lossNames.flatMap((loss) => biases.map((bias) => ({ loss, ...bias }))))(
    "rows of weight 0 are no rows: $loss, hidden bias $hiddenBias, output bias $outputBias",
    async ({ loss, ...bias }) => {
      const { x, y } = makeData(loss, 18, 2, undefined, SEED);
      const data = weighed(x, y);
      const model = makeModel({ loss, formulation, inputs: 2, units: 40, l2: 5e-3, ...bias });
      const whole = await trainer.fit(model, data.x, data.y, { sampleWeight: data.weights });
      const { subset } = data;
      const alone = await trainer.fit(model, subset.x, subset.y, { sampleWeight: subset.weights });
      expect(whole.status).toBe("solved");
      expect(whole.certificate.relativeGap).toBeLessThan(1e-6);
      expect(whole.gates.rows).toBe(12);
      expect(whole.certificate.primal / alone.certificate.primal).toBeCloseTo(1, 8);
      expect(whole.certificate.dual / alone.certificate.dual).toBeCloseTo(1, 8);
      expect(whole.certificate.scope).toBe(alone.certificate.scope);
      if (loss === "meanSquaredError" || loss === "meanAbsoluteError")
        expect(weighedLoss(whole.model, loss, data)).toBeCloseTo(whole.objective.loss, 5);
      const judged = await certify(whole.model, data.x, data.y, { sampleWeight: data.weights });
      expect(judged.objective.loss).toBeCloseTo(whole.objective.loss, 6);
      expect(judged.certificate.dual).toBeLessThanOrEqual(judged.certificate.primal);
      disposeAll(data);
      model.dispose();
    },
  );
});

test.each(["average", "flatten"] as const)("images of weight 0 are none, read out by %s", async (readOut) => {
  const model = makeConvModel({ readOut, l2: 5e-3, outputBias: false, filters: 100 });
  const { x, y } = makeImages(model, "meanSquaredError", 12);
  const data = weighed(x, y);
  const sampled = new ConvexReLUTrainer({ width: "resize", arrangements: { kind: "sample", count: 20 } });
  const whole = await sampled.fit(model, data.x, data.y, { sampleWeight: data.weights });
  const alone = await sampled.fit(model, data.subset.x, data.subset.y, { sampleWeight: data.subset.weights });
  expect(whole.status).toBe("solved");
  expect(whole.certificate.primal / alone.certificate.primal).toBeCloseTo(1, 8);
  disposeAll(data);
  model.dispose();
});

test("a class of weight 0 is none, and a validation split is cut before rows are left out", async () => {
  const { x, y } = makeData("binaryCrossentropy", 20, 2, 1, SEED);
  const model = makeModel({ loss: "binaryCrossentropy", inputs: 2, units: 40, l2: 1e-3, outputBias: false });
  const labels = Array.from(await y.data());
  const byClass = await trainer.fit(model, x, y, { classWeight: { 0: 0, 1: 2 } });
  const byRow = await trainer.fit(model, x, y, { sampleWeight: labels.map((label) => 2 * label) });
  expect(byClass.status).toBe("solved");
  expect(byClass.certificate.primal).toBeCloseTo(byRow.certificate.primal, 10);
  const split = await trainer.fit(model, x, y, {
    sampleWeight: labels.map((_, k) => (k === 0 ? 0 : 1)),
    validationSplit: 0.25,
  });
  expect(split.gates.rows).toBe(14);
  expect(split.history.val_loss.length).toBe(split.epoch.length);
  tf.dispose([x, y]);
  model.dispose();
});

test("path, cross-validation, optimal sets and joined networks are those of the rows that count", async () => {
  const { x, y } = makeData("meanSquaredError", 18, 2);
  const data = weighed(x, y);
  const { subset } = data;
  const model = makeModel({ inputs: 2, units: 40, outputBias: false });
  const args = { count: 3, ratio: 1e-2 };
  const whole = await trainer.path(model, data.x, data.y, { ...args, sampleWeight: data.weights });
  const alone = await trainer.path(model, subset.x, subset.y, { ...args, sampleWeight: subset.weights });
  whole.points.forEach((point, k) => {
    expect(point.status).toBe("solved");
    expect(point.certificate.primal / alone.points[k].certificate.primal).toBeCloseTo(1, 8);
    expect(point.metrics.loss / alone.points[k].metrics.loss).toBeCloseTo(1, 8);
  });
  const folds = { ...args, folds: 3 };
  const crossed = await trainer.crossValidate(model, data.x, data.y, { ...folds, sampleWeight: data.weights });
  const crossedAlone = await trainer.crossValidate(model, subset.x, subset.y, {
    ...folds,
    sampleWeight: subset.weights,
  });
  crossed.mean.forEach((mean, k) => {
    expect(mean / crossedAlone.mean[k]).toBeCloseTo(1, 8);
  });
  const charged = makeModel({ inputs: 2, units: 40, outputBias: false, l2: 1e-3 });
  const fitted = await trainer.fit(charged, data.x, data.y, { sampleWeight: data.weights });
  const set = await optimalSet(fitted);
  const setAlone = await optimalSet(await trainer.fit(charged, subset.x, subset.y, { sampleWeight: subset.weights }));
  expect(set.candidates).toBe(setAlone.candidates);
  expect(set.relativeGap).toBeLessThan(1e-9);
  const joined = await joinNetworks(fitted.model, fitted.model, data.x, data.y, { sampleWeight: data.weights });
  expect(joined.points[0].objective / fitted.objective.total).toBeCloseTo(1, 6);
  disposeAll(data);
  model.dispose();
  charged.dispose();
});

test("in a worker a weight of 0 means the same", async () => {
  const { x, y } = makeData("meanSquaredError", 18, 2);
  const data = weighed(x, y);
  const model = makeModel({ inputs: 2, units: 40, l2: 5e-3, outputBias: false });
  const worker = await startWorker();
  const there = await new WorkerTrainer(worker, { width: "resize" }).fit(model, data.x, data.y, {
    sampleWeight: data.weights,
  });
  const here = await new ConvexReLUTrainer({ width: "resize" }).fit(model, data.x, data.y, {
    sampleWeight: data.weights,
  });
  expect(there.status).toBe("solved");
  expect(there.certificate.primal).toBeCloseTo(here.certificate.primal, 10);
  expect(there.problem.program.X.rows).toBe(12);
  expect((await optimalSet(there)).relativeGap).toBeLessThan(1e-9);
  worker.terminate();
  disposeAll(data);
  model.dispose();
});

test.each([
  ["zeros only", { sampleWeight: new Array(18).fill(0) }, /expected a sample weight above 0/],
  ["a negative one", { sampleWeight: [-1, ...new Array(17).fill(1)] }, /at least 0, got -1 in row 0/],
  ["NaN", { sampleWeight: [Number.NaN, ...new Array(17).fill(1)] }, /at least 0, got NaN in row 0/],
  ["classes that leave nothing", { classWeight: { 0: 0, 1: 0 } }, /expected a sample weight above 0/],
  [
    "classes and rows that together leave nothing",
    { classWeight: { 0: 0, 1: 1 }, sampleWeight: (y: number[]) => y.map((label) => 1 - label) },
    /expected a sample weight above 0/,
  ],
  ["one row left", { sampleWeight: [1, ...new Array(17).fill(0)] }, /at least 2 rows, got 1 \(of weight above 0\)/],
  [
    "nothing left of those before a validation split",
    { sampleWeight: Array.from({ length: 18 }, (_, k) => (k < 9 ? 0 : 1)), validationSplit: 0.5 },
    /expected a sample weight above 0/,
  ],
])("weights that leave nothing to fit are refused, and nothing changes: %s", async (_, given, sentence) => {
  const { x, y } = makeData("binaryCrossentropy", 18, 2, 1, SEED);
  const labels = Array.from(await y.data());
  const model = makeModel({ loss: "binaryCrossentropy", inputs: 2, l2: 1e-3 });
  const before = model.getWeights().map((weight) => Array.from(weight.dataSync()));
  const { sampleWeight } = given as { sampleWeight?: number[] | ((y: number[]) => number[]) };
  const args = { ...given, ...(typeof sampleWeight === "function" ? { sampleWeight: sampleWeight(labels) } : {}) };
  await expect(trainer.fit(model, x, y, args as object)).rejects.toThrow(sentence);
  expect(model.getWeights().map((weight) => Array.from(weight.dataSync()))).toEqual(before);
  tf.dispose([x, y]);
  model.dispose();
});

describe("weights of next to nothing", () => {
  test.each(["meanSquaredError", "huberLoss", "binaryCrossentropy", "hinge"] as const)(
    "of rows, from 1e-8 to 1e-30, are solved to one objective: %s",
    async (loss) => {
      const { x, y } = makeData(loss, 24, 3);
      const objectives: number[] = [];
      for (const small of [1e-8, 1e-12, 1e-18, 1e-30]) {
        const model = makeModel({ loss, l2: 1e-3 });
        const sampleWeight = Array.from({ length: 24 }, (_, k) => (k % 3 === 1 ? small : 1));
        const arrangements = { kind: "sample", count: 12, seed: 1 } as const;
        const { status, certificate } = await new ConvexReLUTrainer({ width: "resize", arrangements, threads: 1 }).fit(
          model,
          x,
          y,
          { sampleWeight },
        );
        expect([small, status]).toEqual([small, "solved"]);
        expect(certificate.relativeGap).toBeGreaterThanOrEqual(0);
        objectives.push(certificate.primal);
      }
      for (const objective of objectives) expect(objective / objectives[0]).toBeCloseTo(1, 3);
      tf.dispose([x, y]);
    },
  );
});
