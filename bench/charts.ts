/** Draws the charts of bench/results again from the JSON files there: `npx tsx bench/charts.ts`. */

import { existsSync, readFileSync } from "node:fs";
import { plotFit, plotLimit, plotMemory, plotScnn } from "./support/plots.js";
import { RESULTS } from "./support/report.js";

for (const file of ["fit", "fit-relu"]) await draw(file, ({ results }) => plotFit(results, file));
await draw("scnn", ({ cases }) => plotScnn(cases));
await draw("limit", ({ rates }) => plotLimit(rates));
await draw("memory", ({ rows, base }) => plotMemory(rows, base));

/** What each file holds is what its bench passed to the same function. */
type Held = { results: Parameters<typeof plotFit>[0] } & { cases: Parameters<typeof plotScnn>[0] } & {
  rates: Parameters<typeof plotLimit>[0];
} & { rows: Parameters<typeof plotMemory>[0]; base: Parameters<typeof plotMemory>[1] };

async function draw(name: string, plot: (held: Held) => Promise<void>): Promise<void> {
  const file = `${RESULTS}/${name}.json`;
  if (!existsSync(file)) return;
  await plot(JSON.parse(readFileSync(file, "utf8")));
  console.log(`bench/results/${name}.svg`);
}
