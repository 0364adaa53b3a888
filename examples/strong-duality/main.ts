/**
 * Prints the experiment, and draws `out/strong-duality.svg` and `.png` beside this file.
 *
 *     npx tsx examples/strong-duality/main.ts
 */

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { plotColors, plotStyle, writePlot } from "../support/plot.js";
import { table } from "../support/table.js";
import { convexOptimum, makePoints, sgdObjective } from "./experiment.js";

const SEEDS = [1, 2, 3, 4, 5];
const OUT = fileURLToPath(new URL("out/", import.meta.url));

await tf.setBackend("cpu");
let closest = Number.POSITIVE_INFINITY; // of all runs of SGD, above the convex optimum
const dots: { n: string; width: number; above: number }[] = [];
const rows = [
  ["n", "arrangements", "width m", "best SGD", "worst SGD", "convex optimum", "recovered network", "neurons"],
];
for (const [n, widths] of [
  [5, [5, 15, 44, 50]],
  [10, [5, 15, 44, 50, 184]],
] as const) {
  const points = makePoints(n, n);
  const { certificate, gates, neurons } = await convexOptimum(points);
  for (const width of widths) {
    const runs = SEEDS.map((seed) => sgdObjective(points, width, seed));
    for (const run of runs) dots.push({ n: `n = ${n}`, width, above: run / certificate.dual - 1 });
    closest = Math.min(closest, Math.min(...runs) / certificate.dual - 1);
    rows.push([
      String(n),
      String(gates),
      String(width),
      Math.min(...runs).toFixed(7),
      Math.max(...runs).toFixed(7),
      certificate.dual.toFixed(7),
      certificate.network.toFixed(7),
      String(neurons),
    ]);
  }
}
console.log(table(rows));

mkdirSync(OUT, { recursive: true });
await writePlot(`${OUT}strong-duality`, {
  ...plotStyle,
  width: 560,
  height: 300,
  title: { text: "How far above the optimum of the convex program runs of SGD end", anchor: "start" },
  data: { values: dots },
  mark: { type: "point", size: 70, strokeWidth: 2 },
  encoding: {
    x: { field: "width", type: "ordinal", title: "width m of the network", axis: { labelAngle: 0 } },
    xOffset: { field: "n", type: "nominal" },
    y: {
      field: "above",
      type: "quantitative",
      scale: { type: "log", domain: [0.0005, 1] },
      axis: { format: "~%", values: [0.001, 0.01, 0.1, 1] },
      title: "objective above the optimum",
    },
    color: {
      field: "n",
      type: "nominal",
      title: "rows",
      scale: { domain: ["n = 5", "n = 10"], range: plotColors.slice(1) },
    },
  },
});
const below =
  closest < 0 ? "one run of SGD ended below the convex bound" : "no run of SGD ended below the convex optimum";
console.log(
  `\nWhat it showed: whatever the width, ${below}; the closest came to ${(100 * closest).toPrecision(2)} % above its bound.`,
);
