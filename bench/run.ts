/**
 * `npm run bench`: what can be seen in under three minutes. The Figure 1 problem to a proven gap on each engine, which goes to
 * bench/results/figure1.{md,json}, and small versions of the other benches, which write nothing.
 */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { referenceKernels, wasmKernels } from "../src/convex/kernels/index.js";
import { type FigureRow, measureFigureOne, measureGrowth } from "./data/figure1.js";
import { readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { publish } from "./support/report.js";

/** Small versions of the other benches. */
const QUICK: readonly (readonly [script: string, ...args: string[]])[] = [
  ["fit", "--sets", "synthetic", "--classes", "gated", "--least", "4", "--limit", "8", "--trial", "0.1"],
  ["limit", "--rows", "250", "--features", "50", "--peak", "256,512", "--repeats", "3"],
  ["startup", "--repeats", "5"],
];

const flags = readFlags("run", { "figure-only": { default: false, help: "the Figure 1 problem and nothing else" } });

const wasm = await wasmKernels();
const rows: FigureRow[] = [];
rows.push(await measureFigureOne(wasm, "gated", 1e-6));
rows.push(await measureFigureOne(referenceKernels, "gated", 1e-6, 500, 3));
rows.push(await measureFigureOne(wasm, "relu", 1e-3, 500, 3));
rows.push(await measureFigureOne(wasm, "relu", 1e-6, 500, 3));
rows.push(await measureFigureOne(referenceKernels, "relu", 1e-6, 500, 1));
const growth = await measureGrowth(wasm, 60, [5, 10, 20, 40]);

const others: Record<string, unknown> = {};
if (!flags["figure-only"]) {
  for (const [script, ...args] of QUICK) {
    const output = runQuick(script, flags.json ? [...args, "--json"] : args);
    if (flags.json) others[script] = JSON.parse(output);
    else console.log(`${output}\n`);
  }
}

publish(
  {
    name: "figure1",
    title: "The Figure 1 problem of the scnn paper: n = 250, d = 50, 500 sampled gates, squared loss, beta / n = 1e-3",
    command: "npm run bench",
    machine: describeMachine(),
    about: ["Float64; one thread; the first run of each row is left out."],
    sections: [
      { title: "Time to a proven gap", cells: rowCells(rows) },
      {
        title: "ReLU with gates that grow from 100 sampled ones (wasm), the objective over time",
        cells: [
          ["seconds", "objective / n", "gates"],
          ...growth.rows.map((row) => [row.seconds.toFixed(1), row.objectiveOverN.toFixed(8), String(row.gates)]),
        ],
        notes: [
          `Status ${growth.status}; the dearest gate found outside the set is priced ${growth.bestRatio.toFixed(4)} beta ` +
            `(${growth.starts} starts in all).`,
        ],
      },
    ],
    data: { problem: "n 250, d 50, 500 gates, beta / n 1e-3", rows, growth },
    ...(flags.json && !flags["figure-only"] ? { others } : {}),
  },
  flags,
);

function runQuick(script: string, args: readonly string[]): string {
  const file = fileURLToPath(new URL(`${script}.ts`, import.meta.url));
  const child = spawnSync(process.execPath, ["--import", "tsx", file, ...args, "--dry"], { encoding: "utf8" });
  // A status of 1 is a limit that is missed, which the output says.
  if (child.stdout === "") throw new Error(`bench/${script}.ts printed nothing:\n${child.stderr}`);
  return child.stdout.trim();
}

function rowCells(all: readonly FigureRow[]): string[][] {
  return [
    [
      ["program", "engine", "solver", "gap asked", "seconds (median)"],
      ["from - to", "objective / n", "gap reached", "active blocks"],
    ].flat(),
    ...all.map((row) => [
      row.formulation,
      row.engine,
      row.solver,
      row.tolerance.toExponential(0),
      row.seconds.toFixed(3),
      row.spread.map((value) => value.toFixed(3)).join(" - "),
      row.objectiveOverN.toFixed(8),
      row.relativeGap.toExponential(1),
      String(row.activeBlocks),
    ]),
  ];
}
