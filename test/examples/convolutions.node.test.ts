/** The convolutional examples on data of a few numbers: what their tables and plots are made from. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, test } from "vitest";
import { onProcessorClock } from "../../bench/support/measure.js";
import { compareOnComponents, fitOnComponents } from "../../examples/cifar/components.js";
import { compare } from "../../examples/cifar/experiment.js";
import { buildConvolution, predictByConvolution, signalsOf } from "../../examples/ecg/convolution.js";
import { madeSignal, windowsOf } from "../../examples/ecg/signal.js";
import { compareConvolutions } from "../../examples/mnist/convolution.js";
import { comparisonTable, plotComparison, spreadTable } from "../../examples/support/comparison.js";
import { type LabelledImages, mnistSource, readRecords } from "../../examples/support/images.js";
import { fitAgainstClock, type Grid } from "../../examples/support/rivals.js";
import { ConvexReLUTrainer, registerLayers, type TrainerOptions } from "../../src/index.js";
import { gaussianMatrix } from "../helpers/problems.js";

beforeAll(async () => {
  await tf.setBackend("cpu");
  registerLayers();
});

const grids: Grid[] = [
  { name: "Adam", rates: [0.01, 0.1], batchSizes: [16], make: (rate) => tf.train.adam(rate) },
  { name: "SGD", rates: [0.3, 1e9], batchSizes: [16], make: (rate) => tf.train.sgd(rate) },
];

/** Noise, in one class of `classes` with stripes of its own. */
function stripedImages(count: number, classes: number, seed: number): LabelledImages {
  const side = 6;
  const { data } = gaussianMatrix(count, side * side, seed);
  const x = Float32Array.from(data, (value, at) => {
    const kind = Math.floor(at / (side * side)) % classes;
    return 0.3 * value + ((at % side) % (kind + 1) === 0 ? 0.5 : -0.5);
  });
  const kinds = Array.from({ length: count }, (_, k) => k % classes);
  const y =
    classes === 2
      ? tf.tensor2d(kinds, [count, 1])
      : tf.tensor2d(
          kinds.flatMap((kind) => Array.from({ length: classes }, (_, c) => Number(c === kind))),
          [count, classes],
        );
  return { x: tf.tensor4d(x, [count, side, side, 1]), y };
}

test.each([2, 3])(
  "with %i classes no rival with the same gates is below the bound, and tuning avoids a rate that diverges",
  async (classes) => {
    const [train, unseen] = [stripedImages(24, classes, 1), stripedImages(12, classes, 2)];
    const before = tf.memory().numTensors;
    const settings = { gates: 5, kernelSize: 3, strides: 1, decay: 2e-3, tolerance: 1e-3, starts: 2, times: 0, grids };
    const { convex, rivals } = await compare(train, unseen, settings);
    const { dual, relativeGap } = convex.result.certificate;
    expect(relativeGap).toBeLessThanOrEqual(1e-3);
    expect(convex.objective).toBeLessThanOrEqual(dual * (1 + 2e-3));
    expect(convex.looks[convex.looks.length - 1].testAccuracy).toBeCloseTo(convex.testAccuracy, 5);
    expect(convex.looks[convex.looks.length - 1].trainAccuracy).toBeCloseTo(convex.trainAccuracy, 5);
    for (const { runs, choice } of rivals) {
      expect(choice.rate).toBeLessThan(1);
      expect(runs).toHaveLength(2);
      expect(runs[0].best).toBeLessThanOrEqual(runs[1].best);
      for (const run of runs) {
        expect(run.best).toBeGreaterThan(dual);
        expect(run.looks.every((look) => look.testAccuracy >= 0 && look.trainAccuracy >= 0)).toBe(true);
      }
    }
    expect(comparisonTable(convex, rivals)).toMatch(
      /convex .*\(proven\).*\nAdam, rate .*\nSGD, rate 0\.3, batch 16, 2 starts/,
    );
    const [adam] = rivals;
    const ends = adam.runs.map(({ looks }) => 100 * looks[looks.length - 1].testAccuracy);
    expect(spreadTable(convex, rivals)).toContain(
      `${((ends[0] + ends[1]) / 2).toFixed(1)} +- ${(Math.abs(ends[0] - ends[1]) / Math.SQRT2).toFixed(1)} %`,
    );
    const folder = mkdtempSync(join(tmpdir(), "comparison-"));
    await plotComparison(join(folder, "plot"), "Title of the plot", convex, rivals);
    expect(readFileSync(join(folder, "plot.svg"), "utf8")).toContain("Title of the plot");
    rmSync(folder, { recursive: true });
    convex.result.model.dispose();
    expect(tf.memory().numTensors).toBeLessThanOrEqual(before);
    tf.dispose([train.x, train.y, unseen.x, unseen.y]);
  },
);

