/** The same script, convex: three lines differ from before.ts, and the name in the report. */

import * as tf from "@tensorflow/tfjs";
import { ConvexReLUTrainer } from "../../src/index.js";
import { flowers } from "./flowers.js";
import { report } from "./report.js";

const { x, y } = flowers();
const model = tf.sequential({
  layers: [
    tf.layers.dense({
      units: 64,
      activation: "relu",
      inputShape: [4],
      kernelRegularizer: tf.regularizers.l2({ l2: 0.002 }),
      biasRegularizer: tf.regularizers.l2({ l2: 0.002 }),
    }),
    tf.layers.dense({ units: 1, activation: "sigmoid", kernelRegularizer: tf.regularizers.l2({ l2: 0.002 }) }),
  ],
});
model.compile({ optimizer: tf.train.adam(0.01), loss: "binaryCrossentropy", metrics: ["accuracy"] });

const trainer = new ConvexReLUTrainer();
const history = await trainer.fit(model, x, y);

await report("convex", model, x, y, history);
