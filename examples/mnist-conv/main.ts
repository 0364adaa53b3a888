/**
 * A convolutional network on the ten digits of MNIST, cross entropy, trained convexly to a proven gap, against SGD and Adam with
 * tuned rates on the same filters' gates and the same objective.
 *
 *     npx tsx examples/mnist-conv/main.ts
 *
 * `--images 10000` is the largest size; `--gates`, `--starts` and `--times` are as in examples/cifar.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { registerLayers } from "../../src/index.js";
import { compare } from "../cifar/experiment.js";
import { comparisonTable, plotComparison } from "../support/comparison.js";
import { mnistSource } from "../support/images.js";
import { useFastBackend } from "../support/train.js";

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "1000" },
    gates: { type: "string", default: "16" },
    starts: { type: "string", default: "2" },
    times: { type: "string", default: "2" },
  },
});
const DIGITS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const TEST_IMAGES = 1000;
const [gates, starts, times] = [Number(values.gates), Number(values.starts), Number(values.times)];

const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
registerLayers();
const backend = await useFastBackend();
const train = mnistSource.read("train", Number(values.images), DIGITS);
const test = mnistSource.read("test", TEST_IMAGES, DIGITS);
const name = `MNIST, ten digits, ${train.x.shape[0]} images`;
console.log(
  `${name}, ${gates} gates of 7 x 7, stride 3. SGD and Adam: ${starts} starts each, ${times} times the convex fit's time; ` +
    `TensorFlow.js on ${backend}.\n`,
);
const settings = {
  gates,
  kernelSize: 7,
  strides: 3,
  decay: 5e-4,
  tolerance: 1e-2,
  starts,
  times,
  report: (line: string) => console.log(line),
};
const { convex, rivals } = await compare(train, test, settings);
console.log(`\n${comparisonTable(convex, rivals)}`);
console.log(`\n${convex.result.neurons} of ${gates * DIGITS.length} filters are not zero.`);
await plotComparison(join(folder, "convergence"), name, convex, rivals);
console.log("Written: examples/mnist-conv/out/convergence.svg, examples/mnist-conv/out/convergence.png");
