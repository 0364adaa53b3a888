/**
 * The run with which the gallery opens, examples/gallery/opening.json: `npm run gallery:opening`. The convex fit, and model.fit
 * from every start, by the gallery's own code, with the settings that its form begins with.
 */

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import stringify from "json-stringify-pretty-compact";
import { trainerOptions } from "../examples/gallery/convex.js";
import type { DescentEpoch } from "../examples/gallery/descent.js";
import { buildModel } from "../examples/gallery/model.js";
import type { Weight } from "../examples/gallery/network.js";
import type { Curve } from "../examples/gallery/objectivePlot.js";
import { outcomeOf } from "../examples/gallery/outcome.js";
import { runStarts } from "../examples/gallery/runs.js";
import type { Settings } from "../examples/gallery/settings.js";
import { targetsOf } from "../examples/gallery/task.js";
import { makeToy } from "../examples/gallery/toys.js";
import { ConvexReLUTrainer, lossSurface } from "../src/index.js";

/** What index.html has selected; the gallery's test compares. */
const settings: Settings = {
  ...{ data: "moons", points: 120, noise: 0.15 },
  ...{ formulation: "relu", units: 50, loss: "squaredHinge", beta: 0.005 },
  ...{ arrangements: "grow", gates: 200, tolerance: 0.001 },
  ...{ optimizer: "adam", rate: 0.01, epochs: 150, starts: 3 },
};
/** Of a curve that are kept. */
const MOST_POINTS = 80;

await tf.setBackend("cpu");
const task = makeToy("moons", settings.points, settings.noise);
const x = tf.tensor2d(task.x, [task.rows, task.cols]);
const y = tf.tensor2d(targetsOf(task, settings.loss), [task.rows, 1]);
const primal: Curve = { seconds: [], values: [] };
const dual: Curve = { seconds: [], values: [] };
const push = (curve: Curve, second: number, value: number) => {
  curve.seconds.push(rounded(second));
  curve.values.push(rounded(value));
};
await new ConvexReLUTrainer({ maxIterations: 2 }).fit(buildModel(task, settings, 1), x, y); // code is warm then, as in the page's second run
const result = await new ConvexReLUTrainer(trainerOptions(settings)).fit(buildModel(task, settings, 1), x, y, {
  callbacks: {
    onEpochEnd: async (_round: number, logs?: tf.Logs) => {
      if (logs === undefined) return;
      push(primal, logs.seconds, logs.loss);
      push(dual, logs.seconds, logs.loss - logs.relativeGap * Math.abs(logs.loss));
    },
  },
});
const epochs: DescentEpoch[][] = [];
await runStarts(
  { task, settings },
  (epoch) => {
    epochs[epoch.start] ??= [];
    epochs[epoch.start].push(epoch);
  },
  () => false,
);

const weights = result.model
  .getWeights()
  .map((weight) => ({ shape: weight.shape, values: weight.dataSync() as Float32Array }));
const surface = await lossSurface(result.model, x, y);
const record = {
  settings,
  outcome: { ...outcomeOf(result), engine: "wasm, beforehand" },
  weights: weights.map(plain),
  surface: {
    steps: Array.from(surface.steps, rounded),
    values: Array.from(surface.values, (value) => Number(value.toPrecision(4))),
    objective: rounded(surface.objective),
  },
  primal,
  dual,
  descents: epochs.map((all) => {
    const kept = all.filter((_, k) => k % Math.ceil(all.length / MOST_POINTS) === 0 || k === all.length - 1);
    const { weights: last = [] } = all[all.length - 1];
    return {
      seconds: kept.map((epoch) => rounded(epoch.seconds)),
      values: kept.map((epoch) => rounded(epoch.objective)),
      weights: last.map(plain),
    };
  }),
};
writeFileSync(
  fileURLToPath(new URL("../examples/gallery/opening.json", import.meta.url)),
  `${stringify(record, { maxLength: 126 })}\n`,
);
console.log(`${result.status}, gap ${result.certificate.relativeGap.toExponential(1)}, ${result.neurons} neurons`);

function plain({ shape, values }: Weight) {
  return { shape, values: Array.from(values, rounded) };
}

function rounded(value: number): number {
  return Number(value.toPrecision(7));
}
