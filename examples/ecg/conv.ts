/**
 * One-step prediction of an electrocardiogram by a conv1d network with growing gates, against Adam and SGD with tuned rates on
 * the same model, and against a linear predictor.
 *
 *     npx tsx examples/ecg/conv.ts [file.csv]
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { plotConvergence } from "../support/plot.js";
import { optimizers, race } from "../support/rivals.js";
import { table } from "../support/table.js";
import { buildConvolution, predictByConvolution, signalsOf } from "./convolution.js";
import { linearPredictor } from "./experiment.js";
import { madeSignal, windowsOf } from "./signal.js";
import { signalFrom } from "./signalFile.js";

const TRAIN = 300;
const TEST = 300;
const WIDTH = 15;
const STARTS = 3;
const SETTINGS = { kernelSize: 9, filters: 8, decay: 5e-5, tolerance: 1e-2, timeLimit: 30 };

/** A mean squared error of a few millivolts wants smaller steps than the classes of images. */
const GRIDS = optimizers.map((grid) => ({
  ...grid,
  rates: grid.rates.map((rate) => Number((rate / 10).toPrecision(1))),
}));

await tf.setBackend("cpu");
const file = process.argv[2];
const signal = file === undefined ? madeSignal(TRAIN + TEST, 1) : signalFrom(file, TRAIN + TEST);
const train = windowsOf(signal, WIDTH, 0, TRAIN);
const test = windowsOf(signal, WIDTH, TRAIN, TRAIN + TEST);
const { result, error, points } = await predictByConvolution(train, test, SETTINGS);
const { certificate, seconds, neurons } = result;
console.log(`${certificate.claim}\nStatus: ${result.status}. ${neurons} filters of ${SETTINGS.kernelSize} samples.\n`);

const [data, unseen] = [signalsOf(train), signalsOf(test)];
const rivals = await race(
  (optimizer, seed) => buildConvolution(WIDTH, { ...SETTINGS, filters: neurons }, optimizer, seed),
  { ...data, test: unseen },
  { seconds, starts: STARTS, trial: 0.05 * seconds, grids: GRIDS, report: (line) => console.log(line) },
);
const linear = linearPredictor(train);
const errorOf = (predict: (k: number) => number) =>
  test.y.reduce((sum, value, k) => sum + (predict(k) - value) ** 2, 0) / test.rows;
const window = (k: number) => test.x.subarray(k * WIDTH, (k + 1) * WIDTH);
console.log(
  `\n${table([
    ["method", "objective", "error on test windows", "seconds"],
    ["convex conv1d network", certificate.network.toExponential(4), error.toExponential(3), seconds.toFixed(1)],
    ...rivals.map(({ name, choice, runs }) => [
      `${name}, rate ${choice.rate}, best of ${STARTS}`,
      runs[0].best.toExponential(4),
      "",
      runs[0].seconds.toFixed(1),
    ]),
    ["linear, least squares", "", errorOf((k) => linear(window(k))).toExponential(3), ""],
    ["the last sample", "", errorOf((k) => window(k)[WIDTH - 1]).toExponential(3), ""],
  ])}`,
);

const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
await plotConvergence(
  join(folder, "conv"),
  [
    { method: "convex", points },
    ...rivals.map(({ name, runs }) => ({ method: name, points: runs[0].looks.filter((look) => look.seconds > 0) })),
  ],
  { solvedAt: seconds, lowerBound: certificate.dual, title: "conv1d on a heartbeat: objective over training time" },
);
console.log("Written: examples/ecg/out/conv.svg, examples/ecg/out/conv.png");
console.log(
  `What it showed: ${neurons} filters are proven to be within ${(100 * certificate.relativeGap).toPrecision(2)} % of the best; the best ` +
    `start of ${rivals.map(({ name, runs }) => `${name} ended ${(100 * (runs[0].best / certificate.dual - 1)).toFixed(1)} % above`).join(", of ")} the bound.`,
);
tf.dispose([data.x, data.y, unseen.x, unseen.y]);
result.model.dispose();
