/** The code that makes the same run outside this page. */

import type { Settings } from "./settings.js";
import { outputsOf, type Task, targetsOf } from "./task.js";

/** More numbers than this go to a file beside the code. */
const MOST_NUMBERS = 4000;

/** True when the code reads `data.json` instead of holding the data. */
export function needsFile(task: Task): boolean {
  return task.rows * task.cols > MOST_NUMBERS;
}

/** The content of data.json. */
export function dataFile(task: Task, settings: Settings): string {
  const columns = outputsOf(task);
  return JSON.stringify({ x: rowsOf(task.x, task.cols), y: rowsOf(targetsOf(task, settings.loss), columns) });
}

export function codeOf(task: Task, settings: Settings): string {
  const { formulation, units, loss, beta, arrangements, gates, tolerance } = settings;
  const outputs = outputsOf(task);
  const gated = formulation === "gated";
  const activation =
    loss === "binaryCrossentropy" ? "sigmoid" : loss === "categoricalCrossentropy" ? "softmax" : "linear";
  const decay = "kernelRegularizer: l2()";
  const first = `units: ${units}, inputShape: [${task.cols}], ${decay}, biasRegularizer: l2()`;
  const layer = gated
    ? `gatedDense({ ${first}, gateInitializer: tf.initializers.randomNormal({ seed: 1 }) })`
    : `tf.layers.dense({ ${first}, activation: "relu" })`;
  const which = arrangements === "enumerate" ? `{ kind: "enumerate" }` : `{ kind: "${arrangements}", count: ${gates} }`;
  const options = [...(gated ? [] : [`arrangements: ${which}`]), `tolerance: ${tolerance}`, `width: "resize"`];
  const { x, y } = JSON.parse(dataFile(task, settings)) as { x: number[][]; y: number[][] };
  const data = needsFile(task)
    ? `const { x, y } = JSON.parse(readFileSync("data.json", "utf8")); // "Data" in the page saves it`
    : `const x = ${JSON.stringify(x)};\nconst y = ${JSON.stringify(y)};`;
  return `${needsFile(task) ? `import { readFileSync } from "node:fs";\n` : ""}import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer${gated ? ", gatedDense" : ""} } from "tfjs-convex";

await tf.setBackend("cpu");
${data}

const l2 = () => tf.regularizers.l2({ l2: ${beta / 2} });
const model = tf.sequential({
  layers: [
    ${layer},
    tf.layers.dense({ units: ${outputs}, activation: "${activation}", ${decay} }),
  ],
});
model.compile({ optimizer: "adam", loss: ${loss === "huberLoss" ? "tf.losses.huberLoss" : `"${loss}"`} });

const trainer = new ConvexReLUTrainer({ ${options.join(", ")} });
const result = await trainer.fit(model, tf.tensor2d(x), tf.tensor2d(y));

console.log(result.certificate.claim);
console.log(JSON.stringify(result.certificate));
`;
}

/** Numbers as the shortest decimals that are the same float32. */
function rowsOf(values: Float32Array, columns: number): number[][] {
  return Array.from({ length: values.length / columns }, (_, k) =>
    Array.from(values.subarray(k * columns, (k + 1) * columns), shortest),
  );
}

function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (Math.fround(decimal) === value) return decimal;
  }
  return value;
}
