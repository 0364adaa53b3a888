/** How a bench answers: tables on the terminal or one JSON object, and both as files under bench/results. */

import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import stringify from "json-stringify-pretty-compact";
import { table } from "../../examples/support/table.js";
import { type Machine, machineLine } from "./machine.js";
import { isCurve, thinned } from "./thin.js";

export const RESULTS = fileURLToPath(new URL("../results", import.meta.url));

/** Rows of cells, the first being the head, with a sentence before and notes after. */
export interface Section {
  readonly title: string;
  readonly cells: readonly (readonly string[])[];
  readonly notes?: readonly string[];
}

export interface Report {
  readonly name: string; // of the files
  readonly title: string;
  readonly command: string;
  readonly machine: Machine;
  /** What was measured and how, in sentences. */
  readonly about: readonly string[];
  readonly sections: readonly Section[];
  /** What the JSON file holds beside the machine. */
  readonly data: object;
  /** JSON of other benches, printed with this one's and kept out of its files. */
  readonly others?: object;
}

/** Prints a report, as JSON where `json` says so; writes its files unless `dry`. */
export function publish(report: Report, { json, dry }: { json: boolean; dry: boolean }): void {
  const { name, machine, others } = report;
  const own = ownData(report);
  const printed = asJson(others === undefined ? own : { [name]: own, ...others });
  console.log(
    json ? printed : `${report.title}\n${machineLine(machine)}\n\n${report.sections.map(asText).join("\n\n")}`,
  );
  if (!dry) writeReport(report);
}

/** Writes `${name}.md` and `${name}.json`; a bench that may be cut short does so before its end. */
export function writeReport(report: Report, folder = RESULTS): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/${report.name}.json`, `${asJson(ownData(report))}\n`);
  writeFileSync(`${folder}/${report.name}.md`, asMarkdown(report));
}

function ownData({ name, command, machine, data }: Report): object {
  return { bench: name, command, machine, ...data };
}

/** Rows as soon as they are known, on stderr: a bench that is cut short has not measured for nothing. */
export function echo([, ...rows]: readonly (readonly string[])[]): void {
  for (const row of rows) console.error(`  ${row.join(" | ")}`);
}

function asText({ title, cells, notes = [] }: Section): string {
  return [title, "", table(cells), ...notes].join("\n");
}

function asMarkdown({ title, command, machine, about, sections }: Report): string {
  const parts = [`# ${title}`, "", `Printed by \`${command}\` on ${machineLine(machine)}.`, ...about, ""];
  for (const section of sections) {
    parts.push(`## ${section.title}`, "", ...section.cells.map(markdownRow), "");
    for (const note of section.notes ?? []) parts.push(note, "");
  }
  return `${parts.join("\n").trimEnd()}\n`;
}

function markdownRow(row: readonly string[], k: number): string {
  return `| ${row.join(" | ")} |${k === 0 ? `\n|${row.map(() => " --- ").join("|")}|` : ""}`;
}

/** What a table or a chart is drawn from, and no more: curves as the eye sees them, numbers of nine digits. */
export function asJson(value: object): string {
  return stringify(value, { maxLength: 140, replacer: kept });
}

function kept(_key: string, value: unknown): unknown {
  if (isCurve(value)) return thinned(value);
  return typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(9)) : value;
}

export function seconds(value: number): string {
  return value < 0.1 ? value.toFixed(4) : value < 10 ? value.toFixed(2) : value.toFixed(1);
}

export function bytes(value: number): string {
  return value < 1e6 ? `${(value / 1e3).toFixed(1)} kB` : `${(value / 1e6).toFixed(1)} MB`;
}

export function objective(value: number): string {
  return value.toPrecision(7);
}

/** A ratio of times; `bound` marks one that is only known to be at least this. */
export function ratio(value: number, bound = false): string {
  return `${bound ? "> " : ""}${value < 10 ? value.toFixed(1) : value.toFixed(0)}x`;
}

/** How far a value is above ours, in percent. */
export function above(value: number, ours: number): string {
  return `${(100 * (value / ours - 1)).toPrecision(2)} %`;
}

/** The runs of one rival. */
export interface Rival {
  readonly name: string;
  readonly objectives: readonly number[];
}

/** Heads of the columns of rivals. */
export function rivalHeads(names: readonly string[]): string[] {
  return names.flatMap((name) => [`best ${name}`, "above ours"]);
}

/** The best run of each rival, and how far it is above ours. */
export function rivalCells(rivals: readonly Rival[], ours: number): string[] {
  return rivals.flatMap(({ objectives }) => {
    const best = Math.min(...objectives);
    return [objective(best), above(best, ours)];
  });
}
