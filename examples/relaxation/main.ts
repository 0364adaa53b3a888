/**
 * Three neurons by the gradient of the relaxation of Ergen and Pilanci (2019) and by their own, on more rows than columns and on fewer:
 * the error over the steps, of twenty starts each. Prints how many met the targets, and draws `out/relaxation.svg` and `.png` beside
 * this file.
 *
 *     npx tsx examples/relaxation/main.ts
 */

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { gaussianSource } from "../../src/convex/linear/random.js";
import { relaxedReLU } from "../../src/index.js";
import { plotColors, plotStyle, writePlot } from "../support/plot.js";
import { table } from "../support/table.js";

const STEPS = 2000;
const STARTS = 20;
const DRAWN = 12; // of these
const NEURONS = 3;
const MET = 1e-6; // of the squared length of the targets
const OUT = fileURLToPath(new URL("out/", import.meta.url));
const CASES = [
  { n: 4, d: 6, said: "4 rows, 6 columns" },
  { n: 24, d: 6, said: "24 rows, 6 columns" },
];

await tf.setBackend("cpu");

/** Rows, and targets that three neurons make of them. */
function planted(n: number, d: number): { x: tf.Tensor2D; y: tf.Tensor2D; size: number } {
  const draw = gaussianSource(n);
  const X = Array.from({ length: n }, () => Array.from({ length: d }, draw));
  const W = Array.from({ length: NEURONS }, () => Array.from({ length: d }, draw));
  const y = X.map((row) =>
    W.reduce(
      (sum, w) =>
        sum +
        Math.max(
          0,
          w.reduce((dot, value, p) => dot + value * row[p], 0),
        ),
      0,
    ),
  );
  const size = y.reduce((sum, value) => sum + value * value, 0);
  return { x: tf.tensor2d(X), y: tf.tensor2d(y.map((value) => [value])), size };
}

const met: Record<string, number> = {};
const medians: Record<string, string> = {};
const printed = [["", "gradient", "starts that met the targets", "median error at the end", "worst"]];
const lines: { step: number; error: number; gradient: string; rows: string; start: string }[] = [];
for (const { n, d, said } of CASES) {
  const { x, y, size } = planted(n, d);
  for (const gradient of ["modified", "plain"] as const) {
    const ends: number[] = [];
    for (let seed = 0; seed < STARTS; seed++) {
      const { errors, model } = await relaxedReLU(x, y, { units: NEURONS, gradient, seed, steps: STEPS });
      model.dispose();
      ends.push(errors[STEPS] / size);
      for (let step = 0; step <= STEPS && seed < DRAWN; step += 100) {
        const error = Math.max(errors[step] / size, 1e-12);
        lines.push({ step, error, gradient, rows: said, start: `${gradient} ${seed}` });
      }
    }
    ends.sort((a, b) => a - b);
    met[`${n} ${gradient}`] = ends.filter((end) => end < MET).length;
    const errors = [ends[STARTS / 2], ends[STARTS - 1]].map((value) => value.toExponential(1));
    medians[`${n} ${gradient}`] = errors[0];
    printed.push([said, gradient, `${met[`${n} ${gradient}`]} of ${STARTS}`, ...errors]);
  }
  tf.dispose([x, y]);
}
console.log(table(printed));

mkdirSync(OUT, { recursive: true });
await writePlot(`${OUT}relaxation`, {
  ...plotStyle,
  title: { text: "Squared error over that of the zero network, from twelve of the twenty starts", anchor: "start" },
  data: { values: lines },
  facet: { column: { field: "rows", type: "nominal", title: null, sort: CASES.map(({ said }) => said) } },
  spec: {
    width: 270,
    height: 260,
    mark: { type: "line", strokeWidth: 1, opacity: 0.6 },
    encoding: {
      x: { field: "step", type: "quantitative", title: "steps" },
      y: { field: "error", type: "quantitative", scale: { type: "log" }, title: null, axis: { format: ".0e" } },
      detail: { field: "start", type: "nominal" },
      color: {
        field: "gradient",
        type: "nominal",
        scale: { domain: ["modified", "plain"], range: plotColors.slice(0, 2) },
      },
    },
  },
});
console.log(
  `\nWhat it showed: on 4 rows of 6 columns the modified gradient met the targets from ${met["4 modified"]} of ${STARTS} starts, the plain one from ` +
    `${met["4 plain"]}; on 24 rows from ${met["24 modified"]} and ${met["24 plain"]} in ${STEPS.toLocaleString("en")} steps, with median errors of ` +
    `${medians["24 modified"]} and ${medians["24 plain"]}.`,
);
