/**
 * An optimisation layer inside a classifier: Fisher's irises, is it a virginica, by dense - convexLayer - dense, beside the same network
 * with ReLU in its place. Prints both on flowers that were held out, and draws `out/classifier.svg` and `.png` beside this file.
 *
 *     npx tsx examples/convex-layer/classifier.ts
 */

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { convexLayer } from "../../src/index.js";
import { flowers } from "../migration/flowers.js";
import { plotColors, plotStyle, writePlot } from "../support/plot.js";
import { table } from "../support/table.js";

const EPOCHS = 40;
const WIDTH = 3;
const OUT = fileURLToPath(new URL("out/", import.meta.url));

await tf.setBackend("cpu");
const { x, y } = flowers();
const all = Array.from({ length: x.shape[0] }, (_, k) => k);
const rows = (held: boolean) => all.filter((k) => (k % 3 === 0) === held);
const [train, test] = [rows(false), rows(true)].map((taken) => ({ x: tf.gather(x, taken), y: tf.gather(y, taken) }));

const between = {
  "optimisation layer": () => convexLayer({ inequalities: 4, seed: 1 }),
  ReLU: () => tf.layers.reLU(),
};
const lines: { epoch: number; loss: number; what: string }[] = [];
const printed = [["between the dense layers", "training loss", "loss, held out", "accuracy, held out"]];
const said: string[] = [];
for (const [what, layer] of Object.entries(between)) {
  const seeded = (seed: number) => ({ kernelInitializer: tf.initializers.glorotNormal({ seed }) });
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units: WIDTH, inputShape: [4], ...seeded(1) }),
      layer(),
      tf.layers.dense({ units: 1, activation: "sigmoid", ...seeded(2) }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(0.03), loss: "binaryCrossentropy", metrics: ["accuracy"] });
  const { history } = await model.fit(train.x, train.y, { epochs: EPOCHS, batchSize: 20, shuffle: false, verbose: 0 });
  history.loss.forEach((loss, k) => {
    lines.push({ epoch: k + 1, loss: Number(loss), what });
  });
  const [loss, accuracy] = (model.evaluate(test.x, test.y) as tf.Scalar[]).map((value) => value.dataSync()[0]);
  printed.push([what, Number(history.loss.at(-1)).toFixed(4), loss.toFixed(4), `${(100 * accuracy).toFixed(0)} %`]);
  said.push(`${(100 * accuracy).toFixed(0)} % (loss ${loss.toFixed(3)})`);
  model.dispose();
}
console.log(table(printed));
tf.dispose([x, y, train.x, train.y, test.x, test.y]);

mkdirSync(OUT, { recursive: true });
await writePlot(`${OUT}classifier`, {
  ...plotStyle,
  width: 480,
  height: 260,
  title: { text: "Training loss with an optimisation layer inside, and with ReLU", anchor: "start" },
  data: { values: lines },
  mark: { type: "line", strokeWidth: 2 },
  encoding: {
    x: { field: "epoch", type: "quantitative", title: "epochs" },
    y: { field: "loss", type: "quantitative", scale: { type: "log" }, title: "binary crossentropy" },
    color: {
      field: "what",
      type: "nominal",
      title: null,
      scale: { domain: Object.keys(between), range: plotColors.slice(0, 2) },
    },
  },
});
console.log(
  `\nWhat it showed: model.fit trains through the optimisation layer like through any other: ${said[0]} of the flowers held out right, ` +
    `with ReLU in its place ${said[1]}.`,
);
