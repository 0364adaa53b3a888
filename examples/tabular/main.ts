/**
 * Three ways to say the same: `fit` on a model that is there, `train` without one, and the gated network.
 *
 *     npm run demo:tabular
 */

import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer, type FitResult, registerLayers } from "../../src/index.js";
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
console.log(`\n${fitted.notes.join("\n")}`);
const lowest = fitted.certificate.network <= trained.certificate.network * (1 + 1e-3) ? "the same" : "a higher";
console.log(
  `\nWhat it showed: fit, on a model of 200 units, has ${lowest} objective as train, which builds its own of ${trained.neurons}; ` +
    `a gated network comes to ${gated.certificate.network.toFixed(4)} instead of ${trained.certificate.network.toFixed(4)}, each proven.`,
);
