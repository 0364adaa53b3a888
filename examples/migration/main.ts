/**
 * From model.fit to the convex trainer in three lines: shows the difference of the two scripts, runs both, and compares.
 *
 *     npm run demo:migration
 */

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { writePlot } from "../support/plot.js";
import { compare, differences, excessPlot, runBoth } from "./compare.js";

for (const line of differences()) console.log(line);
const reports = runBoth();
const folder = fileURLToPath(new URL("out/", import.meta.url));
mkdirSync(folder, { recursive: true });
await writePlot(`${folder}migration`, excessPlot(reports));
console.log(`\n${compare(reports)}`);
