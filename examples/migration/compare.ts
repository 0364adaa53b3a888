/** Runs the two scripts as their users would, and sets their reports side by side. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
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

export function compare(): string {
  const reports = runBoth();
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
  const excess = ({ objective }: Report) => `${(100 * (objective / bound - 1)).toFixed(2)} %`;
  return (
    `${rows}\n\nWhat it showed: with three lines changed the same model ends ${excess(after)} above the proven bound, ` +
    `where model.fit ended ${excess(before)} above it.`
  );
}
