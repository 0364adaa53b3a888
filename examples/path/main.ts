/**
 * Which beta? The whole regularization path of a ReLU network on Fisher's irises, each point with its bound, and the beta that
 * cross-validation chooses on it.
 *
 *     npm run demo:path
 */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { flowers } from "../migration/flowers.js";
import { writePlot } from "../support/plot.js";
import { table } from "../support/table.js";
import { explore } from "./experiment.js";
import { choicePlot, pathPlot } from "./plots.js";

const COUNT = 40;
const FOLDS = 5;
const EVERY = 4; // rows of the table

await tf.setBackend("cpu");
const { x, y } = flowers();
const { path, choice } = await explore(x, y, COUNT, FOLDS);
const { betas, best, oneStandardError, mean, standardError } = choice;
const shown = path.points.map((_, k) => k).filter((k) => k % EVERY === 0 || k === best || k === oneStandardError);
console.log(
  table([
    ["beta", "objective", "gap", "neurons", "accuracy", "held-out loss", "+-", ""],
    ...shown.map((k) => [
      betas[k].toExponential(2),
      path.points[k].certificate.network.toFixed(6),
      path.points[k].certificate.relativeGap.toExponential(1),
      String(path.points[k].neurons),
      path.points[k].metrics.acc.toFixed(3),
      mean[k].toFixed(4),
      standardError[k].toFixed(4),
      k === best ? "best" : k === oneStandardError ? "one standard error" : "",
    ]),
  ]),
);
const chosen = choice.path.points[choice.path.points.length - 1];
console.log(`\n${path.points.length} betas in ${path.seconds.toFixed(1)} s. ${chosen.certificate.claim}`);

const folder = fileURLToPath(new URL("out", import.meta.url));
mkdirSync(folder, { recursive: true });
await writePlot(join(folder, "path"), pathPlot(path));
await writePlot(join(folder, "cross-validation"), choicePlot(choice));
console.log(`Plots: ${join(folder, "path")} and ${join(folder, "cross-validation")}, .svg and .png`);
const [few, many] = [path.points[oneStandardError].neurons, path.points[best].neurons];
const neurons = (count: number) => `${count} neuron${count === 1 ? "" : "s"}`;
console.log(
  `What it showed: of ${betas.length} betas, each solved from the one before, ${betas[best].toExponential(2)} predicts the rows held out ` +
    `best (loss ${mean[best].toFixed(4)}), and ${betas[oneStandardError].toExponential(2)} as well within one standard error, with ` +
    `${few === many ? `as many neurons, ${few}` : `${neurons(few)} instead of ${many}`}.`,
);
choice.model.dispose();
tf.dispose([x, y]);
