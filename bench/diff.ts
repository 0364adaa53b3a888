/**
 * The README's diff on six ordinary tables: `fit` without options in place of model.fit, with a fifth of the rows held out; seconds of
 * processor time, and the error on those. Wine, power plant and spambase are read from a folder.
 *
 *     npm run demo:ordinary -- --data folder
 */

import * as tf from "@tensorflow/tfjs";
import { table } from "../examples/support/table.js";
import { useFastBackend } from "../examples/support/train.js";
import { lossTraits } from "../src/convex/losses/index.js";
import { ConvexReLUTrainer } from "../src/index.js";
import { ordinarySources } from "./data/ordinaryTables.js";
import { errorOf, rowsOf, split } from "./data/splits.js";
import { readFlags } from "./support/flags.js";
import { processorSeconds } from "./support/measure.js";

const flags = readFlags("diff", {
  data: { default: process.env.BENCH_DATA ?? "", help: "folder of tables that no package has; also BENCH_DATA" },
  tables: { default: "irises,wine,digits,reg-power-plant,uci-spambase,houses", help: "tables, by name" },
  width: { default: 64, help: "hidden units" },
});

await useFastBackend();
const lines = [["table", "rows, columns, outputs", "seconds", "error on held-out rows", "status", "gap"]];
for (const name of flags.tables.split(",")) {
  const source = ordinarySources.find((one) => one.name === name);
  if (source === undefined) throw new Error(`--tables: expected a table of bench:ordinary, got "${name}".`);
  const read = source.read(flags.data);
  if (read === null) {
    console.error(`${name}: its file is not in the data folder (--data or BENCH_DATA).`);
    continue;
  }
  const { x, y, loss } = read;
  const { metric, splits } = split(read, 1);
  const held = new Set(splits[0]);
  const kept = Array.from({ length: x.rows }, (_, k) => k).filter((k) => !held.has(k));
  const [xs, ys, out] = [rowsOf(x, kept), rowsOf(y, kept), rowsOf(x, splits[0])].map(({ data, rows, cols }) =>
    tf.tensor2d(Float32Array.from(data), [rows, cols]),
  );
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units: flags.width, activation: "relu", inputShape: [x.cols] }),
      tf.layers.dense({ units: y.cols, activation: lossTraits[loss].activation }),
    ],
  });
  model.compile({ optimizer: "adam", loss: loss === "huberLoss" ? (tf.losses.huberLoss as unknown as string) : loss });
  const began = processorSeconds();
  const result = await new ConvexReLUTrainer().fit(model, xs, ys);
  const spent = processorSeconds() - began;
  const predicted = model.predict(out) as tf.Tensor;
  const error = errorOf(metric, read, Float64Array.from(predicted.dataSync()), rowsOf(y, splits[0]));
  const sizes = `${kept.length}, ${x.cols}, ${y.cols}`;
  const { status, certificate } = result;
  const seconds = spent.toFixed(1);
  lines.push([name, sizes, seconds, error.toPrecision(3), status, certificate.relativeGap.toExponential(1)]);
  console.error(`${name}: ${seconds} s`);
  tf.dispose([xs, ys, out, predicted]);
  model.dispose();
}
console.log(table(lines));
const columnOf = (at: number) => lines.slice(1).map((line) => Number(line[at]));
console.log(
  `\nWhat it showed: without an option set, no fit of ${lines.length - 1} tables took more than ${Math.max(...columnOf(2))} s of processor ` +
    `time, and none ended more than ${(100 * Math.max(...columnOf(5))).toPrecision(2)} % above its bound.`,
);
