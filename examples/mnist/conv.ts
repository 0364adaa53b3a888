/**
 * MNIST, ten classes, by a gated convolutional network: trained convexly to a proven gap of 1e-2, against SGD and Adam with tuned
 * rates on the same gates and the same objective, with five times the time.
 *
 *     npm run demo:mnist-conv
 *
 * On a 2-core AMD EPYC, Node 20, with other work: 1,000 images to a gap of 1e-2 in 2 to 7 s, 10,000 in 20 to 30 s (objective
 * 0.058434, 0.05 % above the bound).
 *
 * `--images 10000`, `--gates`, `--starts`, `--times` and `--limit` (seconds of the convex solve) change one thing.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { registerLayers } from "../../src/index.js";
import { comparisonTable, conclusionOf, plotComparison } from "../support/comparison.js";
import { mnistSource } from "../support/images.js";
import { useFastBackend } from "../support/train.js";
import { compareConvolutions } from "./convolution.js";

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "1000" },
    gates: { type: "string", default: "16" },
    starts: { type: "string", default: "1" },
    times: { type: "string", default: "5" },
    limit: { type: "string", default: "600" },
  },
});
const TEST_IMAGES = 2000;
const CLASSES = Array.from({ length: 10 }, (_, digit) => digit);
const SETTINGS = {
  gates: Number(values.gates),
  kernelSize: 7,
  strides: 3, // 8 x 8 patches of 28 x 28 pixels
  window: 4, // averages of 4 x 4 patches: each filter is read out at 2 x 2 places
  decay: 1e-3, // beta = 2e-3
  tolerance: 1e-2,
  timeLimit: Number(values.limit),
  starts: Number(values.starts),
  times: Number(values.times),
  report: (line: string) => console.log(line),
};

const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
registerLayers();
const backend = await useFastBackend();
const train = mnistSource.read("train", Number(values.images), CLASSES);
const test = mnistSource.read("test", TEST_IMAGES, CLASSES);
const { gates, kernelSize, strides, window, starts, times } = SETTINGS;
console.log(
  `MNIST: ${train.x.shape[0]} images, ${test.x.shape[0]} to test, ${gates} gates of ${kernelSize} x ${kernelSize}, stride ${strides}, ` +
    `averages of ${window} x ${window}. SGD and Adam: ${starts} starts each, ${times} times the convex fit's time; TensorFlow.js ` +
    `on ${backend}.\n`,
);
const { convex, rivals } = await compareConvolutions(train, test, SETTINGS);
console.log(`\n${comparisonTable(convex, rivals)}`);
await plotComparison(join(folder, "conv"), "MNIST, ten classes, convolutional", convex, rivals);
console.log("Written: examples/mnist/out/conv.svg, examples/mnist/out/conv.png");
console.log(conclusionOf(convex, rivals));
