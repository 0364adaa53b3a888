/**
 * Twenty irises and a wide network: the error that its tangent kernel predicts, the bound of the theorem, and the error of real runs.
 * Prints them, and draws `out/tangent-kernel.svg` and `.png` beside this file. With `--wide` a network of 20,000 neurons as well.
 *
 *     npx tsx examples/tangent-kernel/main.ts --wide
 */

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { neuralTangentKernel } from "../../src/index.js";
import { flowers } from "../migration/flowers.js";
import { plotColors, plotStyle, writePlot } from "../support/plot.js";
import { table } from "../support/table.js";
import { ofLengthOne, type Rows, runWide } from "./experiment.js";

const STEPS = 1000;
const SHARE = 0.01; // of the error at the start, to be reached
const ROWS = 20;
const OUT = fileURLToPath(new URL("out/", import.meta.url));
const widths = process.argv.includes("--wide") ? [500, 20_000] : [500];

await tf.setBackend("cpu");

/** Every seventh flower, a column of ones, all of length one; targets -1 and 1. */
function someFlowers(): Rows {
  const { x, y } = flowers();
  const [measures, kinds] = [x.arraySync(), y.arraySync()];
  tf.dispose([x, y]);
  const taken = Array.from({ length: ROWS }, (_, k) => 7 * k + 3);
  const rows = Float64Array.from(taken.flatMap((k) => [...measures[k], 1]));
  return {
    n: ROWS,
    d: 5,
    x: ofLengthOne(rows, ROWS, 5),
    y: Float64Array.from(taken, (k) => 2 * kinds[k][0] - 1),
  };
}

const rows = someFlowers();
const x = tf.tensor2d(Float32Array.from(rows.x), [rows.n, rows.d]);
const ntk = await neuralTangentKernel(x);
x.dispose();
const printed = [["width", "steps to a hundredth", "predicted", "by the theorem's rate", "largest move of a neuron"]];
const lines: { step: number; error: number; what: string }[] = [];
const add = (what: string, errors: ArrayLike<number>) => {
  for (let step = 0; step <= STEPS; step += 10) lines.push({ step, error: errors[step], what });
};
const stepsTo = (errors: Float64Array) => {
  const step = errors.findIndex((error) => error <= SHARE * errors[0]);
  return step < 0 ? `more than ${STEPS}` : String(step);
};
let kept = true;
const took: string[] = [];
let foretold = "";
for (const width of widths) {
  const { errors, residual, moved } = runWide(rows, width, ntk.stepSize, STEPS, 1);
  const predicted = ntk.errors(residual, STEPS);
  const bound = Float64Array.from(errors, (_, step) => errors[0] * ntk.rate ** step);
  kept &&= errors.every((error, step) => error <= bound[step]);
  const last = width === widths[widths.length - 1];
  add(`width ${width.toLocaleString("en")}`, errors);
  if (last) add("predicted by the kernel", predicted);
  if (last) add("bound of the theorem", bound);
  foretold = stepsTo(predicted);
  took.push(`${width.toLocaleString("en")} neurons took ${stepsTo(errors)}`);
  printed.push([String(width), stepsTo(errors), foretold, String(ntk.steps(SHARE)), moved.toPrecision(2)]);
}
console.log(
  `least eigenvalue ${ntk.leastEigenvalue.toExponential(3)}, largest ${ntk.largestEigenvalue.toPrecision(4)}`,
);
console.log(`${ntk.claim}\n`);
console.log(table(printed));

mkdirSync(OUT, { recursive: true });
const kinds = [...new Set(lines.map(({ what }) => what))];
await writePlot(`${OUT}tangent-kernel`, {
  ...plotStyle,
  width: 560,
  height: 300,
  title: { text: "Gradient descent on wide networks, and what their tangent kernel says of it", anchor: "start" },
  data: { values: lines },
  mark: { type: "line", strokeWidth: 2 },
  encoding: {
    x: { field: "step", type: "quantitative", title: "steps" },
    y: {
      field: "error",
      type: "quantitative",
      scale: { type: "log" },
      title: "squared error on the rows",
      axis: { format: ".0e", tickCount: 8 },
    },
    color: {
      field: "what",
      type: "nominal",
      title: null,
      scale: { domain: kinds, range: plotColors },
      legend: { labelLimit: 260 },
    },
  },
});
console.log(
  `\nWhat it showed: to a hundredth of the squared error ${took.join(" steps, ")}, where the kernel predicts ${foretold} and the theorem's rate ` +
    `asks for ${ntk.steps(SHARE).toLocaleString("en")}; ${kept ? "no run went above its bound" : "a run went above its bound"}.`,
);
