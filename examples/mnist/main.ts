/**
 * The main job on real data: a gated ReLU network on MNIST, trained convexly to a proven gap of 1e-3, against model.fit with
 * SGD and with Adam on the same model, gates, objective and wall-clock budget.
 *
 *     npm run demo
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer, gatedDense, registerLayers } from "../../src/index.js";
import { readDigits } from "../support/mnist.js";
import { saveModel } from "../support/modelFiles.js";
import { plotConvergence } from "../support/plot.js";
import { table } from "../support/table.js";
import { accuracyOf, fitForSeconds, type GradientRun, objectiveOf, useFastBackend } from "../support/train.js";

const TRAIN_ROWS = 2000;
const TEST_ROWS = 2000;
const GATES = 32;
const OUTPUTS = 10;
const DECAY = 1e-3; // l2 of both layers: beta = 2e-3
const TOLERANCE = 1e-3;

const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
registerLayers();
const backend = await useFastBackend();
const { x, y } = readDigits("train", TRAIN_ROWS);
const test = readDigits("t10k", TEST_ROWS);

/** [GatedDense, dense]: every gate serves as many units as there are outputs, so that no network with these gates is wider. */
function buildModel(optimizer: tf.Optimizer): tf.Sequential {
  const kernelRegularizer = tf.regularizers.l2({ l2: DECAY });
  const kernelInitializer = tf.initializers.glorotNormal({ seed: 1 });
  const inputShape = [x.shape[1]];
  const hidden = gatedDense({
    units: GATES * OUTPUTS,
    useBias: false,
    inputShape,
    kernelRegularizer,
    kernelInitializer,
  });
  const output = tf.layers.dense({ units: OUTPUTS, kernelRegularizer, kernelInitializer });
  const model = tf.sequential({ layers: [hidden, output] });
  tf.tidy(() => {
    const gates = tf.randomNormal([x.shape[1], GATES], 0, 1, "float32", 7);
    hidden.setWeights([hidden.getWeights()[0], tf.tile(gates, [1, OUTPUTS])]);
  });
  model.compile({ optimizer, loss: "meanSquaredError", metrics: ["accuracy"] });
  return model;
}

console.log(
  `MNIST, ${TRAIN_ROWS} rows of 14 x 14 pixels, ${OUTPUTS} classes, ${GATES} gates; TensorFlow.js on ${backend}.\n`,
);

const convex = buildModel(tf.train.sgd(0.1));
const curve = [{ seconds: 0, objective: objectiveOf(convex, x, y) }];
const result = await new ConvexReLUTrainer({ tolerance: TOLERANCE }).fit(convex, x, y, {
  verbose: process.stdout.isTTY ? 1 : 0,
  callbacks: {
    onEpochEnd: (_epoch: number, logs?: tf.Logs) => {
      curve.push({ seconds: logs?.seconds ?? 0, objective: logs?.loss ?? Number.NaN });
    },
  },
});
const { certificate, seconds } = result;
console.log(`${certificate.claim}\nStatus: ${result.status}. ${result.advice} Engine: ${result.engine}.\n`);

const rivals: [name: string, optimizer: () => tf.Optimizer][] = [
  ["SGD, rate 0.5", () => tf.train.sgd(0.5)],
  ["Adam, rate 0.001", () => tf.train.adam(1e-3)],
];
const runs: { run: GradientRun; model: tf.Sequential }[] = [];
for (const [name, optimizer] of rivals) {
  const model = buildModel(optimizer());
  runs.push({ run: await fitForSeconds(name, model, x, y, seconds), model });
}

const score = (model: tf.Sequential) => [
  accuracyOf(model, x, y).toFixed(4),
  accuracyOf(model, test.x, test.y).toFixed(4),
];
const rows = [
  ["method", "objective", "above the bound", "train acc.", "test acc.", "seconds", "neurons"],
  [
    "convex",
    objectiveOf(convex, x, y).toFixed(6),
    `${(100 * certificate.relativeGap).toFixed(3)} % (proven)`,
    ...score(convex),
    seconds.toFixed(1),
    String(result.neurons),
  ],
  ...runs.map(({ run, model }) => [
    run.method,
    run.objective.toFixed(6),
    `${(100 * (run.objective / certificate.dual - 1)).toFixed(3)} %`,
    ...score(model),
    run.seconds.toFixed(1),
    String(GATES * OUTPUTS),
  ]),
];
console.log(table(rows));

await plotConvergence(
  join(folder, "convergence"),
  [{ method: "convex", points: curve }, ...runs.map(({ run }) => run)],
  {
    solvedAt: seconds,
    lowerBound: certificate.dual,
    title: "MNIST: objective over training time",
  },
);

// The model is an ordinary tf.Sequential: saved, loaded in a fresh process, it predicts the same.
await saveModel(convex, join(folder, "model"));
const probe = tf.tidy(() => Array.from((convex.predict(test.x.slice(0, 100)) as tf.Tensor).dataSync()));
const pixels = Array.from(test.x.slice(0, 100).dataSync());
writeFileSync(join(folder, "probe.json"), JSON.stringify({ shape: [100, x.shape[1]], pixels, predictions: probe }));
const script = fileURLToPath(new URL("predict.ts", import.meta.url));
const child = spawnSync(process.execPath, ["--import", "tsx", script, folder], { encoding: "utf8" });
process.stdout.write(`\n${child.stdout}`);
if (child.status !== 0) {
  process.stderr.write(child.stderr);
  process.exit(1);
}
console.log(
  `Written: ${["convergence.svg", "convergence.png", "model/model.json"].map((file) => join("examples/mnist/out", file)).join(", ")}`,
);
const lowest = runs.reduce((best, next) => (next.run.objective < best.run.objective ? next : best)).run;
console.log(
  `What it showed: in ${seconds.toFixed(1)} s the convex fit was proven to be within ${(100 * certificate.relativeGap).toFixed(2)} % of ` +
    `the best network with these gates; in the same time ${lowest.method} came to ` +
    `${(100 * (lowest.objective / certificate.dual - 1)).toFixed(1)} % above that bound.`,
);
