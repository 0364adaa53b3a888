/** Prints the experiment: `npx tsx examples/strong-duality/main.ts`. */

import * as tf from "@tensorflow/tfjs";
import { table } from "../support/table.js";
import { convexOptimum, makePoints, sgdObjective } from "./experiment.js";

const SEEDS = [1, 2, 3, 4, 5];

await tf.setBackend("cpu");
let closest = Number.POSITIVE_INFINITY; // of all runs of SGD, above the convex optimum
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
const below =
  closest < 0 ? "one run of SGD ended below the convex bound" : "no run of SGD ended below the convex optimum";
console.log(
  `\nWhat it showed: whatever the width, ${below}; the closest came to ${(100 * closest).toPrecision(2)} % above its bound.`,
);