test("on principal components no rival is below the bound, and the fit is the objective that rivals minimise", async () => {
  const [train, unseen] = [stripedImages(24, 2, 1), stripedImages(12, 2, 2)];
  const before = tf.memory().numTensors;
  const settings = { components: 6, units: 3, decay: 5e-3, biasScale: 3, tolerance: 1e-3 };
  const { convex, rivals } = await compareOnComponents(train, unseen, { ...settings, starts: 2, times: 0, grids });
  const { certificate, neurons } = convex.result;
  expect(certificate.relativeGap).toBeLessThanOrEqual(1e-3);
  expect(convex.objective).toBeLessThanOrEqual(certificate.dual * (1 + 2e-3));
  // The charge of the bias is what the model's own objective leaves out.
  expect(convex.objective).toBeGreaterThanOrEqual(convex.result.objective.total);
  expect(convex.testAccuracy).toBe(1);
  expect(rivals.map(({ name }) => name)).toEqual([
    "Adam, 3 neurons",
    "SGD, 3 neurons",
    `Adam, ${neurons} neurons`,
    `SGD, ${neurons} neurons`,
  ]);
  for (const { runs } of rivals) for (const run of runs) expect(run.best).toBeGreaterThan(certificate.dual);
  const kept = await fitOnComponents(train, unseen, { ...settings, units: neurons, starts: 1, times: 0 }, "keep");
  expect(kept.objective).toBeCloseTo(convex.objective, 8);
  for (const { result } of [convex, kept]) result.model.dispose();
  expect(tf.memory().numTensors).toBeLessThanOrEqual(before);
  tf.dispose([train.x, train.y, unseen.x, unseen.y]);
});

test("with averages of windows and squared loss no rival with the same gates is below the bound", async () => {
  const [train, unseen] = [stripedImages(24, 3, 1), stripedImages(12, 3, 2)];
  const before = tf.memory().numTensors;
  const settings = {
    gates: 4,
    kernelSize: 3,
    strides: 1,
    window: 2,
    decay: 1e-2,
    tolerance: 1e-3,
    starts: 2,
    times: 0,
  };
  const { convex, rivals } = await compareConvolutions(train, unseen, { ...settings, grids });
  const { dual, relativeGap } = convex.result.certificate;
  expect(relativeGap).toBeLessThanOrEqual(1e-3);
  expect(convex.objective).toBeLessThanOrEqual(dual * (1 + 2e-3));
  expect(convex.testAccuracy).toBeGreaterThan(0.8);
  expect(rivals.map(({ name }) => name)).toEqual(["Adam", "SGD"]);
  for (const { runs } of rivals) for (const run of runs) expect(run.best).toBeGreaterThan(dual);
  convex.result.model.dispose();
  expect(tf.memory().numTensors).toBeLessThanOrEqual(before);
  tf.dispose([train.x, train.y, unseen.x, unseen.y]);
});

