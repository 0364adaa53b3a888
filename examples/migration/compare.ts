/** Runs the two scripts as their users would, and sets their reports side by side. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { TopLevelSpec } from "vega-lite";
import { plotColors, plotStyle } from "../support/plot.js";
import { table } from "../support/table.js";
import type { Report } from "./report.js";

const BEFORE = fileURLToPath(new URL("./before.ts", import.meta.url));
const AFTER = fileURLToPath(new URL("./after.ts", import.meta.url));

/** Lines of code that are in one script only, as a diff shows them: "- " before, "+ " after. */
export function differences(): string[] {
  const [before, after] = [BEFORE, AFTER].map((file) =>
    readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("/**") && !line.includes("report(")),
  );
  return [
    ...before.filter((line) => !after.includes(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
  ];
}

export function runBoth(): [Report, Report] {
  const [before, after] = [BEFORE, AFTER].map((file) => {
    const printed = execFileSync(process.execPath, ["--import", "tsx", file], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return JSON.parse(printed.trim().split("\n").at(-1) ?? "") as Report;
  });
  return [before, after];
}

/** Objectives above the bound, on a logarithmic axis. */
export function excessPlot(reports: readonly Report[]): TopLevelSpec {
  const bound = reports[1].bound ?? 0;
  const values = reports.map(({ method, objective, epochs, seconds }) => ({
    method,
    excess: objective / bound - 1,
    said: `${(100 * (objective / bound - 1)).toPrecision(2)} %, ${epochs} ${method === "convex" ? "rounds" : "epochs"}, ${seconds.toFixed(1)} s with start-up`,
  }));
  const floor = 10 ** Math.floor(Math.log10(Math.min(...values.map(({ excess }) => Math.max(excess, 1e-9)))) - 0.5);
  const domain: number[] = [floor, 1];
  const y = { field: "method", type: "nominal", sort: null, title: null } as const;
  const x = {
    field: "excess",
    type: "quantitative",
    scale: { type: "log", domain },
    axis: { format: "~%", tickCount: 6 },
    title: "objective above the proven lower bound",
  } as const;
  const color = {
    field: "method",
    type: "nominal",
    legend: null,
    scale: { domain: ["convex", "model.fit"], range: plotColors },
  } as const;
  return {
    ...plotStyle,
    width: 560,
    height: 110,
    title: { text: "The same model and objective after three changed lines", anchor: "start" },
    data: { values },
    layer: [
      { mark: { type: "rule", strokeWidth: 2 }, encoding: { y, x, x2: { datum: floor }, color } },
      { mark: { type: "point", filled: true, size: 110, opacity: 1 }, encoding: { y, x, color } },
      {
        mark: { type: "text", align: "left", dx: 10, dy: -12 },
        encoding: { y, x: { datum: floor }, text: { field: "said" } },
      },
    ],
  };
}

export function compare(reports: readonly [Report, Report]): string {
  const bound = reports[1].bound ?? 0;
  const [before, after] = reports;
  const rows = table([
    ["method", "objective", "lower bound", "above it", "accuracy", "epochs", "seconds"],
    ...reports.map((report) => [
      report.method,
      report.objective.toFixed(6),
      report.bound === null ? "none" : report.bound.toFixed(6),
      `${(100 * (report.objective / bound - 1)).toFixed(3)} %`,
      report.accuracy.toFixed(3),
      String(report.epochs),
      report.seconds.toFixed(1),
    ]),
  ]);
  const excess = ({ objective }: Report) => {
    const above = 100 * (objective / bound - 1);
    return above < 0.01 ? "less than 0.01 %" : `${above.toPrecision(2)} %`;
  };
  return (
    `${rows}\n\nWhat it showed: with three lines changed the same model ends ${excess(after)} above the proven bound, ` +
    `where model.fit ended ${excess(before)} above it.`
  );
}
