/**
 * Parallel three-layer ReLU networks on five rows, (n, d, m1, beta, batch) = (5, 2, 3, 0.002, 5): the optimum over all double arrangements and the
 * network that has it, SGD from five starts, and SGD with K = 2, 5 and 15 branches. Draws out/starts and out/branches.
 *
 *     npm run demo:parallel
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { plotColors, plotConvergence } from "../support/plot.js";
import { table } from "../support/table.js";
import { convexParallel, type Descent, descendParallel, makeRows, plainParallel, SETTING } from "./experiment.js";

const BRANCHES = [2, 5, 15];
const STARTS = 5;
const EPOCHS = 2000;
const RATE = 0.15;
/** A run this near to the optimum has found it. */
const NEAR = 0.2;

const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
await tf.setBackend("cpu");

const points = makeRows(3);
const convex = await convexParallel(points);
const { certificate, seconds } = convex;
const rows = [["method", "objective", "lowest of five", "within 20 % of the optimum", "proven gap", "seconds a run"]];
rows.push([
  `convex, ${convex.branches} branches of ${SETTING.hidden}`,
  certificate.network.toFixed(6),
  "",
  "",
  certificate.relativeGap.toExponential(1),
  seconds.toFixed(2),
]);
const runs: { K: number; descents: Descent[] }[] = [];
for (const K of BRANCHES) {
  const descents: Descent[] = [];
  for (let start = 0; start < STARTS; start++) {
    const model = plainParallel(K, RATE, 10 * start + 1);
    descents.push(await descendParallel(model, points, EPOCHS));
    model.optimizer.dispose();
    model.dispose();
  }
  runs.push({ K, descents });
  const found = descents.map(({ lowest }) => lowest).sort((a, b) => a - b);
  const near = found.filter((lowest) => lowest <= certificate.dual * (1 + NEAR)).length;
  const each = descents.reduce((sum, run) => sum + (run.points.at(-1)?.seconds ?? 0), 0) / STARTS;
  rows.push([
    `SGD, K = ${K}`,
    found.map((lowest) => lowest.toFixed(4)).join(" "),
    found[0].toFixed(6),
    `${near} of ${STARTS}`,
    "none",
    each.toFixed(2),
  ]);
}
console.log(
  `${convex.blocks.count} blocks, of which the program was solved over ${convex.blocks.solved}.\n${certificate.claim}\n`,
);
console.log(table(rows));

const marks = { solvedAt: seconds, lowerBound: certificate.dual };
const most = runs[runs.length - 1];
await plotConvergence(
  join(folder, "starts"),
  most.descents.map((run, k) => ({ method: `SGD, K = ${most.K}, start ${k + 1}`, points: run.points })),
  {
    ...marks,
    title: `Five rows, SGD from five starts, ${most.K} branches`,
    colors: [...plotColors.slice(1), "#e69f00", "#56b4e9"],
  },
);
await plotConvergence(
  join(folder, "branches"),
  runs.map(({ K, descents }) => ({ method: `SGD, K = ${K}, worst of five`, points: worstOf(descents).points })),
  { ...marks, title: "Five rows: few branches are stuck, many are not", colors: plotColors.slice(1) },
);
const below = runs.flatMap(({ descents }) => descents).filter(({ lowest }) => lowest < certificate.dual).length;
const shares = runs.map(
  ({ K, descents }) =>
    `${descents.filter(({ lowest }) => lowest <= certificate.dual * (1 + NEAR)).length} with ${K} branches`,
);
console.log(
  `\nWhat it showed: the optimum over ${convex.blocks.count} blocks is proven to ${certificate.relativeGap.toExponential(0)} and a network of ` +
    `${convex.branches} branches has it; of five starts of SGD ${below === 0 ? "none is" : `${below} are`} below, and ${shares.join(", ")} come within 20 % of it.`,
);
convex.model.dispose();

function worstOf(descents: readonly Descent[]): Descent {
  return descents.reduce((worst, run) => (run.lowest > worst.lowest ? run : worst));
}
