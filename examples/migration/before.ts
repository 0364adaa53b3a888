/** A script as it may be anywhere: a small classifier of flowers, trained with model.fit. */

import * as tf from "@tensorflow/tfjs";
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

const history = await model.fit(x, y, { epochs: 200, batchSize: 32, verbose: 0 });

await report("model.fit", model, x, y, history);
