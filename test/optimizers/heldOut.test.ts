import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { ConvexReLUTrainer, certify, type FitArgs, type TrainerOptions } from "../../src/index.js";
import { makeConvModel } from "../helpers/convModels.js";
import { type ModelOptions, makeData, makeModel, weightsIn } from "../helpers/models.js";

beforeAll(() => tf.setBackend("cpu"));

const few: TrainerOptions = { arrangements: { kind: "sample", count: 40, seed: 1 }, tolerance: 1e-3 };
const heldOut = (options: TrainerOptions = {}) =>
  new ConvexReLUTrainer({ ...few, regularization: "held-out", ...options });

/** Rows of two columns, their targets, and further rows to judge by. */
function table(rows: number, target: (a: number, b: number, noise: number) => number, seed: number) {
  const draw = gaussianSource(seed);
  const points = Array.from({ length: rows }, () => [Math.tanh(draw()), Math.tanh(draw())]);
  const values = points.map(([a, b]) => [target(a, b, draw())]);
  return { x: tf.tensor2d(points), y: tf.tensor2d(values) };
}

/** Standard deviations of the columns. */
function spreads(x: tf.Tensor2D): Float32Array {
  return tf.tidy(() => tf.moments(x, 0).variance.sqrt().dataSync() as Float32Array);
}

test("on a smooth table without noise it takes a smaller beta than the fixed share, whose loss on rows held out is larger", async () => {
  const { x, y } = table(80, (a, b) => Math.sin(5 * a) + Math.cos(4 * b), 3);
  const model = makeModel({ inputs: 2, units: 60 });
  const options = { ...few, tolerance: 5e-2, maxIterations: 20 };
  const auto = await new ConvexReLUTrainer({ ...options, regularization: "share" }).fit(model, x, y);
  const { regularization } = await heldOut(options).fit(model, x, y);
  expect(regularization.beta).toBeLessThan(0.5 * auto.regularization.beta);
  const { betas = [], mean = [] } = regularization.curve ?? {};
  const usual = betas.findIndex((beta) => beta < 1.5 * auto.regularization.beta);
  expect(Math.min(...mean)).toBeLessThan(0.95 * mean[usual]);
  tf.dispose([x, y]);
  model.dispose();
});

test("on a table of noise it takes a beta near that of the zero network, and the curve and a note say so", async () => {
  const { x, y } = table(80, (_a, _b, noise) => noise, 5);
  const model = makeModel({ inputs: 2, units: 60 });
  const { regularization, notes } = await heldOut().fit(model, x, y);
  const auto = await new ConvexReLUTrainer({ ...few, regularization: "share" }).fit(model, x, y);
  expect(regularization.beta).toBeGreaterThan(100 * auto.regularization.beta);
  const { source, beta, curve } = regularization;
  expect(source).toBe("held-out");
  const { betas = [], mean = [], standardError = [], by, whole } = curve ?? {};
  expect([by, whole]).toEqual(["folds", true]);
  expect([mean.length, standardError.length]).toEqual([betas.length, betas.length]);
  expect([...betas].sort((a, b) => b - a)).toEqual(betas);
  expect(beta).toBe(betas[mean.findIndex((value) => value <= 1.02 * Math.min(...mean))]);
  expect(standardError.every((value) => value > 0)).toBe(true);
  expect(notes.some((note) => note.includes("mean loss on rows held out in folds is within 2 % of the least"))).toBe(
    true,
  );
  tf.dispose([x, y]);
  model.dispose();
});

test("absolute errors do not hold up the descents that judge a beta: smaller ones go on to fit the noise", async () => {
  const draw = gaussianSource(2);
  const rows = Array.from({ length: 120 }, () => Array.from({ length: 16 }, () => Number(draw() > 0.5)));
  const count = (row: readonly number[]) => row.slice(0, 5).reduce((sum, one) => sum + one, 0);
  const [x, y] = [tf.tensor2d(rows), tf.tensor2d(rows.map((row) => [Math.abs(count(row) - 1.5) + 0.3 * draw()]))];
  const model = makeModel({ inputs: 16, units: 20, loss: "meanAbsoluteError" });
  const { regularization } = await heldOut({ tolerance: 1e-1 }).fit(model, x, y);
  const { mean = [] } = regularization.curve ?? {};
  expect(mean.length).toBeGreaterThan(4);
  // Kinks that are not rounded off leave all of these at the same network.
  expect(new Set(mean.slice(2).map((value) => value.toFixed(4))).size).toBeGreaterThan(2);
  tf.dispose([x, y]);
  model.dispose();
});

