/**
 * One-step prediction of an electrocardiogram, and a look into the network that does it.
 *
 *     npx tsx examples/ecg/main.ts [file.csv]
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { plotStyle, writePlot } from "../support/plot.js";
import { table } from "../support/table.js";
import { predictNext, WIDTH } from "./experiment.js";
import { madeSignal, windowsOf } from "./signal.js";
import { signalFrom } from "./signalFile.js";

const TRAIN = 600;
const TEST = 400;
const BETA = 1e-4;

await tf.setBackend("cpu");
const file = process.argv[2];
const signal = file === undefined ? madeSignal(TRAIN + TEST, 1) : signalFrom(file, TRAIN + TEST);
const train = windowsOf(signal, WIDTH, 0, TRAIN);
const test = windowsOf(signal, WIDTH, TRAIN, TRAIN + TEST);
const { result, description, predicted, linear, errors } = await predictNext(train, test, BETA);
console.log(
  `${result.certificate.claim}\n${result.status} in ${result.seconds.toFixed(1)} s, ${result.neurons} neurons\n`,
);
console.log(
  table([
    ["predictor", "mean squared error on the test windows"],
    ["the last sample", errors.last.toExponential(3)],
    ["linear, least squares", errors.linear.toExponential(3)],
    ["convex ReLU network", errors.network.toExponential(3)],
  ]),
);
console.log(`\nThe neurons that move the prediction most (${description.gates.length} gates in all):`);
console.log(
  table([
    ["unit", "open on", "share of decay", "variance", "strongest weights"],
    ...description.neurons.slice(0, 8).map(({ unit, samples, decayShare, variance, weights }) => [
      String(unit),
      `${samples} of ${description.samples}`,
      `${(100 * decayShare).toFixed(1)} %`,
      variance.toExponential(2),
      [...weights.keys()]
        .sort((a, b) => Math.abs(weights[b]) - Math.abs(weights[a]))
        .slice(0, 3)
        .map((p) => `t-${WIDTH - p}: ${weights[p].toFixed(2)}`)
        .join(", "),
    ]),
  ]),
);

const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
const signals = Array.from(test.y, (millivolt, sample) => [
  { sample, millivolt, series: "signal" },
  { sample, millivolt: predicted[sample], series: "convex network" },
]).flat();
const misses = Array.from(test.y, (value, sample) => [
  { sample, error: Math.abs(linear[sample] - value), series: "linear rule" },
  { sample, error: Math.abs(predicted[sample] - value), series: "convex network" },
]).flat();
const sample = { field: "sample", type: "quantitative", scale: { nice: false } } as const;
const color = {
  field: "series",
  type: "nominal",
  title: null,
  scale: { domain: ["signal", "convex network", "linear rule"], range: ["#9ca3af", "#0072b2", "#d55e00"] },
} as const;
await writePlot(join(folder, "ecg"), {
  ...plotStyle,
  title: { text: "The next sample from 15 before it, on a stretch that was not trained on", anchor: "start" },
  vconcat: [
    {
      ...{ width: 600, height: 180, data: { values: signals }, mark: { type: "line", strokeWidth: 1.5 } },
      encoding: { x: { ...sample, title: null }, y: { field: "millivolt", type: "quantitative", title: "mV" }, color },
    },
    {
      ...{ width: 600, height: 110, data: { values: misses }, mark: { type: "line", strokeWidth: 1.5 } },
      encoding: { x: sample, y: { field: "error", type: "quantitative", title: "error, mV" }, color },
    },
  ],
});
console.log(`\nPlot: ${join(folder, "ecg")}.svg and .png`);
console.log(
  `What it showed: a network of ${result.neurons} neurons, within ${(100 * result.certificate.relativeGap).toPrecision(2)} % of its proven ` +
    `bound, predicts the next sample with ${(100 * (errors.network / errors.linear)).toFixed(0)} % of the error of the best linear rule.`,
);
result.model.dispose();
