/** Runs the usual models of scikit-learn on tables of ours, where a Python has it. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { OrdinaryTable } from "../data/ordinaryTables.js";

const SCRIPT = fileURLToPath(new URL("sklearn_models.py", import.meta.url));

/** What is counted on test rows: the share of wrong labels, or the root of the mean square, or the mean absolute error. */
export type Metric = "error" | "rmse" | "mae";

/** A table, the metric of its task, and the rows of each split that are held out. */
export interface SplitTable {
  readonly table: OrdinaryTable;
  readonly metric: Metric;
  readonly splits: readonly (readonly number[])[];
}

/** One fit of one model. */
export interface PeerFit {
  readonly table: string;
  readonly split: number;
  readonly model: string;
  readonly error: number;
  readonly seconds: number; // of processor time, the search for settings with it
}

export interface PeerFits {
  readonly version: string;
  readonly results: readonly (PeerFit | { readonly table: string; readonly failed: string })[];
}

/** The Python that has scikit-learn: SKLEARN_PYTHON, else python3; null when neither does. */
export function findSklearn(): string | null {
  for (const python of [process.env.SKLEARN_PYTHON, "python3"]) {
    if (python === undefined || python === "") continue;
    if (spawnSync(python, ["-c", "import sklearn"], { stdio: "ignore" }).status === 0) return python;
  }
  return null;
}

/** All models on all splits; one thread, so that seconds are comparable. */
export function runSklearn(tables: readonly SplitTable[], python: string): PeerFits {
  const folder = mkdtempSync(join(tmpdir(), "sklearn-"));
  try {
    const facts = tables.map(({ table: { name, task, x, y }, metric, splits }) => {
      writeNumbers(join(folder, `${name}.x.f64`), x.data);
      writeNumbers(join(folder, `${name}.y.f64`), y.data);
      return { name, task, n: x.rows, d: x.cols, C: y.cols, metric, splits };
    });
    writeFileSync(join(folder, "tables.json"), JSON.stringify(facts));
    const env = { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" };
    const { status } = spawnSync(python, [SCRIPT, folder], { stdio: ["ignore", "ignore", "inherit"], env });
    if (status !== 0) throw new Error(`scikit-learn ended with status ${status}.`);
    return JSON.parse(readFileSync(join(folder, "results.json"), "utf8"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeNumbers(path: string, values: Float64Array): void {
  writeFileSync(path, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}
