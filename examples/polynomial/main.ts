/**
 * Programs whose variable is a matrix: polynomial units on a planted network (m = 10, n = 100, d = 10) against SGD and Adam, and
 * weights of -1 and 1 on two classes (n = 228, d = 9) against straight-through descent.
 *
 *     npm run demo:polynomial
 *
 * The two classes are the breast cancer data where the folder BENCH_DATA has them, else a made table like them.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { secondsNow } from "../support/clock.js";
import { plotAccuracies, plotColors, plotConvergence } from "../support/plot.js";
import { errorOf } from "../support/points.js";
import { table } from "../support/table.js";
import { useFastBackend } from "../support/train.js";
import {
  convexFlowers,
  convexPolynomial,
  descendPolynomial,
  makeCells,
  makePlantedPolynomial,
  plainPolynomial,
  quantizedCells,
  RELU_LIKE,
  readCells,
  straightThrough,
} from "./experiment.js";

const EPOCHS = 400;
const STEPS = 1500;
const BETA = 0.01;

const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
console.log(`TensorFlow.js on ${await useFastBackend()}.\n`);

const points = makePlantedPolynomial(100, 10, 10, RELU_LIKE, 1);
const convex = await convexPolynomial(points, RELU_LIKE, BETA);
const rows = [["method", "objective", "proven gap", "units", "seconds"]];
const { certificate, units, seconds } = convex;
rows.push([
  "convex",
  certificate.network.toFixed(6),
  certificate.relativeGap.toExponential(1),
  `${units}`,
  seconds.toFixed(2),
]);
const curves: { method: string; points: { seconds: number; objective: number }[] }[] = [];
for (const [name, width, optimizer] of [
  ["SGD, rate 0.1", 10, () => tf.train.sgd(0.1)],
  ["Adam, rate 0.02", 10, () => tf.train.adam(0.02)],
  ["Adam, rate 0.02", 40, () => tf.train.adam(0.02)],
] as const) {
  const model = plainPolynomial(points, width, RELU_LIKE, BETA, optimizer(), 1);
  const seen: { seconds: number; objective: number }[] = [];
  const began = secondsNow();
  const lowest = await descendPolynomial(model, points, EPOCHS, (objective) => {
    seen.push({ seconds: secondsNow() - began, objective });
  });
  const method = `${name}, ${width} units`;
  curves.push({ method, points: seen });
  rows.push([method, lowest.toFixed(6), "none", `${width}`, (secondsNow() - began).toFixed(2)]);
  model.dispose();
}
console.log(`Planted network of 10 units 0.09 t^2 + 0.5 t + 0.47, n = 100, d = 10, beta ${BETA}:\n${table(rows)}\n`);
const title = "Polynomial units, planted: objective above the proven bound";
await plotConvergence(join(folder, "planted"), curves, {
  ...{ solvedAt: seconds, lowerBound: certificate.dual, title },
  colors: plotColors.slice(1),
});
convex.model.dispose();

const irises = [["units", "beta", "objective", "proven gap", "found", "wrong of those held out"]];
for (const beta of [0.1, 0.01, 0.001]) {
  const { result, wrong } = await convexFlowers(RELU_LIKE, beta);
  const { network, relativeGap } = result.certificate;
  irises.push([
    ...["0.09 t^2 + 0.5 t + 0.47", `${beta}`, network.toFixed(6), relativeGap.toExponential(1), `${result.units}`],
    `${(100 * wrong).toFixed(1)} %`,
  ]);
  result.model.dispose();
}
console.log(`Irises, virginica or not, cross entropy, 100 flowers and 50 held out:\n${table(irises)}\n`);

const table228 = readCells();
const { train, test } = table228 ?? { train: makeCells(228, 1), test: makeCells(2000, 2) };
const tableName = table228 === null ? "a made table of two classes" : "breast cancer data (recurrence or not)";
const quantized = await quantizedCells(train, BETA);
const said = quantized.certificate;
const cells = [
  ["method", "objective", "lower bound", "ratio to the relaxation", "units", "bytes", "test error", "seconds"],
];
cells.push([
  said.enumerated ? "every unit priced" : "sampled and priced by search",
  said.network.toFixed(6),
  said.dual.toFixed(6),
  said.ratio.toFixed(4),
  `${quantized.units}`,
  `${quantized.packed.bytes}`,
  errorOf(quantized.model, test).toFixed(4),
  quantized.seconds.toFixed(2),
]);
const accuracies: { name: string; points: { seconds: number; accuracy: number }[] }[] = [];
for (const rate of [0.003, 0.01, 0.03]) {
  const began = secondsNow();
  const seen: { seconds: number; accuracy: number }[] = [];
  const { objective, testError } = straightThrough(train, test, 30, BETA, STEPS, rate, 1, (error) => {
    seen.push({ seconds: secondsNow() - began, accuracy: 1 - error });
  });
  accuracies.push({ name: `straight-through Adam, rate ${rate}`, points: seen });
  const time = (secondsNow() - began).toFixed(2);
  cells.push([
    `straight-through Adam, rate ${rate}`,
    objective.toFixed(6),
    "none",
    "",
    "30",
    "",
    testError.toFixed(4),
    time,
  ]);
}
console.log(
  `Weights of -1 and 1, units (x u)(x v), ${tableName}, n = ${train.n}, d = ${train.d}, beta ${BETA}:\n${table(cells)}`,
);
await plotAccuracies(join(folder, "quantized-accuracy"), accuracies, {
  seconds: quantized.seconds,
  accuracy: 1 - errorOf(quantized.model, test),
  title: `Weights of -1 and 1, ${tableName}: accuracy on ${test.n} rows held out`,
});
const rival = Math.min(...curves.flatMap(({ points: seen }) => seen.map(({ objective }) => objective)));
console.log(
  `\nWhat it showed: ${units} units are proven to be within ${(100 * certificate.relativeGap).toPrecision(2)} % of the best network of ` +
    `any width, where the best run of SGD and Adam ended ${(100 * (rival / certificate.dual - 1)).toFixed(1)} % above; and a network of ` +
    `${quantized.packed.bytes} bytes, its weights -1 and 1, errs on ${(100 * errorOf(quantized.model, test)).toFixed(1)} % of new rows.`,
);
quantized.model.dispose();
