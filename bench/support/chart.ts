/** Charts of the bench as SVG files under bench/results. */

import { writeFileSync } from "node:fs";
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { RESULTS } from "./report.js";

/** Colours that stay apart for readers who do not see all of them (Okabe and Ito 2008). */
export const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

export type Spec = Omit<TopLevelSpec, "$schema">;

/** Draws a chart in the common style into bench/results. */
export async function drawChart(name: string, title: string, spec: object): Promise<void> {
  const whole = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: "white",
    title: { text: title, anchor: "start" },
    config: {
      font: "DejaVu Sans, sans-serif",
      axis: { grid: true, gridColor: "#e5e7eb" },
      view: { stroke: null },
      range: { category: PALETTE },
    },
    ...spec,
  } as TopLevelSpec;
  const view = new View(parse(compile(whole).spec), { renderer: "none" });
  const svg = await view.toSVG();
  view.finalize();
  writeFileSync(`${RESULTS}/${name}.svg`, `${svg}\n`);
}

/** A logarithmic axis. */
export function logarithmic(field: string, title: string): object {
  return { field, type: "quantitative", scale: { type: "log", nice: false }, title, axis: { format: "~g" } };
}