test("validation data judge where there are any: those that noise spoils want a larger beta", async () => {
  const smooth = (a: number, b: number) => Math.abs(a) - b;
  const { x, y } = table(60, (a, b, noise) => smooth(a, b) + 0.3 * noise, 6);
  const like = table(60, smooth, 7);
  const unlike = table(60, (_a, _b, noise) => noise, 8);
  const chosen: number[] = [];
  for (const { x: heldX, y: heldY } of [like, unlike]) {
    const model = makeModel({ inputs: 2, units: 60 });
    const { regularization } = await heldOut().fit(model, x, y, { validationData: [heldX, heldY] });
    expect(regularization.curve?.by).toBe("validation data");
    chosen.push(regularization.beta);
    model.dispose();
  }
  expect(chosen[1]).toBeGreaterThan(3 * chosen[0]);
  tf.dispose([x, y, like.x, like.y, unlike.x, unlike.y]);
});

const kinds: [title: string, shape: ModelOptions, args?: FitArgs, options?: TrainerOptions][] = [
  ["classes", { loss: "categoricalCrossentropy", units: 60 }],
  ["margins and weights", { loss: "hinge" }, { sampleWeight: Array.from({ length: 30 }, (_, k) => k % 3) }],
  ["a gated layer with its own gates", { formulation: "gated" }],
  ["a share held out", { loss: "binaryCrossentropy" }, { validationSplit: 0.3 }],
  ["principal components", {}, {}, { pca: 2 }],
  ["no biases", { hiddenBias: false, outputBias: false }],
];
test.each(kinds)("%s: twice the same, no tensor left over", async (_, shape, args, options) => {
  const { x, y } = makeData(shape.loss);
  const model = makeModel({ units: 40, ...shape });
  const given = { ...few, ...options };
  if (shape.formulation === "gated") delete (given as { arrangements?: object }).arrangements;
  const trainer = () => new ConvexReLUTrainer({ ...given, regularization: "held-out" });
  const tensors = tf.memory().numTensors;
  const first = await trainer().fit(model, x, y, args);
  expect(tf.memory().numTensors).toBe(tensors);
  const fresh = makeModel({ units: 40, ...shape });
  const again = await trainer().fit(fresh, x, y, args);
  expect(again.regularization).toEqual(first.regularization);
  expect(first.regularization.source).toBe("held-out");
  expect(first.regularization.curve?.mean.every(Number.isFinite)).toBe(true);
  expect(first.certificate.relativeGap).toBeLessThan(1);
  tf.dispose([x, y]);
  fresh.dispose();
  model.dispose();
});

test("without an option rows decide from 30 rows on, and a share of the largest beta below; so for train, and for auto by its name", async () => {
  for (const rows of [29, 30]) {
    const { x, y } = table(rows, (a, b, noise) => a - b + 0.1 * noise, 9);
    const model = makeModel({ inputs: 2, units: 20 });
    const quick = { ...few, maxIterations: 5 };
    const byDefault = await new ConvexReLUTrainer(quick).fit(model, x, y);
    const named = await new ConvexReLUTrainer({ ...quick, regularization: "auto" }).fit(model, x, y);
    const trained = await new ConvexReLUTrainer(quick).train(x, y, { loss: "meanSquaredError" });
    const wanted = rows < 30 ? "share" : "held-out";
    expect([byDefault, named, trained].map(({ regularization }) => regularization.source)).toEqual(
      Array(3).fill(wanted),
    );
    expect(named.regularization).toEqual(byDefault.regularization);
    expect(
      byDefault.notes.some((note) =>
        note.includes(rows < 30 ? "1e-3 of the smallest beta" : "within 2 % of the least"),
      ),
    ).toBe(true);
    tf.dispose([x, y]);
    model.dispose();
    trained.model.dispose();
  }
});

test("units of measurement change the beta that predicts best by a step of the grid at most: descents end a little apart", async () => {
  const { x, y } = table(60, (a, b, noise) => Math.abs(a) - b + 0.5 * noise, 12);
  const coarse = tf.tidy(() => x.mul(64).round().div(64) as tf.Tensor2D); // so that offsets change no digit
  const found: { beta: number; least: number }[] = [];
  for (const [scale, offset] of [
    [1, 0],
    [2 ** 20, 300],
    [2 ** -12, -900],
  ]) {
    const X = tf.tidy(() => coarse.add(tf.tensor1d([offset, 0])).mul(tf.tensor1d([scale, 1])) as tf.Tensor2D);
    const model = makeModel({ inputs: 2, units: 20 });
    const { regularization } = await new ConvexReLUTrainer({ ...few, maxIterations: 3 }).fit(model, X, y);
    const { beta, curve } = regularization;
    found.push({ beta: beta / Math.max(...spreads(X)), least: Math.min(...(curve?.mean ?? [])) }); // beta has the unit of the widest column
    X.dispose();
    model.dispose();
  }
  const [{ beta, least }, ...others] = found;
  for (const other of others) {
    expect(Math.abs(Math.log10(other.beta / beta))).toBeLessThan(0.51);
    expect(Math.abs(other.least / least - 1)).toBeLessThan(0.05);
  }
  tf.dispose([x, y, coarse]);
});