test("ReLU filters grow unless told otherwise, and end below what any network with sampled gates can reach", async () => {
  const { x, y } = stripedImages(60, 2, 4);
  const kernelRegularizer = tf.regularizers.l2({ l2: 2e-3 });
  const train = (options: TrainerOptions) => {
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({
          filters: 1,
          kernelSize: 3,
          useBias: false,
          activation: "relu",
          inputShape: [6, 6, 1],
          kernelRegularizer,
        }),
        tf.layers.averagePooling2d({ poolSize: 2 }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 1, activation: "sigmoid", kernelRegularizer }),
      ],
    });
    model.compile({ optimizer: "sgd", loss: "binaryCrossentropy" });
    return new ConvexReLUTrainer({ tolerance: 1e-3, width: "resize", ...options }).fit(model, x, y);
  };
  const grown = await train({});
  const sampled = await train({ arrangements: { kind: "sample", count: 30 } });
  expect(grown.certificate.evidence?.starts).toBeGreaterThan(0);
  expect(grown.certificate.network).toBeLessThan(sampled.certificate.dual);
  tf.dispose([x, y]);
});

test("a run ends when its time is over, and the clock stands still during looks", async () => {
  const { x, y } = stripedImages(24, 2, 3);
  const model = tf.sequential({
    layers: [tf.layers.flatten({ inputShape: [6, 6, 1] }), tf.layers.dense({ units: 1 })],
  });
  model.compile({ optimizer: tf.train.sgd(0.01), loss: "meanSquaredError" });
  const run = await fitAgainstClock(model, { x, y, test: { x, y } }, 0.1, 8);
  expect(run.seconds).toBeGreaterThanOrEqual(0.1);
  expect(run.best).toBe(Math.min(...run.looks.map(({ objective }) => objective)));
  expect(run.looks[run.looks.length - 1].seconds).toBe(run.seconds);
  expect(run.looks.length).toBeLessThan(run.epochs + 2);
  tf.dispose([x, y]);
});

test("filters of a conv1d that grow predict a heartbeat with less error than the trained-on signal's last sample", async () => {
  const signal = madeSignal(220, 2);
  const [train, unseen] = [windowsOf(signal, 12, 0, 120), windowsOf(signal, 12, 120, 220)];
  const settings = { kernelSize: 9, filters: 4, decay: 5e-4, tolerance: 2e-2, timeLimit: 20 };
  const { result, error, predicted } = await onProcessorClock(() => predictByConvolution(train, unseen, settings));
  const last = unseen.y.reduce((sum, value, k) => sum + (value - unseen.x[12 * k + 11]) ** 2, 0) / unseen.rows;
  expect(predicted).toHaveLength(unseen.rows);
  expect(error).toBeLessThan(last);
  expect(result.certificate.evidence?.starts).toBeGreaterThan(0);
  const rival = buildConvolution(12, { ...settings, filters: result.neurons }, tf.train.adam(0.01));
  const data = signalsOf(train);
  await rival.fit(data.x, data.y, { epochs: 20, verbose: 0 });
  const objective = tf.tidy(
    () => (rival.evaluate(data.x, data.y) as tf.Scalar).dataSync()[0] + rival.calculateLosses()[0].dataSync()[0],
  );
  expect(objective).toBeGreaterThan(result.certificate.network);
  tf.dispose([data.x, data.y]);
  rival.dispose();
  result.model.dispose();
});

test("images come as they are stored: digits of the classes asked for, and records of the CIFAR-10 binary format", () => {
  const { x, y } = mnistSource.read("test", 20, [4, 9]);
  expect(x.shape).toEqual([20, 28, 28, 1]);
  // The first digits of the test set are 7 2 1 0 4 1 4 9 5 9.
  expect(Array.from(y.dataSync()).slice(0, 4)).toEqual([0, 0, 1, 1]);
  tf.dispose([x, y]);
  const folder = mkdtempSync(join(tmpdir(), "records-"));
  const record = Uint8Array.from({ length: 3073 }, (_, at) =>
    at === 0 ? 1 : Math.floor((at - 1) / 1024) + 10 * ((at - 1) % 1024),
  );
  writeFileSync(join(folder, "one.bin"), record);
  const { pixels, labels } = readRecords(join(folder, "one.bin"));
  rmSync(folder, { recursive: true });
  expect(Array.from(labels)).toEqual([1]);
  expect(Array.from(pixels.subarray(0, 6))).toEqual([0, 1, 2, 10, 11, 12]);
});
