/**
 * Transfer learning, after the official example of TensorFlow.js: a small convolutional network learns the digits 0 to 4 by
 * model.fit and is frozen; a head on it (dense relu, dense softmax) learns 5 to 9 from a few pictures of each, convexly and by Adam.
 *
 *     npm run demo:transfer [-- --processor]
 */

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { countProcessorTime } from "../support/clock.js";
import { writePlot } from "../support/plot.js";
import { useFastBackend } from "../support/train.js";
import { conclusion, transfer, transferTable } from "./experiment.js";
import { transferPlot } from "./plot.js";

const { values } = parseArgs({
  options: { processor: { type: "boolean", default: false } }, // seconds are processor time: for busy machines
});
if (values.processor) countProcessorTime();
await useFastBackend();
const { lessons } = await transfer({
  known: 600,
  epochs: 4,
  unseen: 400,
  shots: [5, 20, 100],
  units: 64,
  decay: 5e-3,
  tolerance: 1e-2,
  timeLimit: 30,
  rates: [1e-3, 1e-2],
  starts: 2,
  report: (line) => console.log(line),
});
const folder = fileURLToPath(new URL("out/", import.meta.url));
mkdirSync(folder, { recursive: true });
await writePlot(`${folder}transfer`, transferPlot(lessons));
console.log(`\n${transferTable(lessons)}\n\n${conclusion(lessons)}`);
