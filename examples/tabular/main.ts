/**
 * Three ways to say the same: `fit` on a model that is there, `train` without one, and the gated network.
 *
 *     npm run demo:tabular
 */

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer, type FitResult, registerLayers } from "../../src/index.js";
import { plotColors, plotStyle, writePlot } from "../support/plot.js";
import { table } from "../support/table.js";
import { makeTable } from "../support/tabular.js";
import { accuracyOf, useFastBackend } from "../support/train.js";

await useFastBackend();
registerLayers();
const { train, test } = makeTable(469, 100, 3);
const options = {
  arrangements: { kind: "sample", count: 200, seed: 1 },
  tolerance: 1e-3,
  regularization: 0.02,
} as const;

// 1. A model that is there: model.fit(x, y) becomes trainer.fit(model, x, y).
const model = tf.sequential({
  layers: [
    tf.layers.dense({ units: 200, activation: "relu", inputShape: [30] }),
    tf.layers.dense({ units: 1, activation: "sigmoid" }),
  ],
});
model.compile({ optimizer: "adam", loss: "binaryCrossentropy", metrics: ["accuracy"] });
const fitted = await new ConvexReLUTrainer(options).fit(model, train.x, train.y);

// 2. No model: the trainer builds one, exactly as wide as needed.
const trained = await new ConvexReLUTrainer(options).train(train.x, train.y, { loss: "binaryCrossentropy" });

// 3. The gated network: fixed gates, no cones, faster to solve.
const gated = await new ConvexReLUTrainer({ ...options, formulation: "gated" }).train(train.x, train.y, {
  loss: "binaryCrossentropy",
});

const row = (name: string, result: FitResult): string[] => [
  name,
  result.certificate.network.toFixed(6),
  result.certificate.dual.toFixed(6),
  result.certificate.relativeGap.toExponential(1),
  result.certificate.scope,
  accuracyOf(result.model, train.x, train.y).toFixed(3),
  accuracyOf(result.model, test.x, test.y).toFixed(3),
  result.seconds.toFixed(2),
  String(result.neurons),
];
console.log(
  "Data: a made table of 30 measurements in the manner of the Wisconsin breast cancer data, two classes, " +
    "469 rows to train on and 100 to test.\n",
);
console.log(
  table([
    ["way", "objective", "lower bound", "gap", "proven for", "train acc.", "test acc.", "seconds", "neurons"],
    row("fit(model, x, y)", fitted),
    row("train(x, y)", trained),
    row("train(x, y), gated", gated),
  ]),
);

const ways = Object.entries({ "fit(model, x, y)": fitted, "train(x, y)": trained, "train(x, y), gated": gated });
const values = ways.map(([way, { certificate, neurons, seconds, model: network }]) => ({
  way,
  objective: certificate.network,
  bound: certificate.dual,
  said:
    `${(100 * certificate.relativeGap).toPrecision(2)} % above the bound, ${neurons} neurons, ${seconds.toFixed(1)} s, ` +
    `${(100 * accuracyOf(network, test.x, test.y)).toFixed(0)} % of new rows right`,
}));
const OUT = fileURLToPath(new URL("out/", import.meta.url));
mkdirSync(OUT, { recursive: true });
const along = {
  field: "way",
  type: "nominal",
  sort: null,
  title: null,
  axis: { labelLimit: 200, grid: false },
} as const;
await writePlot(`${OUT}tabular`, {
  ...plotStyle,
  width: 560,
  height: 200,
  title: { text: "Objective of the trained network (bar) and its proven lower bound (tick)", anchor: "start" },
  data: { values },
  layer: [
    {
      mark: { type: "bar", height: { band: 0.4 }, color: "#bcd9ea" },
      encoding: {
        y: along,
        x: { field: "objective", type: "quantitative", title: "objective", axis: { tickCount: 6 } },
      },
    },
    {
      mark: { type: "tick", thickness: 3, size: 28, color: plotColors[0] },
      encoding: { y: along, x: { field: "bound", type: "quantitative" } },
    },
    {
      mark: { type: "text", align: "left", dx: 4, dy: -23 },
      encoding: { y: along, x: { value: 0 }, text: { field: "said" } },
    },
  ],
});
console.log(`\n${fitted.notes.join("\n")}`);
const lowest = fitted.certificate.network <= trained.certificate.network * (1 + 1e-3) ? "the same" : "a higher";
console.log(
  `\nWhat it showed: fit, on a model of 200 units, has ${lowest} objective as train, which builds its own of ${trained.neurons}; ` +
    `a gated network comes to ${gated.certificate.network.toFixed(4)} instead of ${trained.certificate.network.toFixed(4)}, each proven.`,
);
