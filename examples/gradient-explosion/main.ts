/** Prints the study and draws `out/explosion.svg` and `.png` beside this file: `npx tsx examples/gradient-explosion/main.ts`. */

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { writePlot } from "../support/plot.js";
import { table } from "../support/table.js";
import { BETA, convexFit, descend, drawWeights, makePoints, RATE } from "./experiment.js";

const SIZES = [10, 100, 500];
const WIDTHS = [16, 32, 48, 56, 64, 72, 80, 96, 128];
const STARTS = 50;
const STEPS = 50; // what explodes does so within twenty
const SEEDS = [1, 2, 3, 4, 5]; // of the convex trainer's gates
const CALM = { width: 64, starts: 5, steps: 1000 }; // the same rate from tfjs's own starts
const OUT = fileURLToPath(new URL("out/", import.meta.url));

await tf.setBackend("cpu");
const exploding = [["n", ...WIDTHS.map((m) => `m = ${m}`)]];
const solving = [["n", "convex solved", "objective", "gap at most", "s each", "Glorot: exploded", "lowest objective"]];
const shares: { n: string; m: number; share: number }[] = [];
const unsolved: number[] = []; // share of the convex fits of each n

for (const n of SIZES) {
  const points = makePoints(n, 1);
  const row = WIDTHS.map((m) => {
    const exploded = Array.from({ length: STARTS }, (_, seed) =>
      descend(points, drawWeights(m, points.d, "standard", seed), STEPS),
    ).filter((run) => run.exploded).length;
    shares.push({ n: `n = ${n}`, m, share: exploded / STARTS });
    return `${Math.round((100 * exploded) / STARTS)} %`;
  });
  exploding.push([String(n), ...row]);

  const results = [];
  for (const seed of SEEDS) results.push(await convexFit(points, seed));
  for (const { model } of results) model.dispose();
  unsolved.push(results.filter(({ status }) => status !== "solved").length / SEEDS.length);
  const calm = Array.from({ length: CALM.starts }, (_, seed) =>
    descend(points, drawWeights(CALM.width, points.d, "glorot", seed), CALM.steps),
  );
  solving.push([
    String(n),
    `${results.filter(({ status }) => status === "solved").length} of ${SEEDS.length}`,
    Math.max(...results.map(({ certificate }) => certificate.network)).toFixed(6),
    Math.max(...results.map(({ certificate }) => certificate.relativeGap)).toExponential(1),
    (results.reduce((sum, { seconds }) => sum + seconds, 0) / SEEDS.length).toFixed(2),
    `${calm.filter((run) => run.exploded).length} of ${CALM.starts}`,
    Math.min(...calm.map((run) => run.objective)).toFixed(6),
  ]);
}

console.log(`Starts N(0, 1) from which gradient descent with rate ${RATE} explodes, of ${STARTS}; beta = ${BETA}`);
console.log(table(exploding));
console.log(`\nThe convex program of the same data, and ${CALM.steps} steps from Glorot's starts, m = ${CALM.width}`);
console.log(table(solving));

mkdirSync(OUT, { recursive: true });
await writePlot(`${OUT}explosion`, {
  $schema: "https://vega.github.io/schema/vega-lite/v6.json",
  width: 560,
  height: 300,
  background: "white",
  title: { text: `Fits that fail: gradient descent that explodes, rate ${RATE}, starts N(0, 1)`, anchor: "start" },
  config: { font: "DejaVu Sans", axis: { grid: true, gridColor: "#e5e7eb" }, view: { stroke: null } },
  data: { values: [...shares, ...WIDTHS.map((m) => ({ n: "convex, worst n", m, share: Math.max(...unsolved) }))] },
  mark: { type: "line", point: true, strokeWidth: 2 },
  encoding: {
    x: { field: "m", type: "quantitative", title: "neurons m" },
    y: { field: "share", type: "quantitative", title: "share of the fits", axis: { format: "%" } },
    color: {
      field: "n",
      type: "nominal",
      title: null,
      scale: {
        domain: [...SIZES.map((n) => `n = ${n}`), "convex, worst n"],
        range: ["#d55e00", "#e69f00", "#cc79a7", "#0072b2"],
      },
    },
  },
});
const wide = shares.filter(({ m }) => m === Math.max(...WIDTHS)).map(({ share }) => share);
console.log(
  `\nWhat it showed: with ${Math.max(...WIDTHS)} neurons ${Math.round(100 * Math.min(...wide))} to ${Math.round(100 * Math.max(...wide))} % of the ` +
    `starts explode under one learning rate; the convex program, which has none, was solved in ` +
    `${Math.max(...unsolved) === 0 ? "every fit" : `at least ${Math.round(100 * (1 - Math.max(...unsolved)))} % of the fits`}, for every n.`,
);
