/**
 * Gradient descent without regularization comes to the network of largest margin that the convex program finds.
 *
 *     npx tsx examples/implicit-bias/main.ts
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { plotColors, plotStyle, writePlot } from "../support/plot.js";
import { table } from "../support/table.js";
import { cosine, descend, largestMargin, makePoints } from "./experiment.js";

const RUNS = [
  { width: 10, scale: 0.001 },
  { width: 50, scale: 0.001 },
  { width: 200, scale: 0.001 },
  { width: 200, scale: 1 },
];
const SEEDS = [1, 2, 3];
const STEPS = 40_000;
const RATE = 0.01;
const nameOf = (width: number, scale: number) => `${width}, N(0, ${scale === 1 ? "1" : `${scale}²`})`;

await tf.setBackend("cpu");
const points = makePoints(12, 1);
const best = await largestMargin(points);
console.log(`${best.certificate.claim}\nLargest margin at (|W1|^2 + |W2|^2) / 2 = 1: ${best.margin.toFixed(7)}\n`);

const rows = [["width", "first weights", "margin / largest (3 seeds)", "cosine of the outputs"]];
const curves: { step: number; share: number; run: string }[] = [];
for (const { width, scale } of RUNS) {
  const runs = SEEDS.map((seed) => descend(points, { width, scale, seed, steps: STEPS, rate: RATE }));
  const ends = runs.map((moments) => moments[moments.length - 1]);
  rows.push([
    String(width),
    `N(0, ${scale}^2)`,
    ends.map(({ margin }) => (margin / best.margin).toFixed(4)).join("  "),
    ends.map(({ outputs }) => cosine(outputs, best.outputs).toFixed(4)).join("  "),
  ]);
  for (const { step, margin } of runs[0]) {
    if (step > 0 && margin > 0) curves.push({ step, share: margin / best.margin, run: nameOf(width, scale) });
  }
}
console.log(table(rows));

const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
await writePlot(join(folder, "implicit-bias"), {
  ...plotStyle,
  width: 560,
  height: 300,
  title: { text: "Margin of gradient descent, of the largest that there is (dashed)", anchor: "start" },
  layer: [
    {
      data: { values: curves },
      mark: { type: "line", strokeWidth: 2 },
      encoding: {
        x: { field: "step", type: "quantitative", scale: { type: "log", nice: false }, title: "steps" },
        y: { field: "share", type: "quantitative", title: "share of the largest margin", axis: { format: "%" } },
        color: {
          field: "run",
          type: "nominal",
          title: "width, first weights",
          scale: {
            domain: RUNS.map(({ width, scale }) => nameOf(width, scale)),
            range: ["#cc79a7", "#56b4e9", "#009e73", "#d55e00"],
          },
          legend: { labelLimit: 200 },
        },
      },
    },
    {
      data: { values: [{ share: 1 }] },
      mark: { type: "rule", strokeDash: [4, 3], strokeWidth: 2, color: plotColors[0] },
      encoding: { y: { field: "share", type: "quantitative" } },
    },
  ],
});
console.log(`\nPlot: ${join(folder, "implicit-bias")}.svg and .png`);
const largest = Math.max(...curves.map(({ share }) => share));
console.log(
  `What it showed: gradient descent without weight decay comes up to ${(100 * largest).toFixed(1)} % of the largest margin in ${STEPS} ` +
    `steps${largest <= 1 ? ", and never above it" : ""}; the convex program has that margin at once, proven.`,
);
