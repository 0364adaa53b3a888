/** Loads the saved model in a process of its own and compares its predictions with those of the process that trained it. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { registerLayers } from "../../src/index.js";
import { loadModel } from "../support/modelFiles.js";

const folder = process.argv[2];
registerLayers();
await tf.setBackend("cpu");
const { shape, pixels, predictions } = JSON.parse(readFileSync(join(folder, "probe.json"), "utf8"));
const model = await loadModel(join(folder, "model"));
const again = (model.predict(tf.tensor2d(pixels, shape)) as tf.Tensor).dataSync();
const apart = Math.max(...predictions.map((value: number, k: number) => Math.abs(value - again[k])));
console.log(`A fresh process loaded the model: ${shape[0]} predictions, at most ${apart.toExponential(1)} apart.`);
if (!(apart < 1e-4)) process.exit(1);