test("without an option few validation rows do not judge: folds do", async () => {
  const { x, y } = table(40, (a, b) => a - b, 10);
  for (const [held, by] of [
    [29, "folds"],
    [30, "validation data"],
  ] as const) {
    const judges = table(held, (a, b) => a - b, 11);
    const model = makeModel({ inputs: 2, units: 20 });
    const { regularization } = await new ConvexReLUTrainer({ ...few, maxIterations: 5 }).fit(model, x, y, {
      validationData: [judges.x, judges.y],
    });
    expect(regularization.curve?.by).toBe(by);
    tf.dispose([judges.x, judges.y]);
    model.dispose();
  }
  tf.dispose([x, y]);
});

test("train, one layer alone, and convolutions take it, too", async () => {
  const { x, y } = makeData();
  const trained = await heldOut().train(x, y, { loss: "meanSquaredError" });
  expect(trained.regularization.source).toBe("held-out");
  const alone = tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [x.shape[1] as number] })] });
  alone.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  const one = await new ConvexReLUTrainer({ regularization: "held-out" }).fit(alone, x, y);
  expect([one.regularization.source, one.status]).toEqual(["held-out", "solved"]);
  const conv = makeConvModel();
  const images = tf.randomNormal([20, ...(conv.inputs[0].shape.slice(1) as number[])], 0, 1, "float32", 1);
  const targets = tf.randomNormal([20, conv.outputs[0].shape[1] as number], 0, 1, "float32", 2);
  const filters = await heldOut().fit(conv, images, targets);
  expect(filters.regularization.source).toBe("held-out");
  tf.dispose([x, y, images, targets]);
  for (const each of [trained.model, alone, conv]) each.dispose();
});

test("without time for a single beta it takes the one of the fixed share, and says so; so does an abort", async () => {
  const { x, y } = makeData();
  const model = makeModel({ units: 60 });
  const auto = await new ConvexReLUTrainer({ ...few, regularization: "share" }).fit(model, x, y);
  const stop = new AbortController();
  stop.abort();
  for (const options of [{ timeLimit: 1e-9 }, { signal: stop.signal }]) {
    const { regularization, notes } = await heldOut(options).fit(model, x, y);
    expect(regularization.curve).toMatchObject({ betas: [], whole: false });
    expect(regularization.beta / auto.regularization.beta).toBeGreaterThan(0.3);
    expect(regularization.beta / auto.regularization.beta).toBeLessThan(3);
    expect(notes.some((note) => note.includes("did not suffice to judge any beta"))).toBe(true);
  }
  tf.dispose([x, y]);
  model.dispose();
});

test("of gated networks a sample's first gates are enough to judge betas by: as many more change nothing of the curve", async () => {
  const { x, y } = table(60, (a, b, noise) => Math.sin(5 * a) + b + 0.1 * noise, 3);
  const curves = [];
  for (const count of [128, 600]) {
    const model = makeModel({ inputs: 2, units: 60, formulation: "gated" });
    const arrangements = { kind: "sample", count, seed: 1 } as const;
    const { regularization, gates } = await heldOut({ arrangements, width: "resize" }).fit(model, x, y);
    curves.push(regularization.curve);
    expect(gates.count).toBe(count);
    model.dispose();
  }
  expect(curves[1]?.betas.length).toBeGreaterThan(4);
  expect(curves[1]).toEqual(curves[0]);
  tf.dispose([x, y]);
});

test("regularizers of the layers, too few rows and certificates are refused in a sentence, and the weights stay", async () => {
  const { x, y } = makeData();
  const own = makeModel({ l2: 1e-3 });
  const before = weightsIn(own);
  await expect(heldOut().fit(own, x, y)).rejects.toThrow(/without l2 regularizers for regularization "held-out"/);
  expect(weightsIn(own)).toEqual(before);
  const model = makeModel();
  const [someX, someY] = [tf.slice(x, 0, 4), tf.slice(y, 0, 4)];
  await expect(heldOut().fit(model, someX, someY)).rejects.toThrow(
    /at least 5 rows for regularization "held-out".*got 4/,
  );
  const flat = tf.zerosLike(y);
  await expect(heldOut().fit(model, x, flat)).rejects.toThrow(/so that "held-out" has no scale/);
  await expect(certify(model, x, y, { regularization: "held-out" as "share" })).rejects.toThrow(/got "held-out"/);
  tf.dispose([x, y, someX, someY, flat]);
  own.dispose();
  model.dispose();
});
