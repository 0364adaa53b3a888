/** Runs cvxpylayers on batches of ours, where a Python has it. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("cvxpylayers_run.py", import.meta.url));

/** Programs that differ in q: min 1/2 z'P z + q'z with h - G z >= 0, its last rows in second-order cones. */
export interface Batch {
  readonly name: string;
  readonly n: number;
  readonly m: number;
  readonly B: number;
  readonly cones: readonly number[];
  readonly P: readonly number[]; // [n x n]
  readonly q: readonly number[]; // [B x n]
  readonly G: readonly number[]; // [m x n]
  readonly h: readonly number[]; // [m]
  readonly dz: readonly number[]; // [B x n], the gradient that comes back
}

export interface LayerRun {
  readonly forward: number; // processor seconds a batch
  readonly both: number; // forward and back
  readonly z: readonly number[];
  readonly q: readonly number[]; // gradients
  readonly G: readonly number[];
  readonly h: readonly number[];
}

export interface PeerLayers {
  readonly versions: Readonly<Record<string, string>>;
  readonly results: readonly (LayerRun & { readonly setup: number; readonly exact: readonly number[] })[];
}

/** The Python that has cvxpylayers: CVXPYLAYERS_PYTHON, else python3; null when neither does. */
export function findCvxpylayers(): string | null {
  for (const python of [process.env.CVXPYLAYERS_PYTHON, "python3"]) {
    if (python === undefined || python === "") continue;
    if (spawnSync(python, ["-c", "import cvxpylayers.torch"], { stdio: "ignore" }).status === 0) return python;
  }
  return null;
}

/** All batches; one thread. */
export function runCvxpylayers(python: string, batches: readonly Batch[], repeats: number): PeerLayers {
  const folder = mkdtempSync(join(tmpdir(), "cvxpylayers-"));
  try {
    writeFileSync(join(folder, "batches.json"), JSON.stringify(batches.map((batch) => ({ ...batch, repeats }))));
    const { status } = spawnSync(python, [SCRIPT, folder], { stdio: ["ignore", "ignore", "inherit"] });
    if (status !== 0) throw new Error(`cvxpylayers ended with status ${status}.`);
    return JSON.parse(readFileSync(join(folder, "results.json"), "utf8"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
