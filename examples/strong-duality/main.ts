/** Prints the experiment: `npx tsx examples/strong-duality/main.ts`. */

import * as tf from "@tensorflow/tfjs";
import { table } from "../support/table.js";
import { convexOptimum, makePoints, sgdObjective } from "./experiment.js";

const SEEDS = [1, 2, 3, 4, 5];

await tf.setBackend("cpu");
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
