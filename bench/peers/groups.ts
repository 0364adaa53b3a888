/** Runs adelie, skglm and celer on gated programs of ours, which to them are group lassos, and judges their weights ourselves. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isActive } from "../../src/convex/linear/bits.js";
import type { GateSet, Matrix } from "../../src/convex/types.js";

const SCRIPT = fileURLToPath(new URL("groups_solve.py", import.meta.url));

/** Of the wall clock: so many times the cap, and a minute in which numba compiles, are all that a package gets. */
const SLACK = 10;

export const groupSolvers = ["adelie", "skglm", "celer"] as const;
export type GroupSolver = (typeof groupSolvers)[number];

/** mean((sum_i D_i X v_i - y)^2) + beta sum_i |v_i|. */
export interface GatedProblem {
  readonly X: Matrix; // [n x d]
  readonly y: Float64Array; // [n]
  readonly gates: GateSet;
  readonly beta: number;
}

export interface GroupWish {
  readonly solver: GroupSolver;
  readonly tolerances: readonly number[]; // of the package's own, loosest first
  readonly cap: number; // processor seconds: no run begins after one that took longer
}

/** One run for each tolerance, from zero. */
export interface GroupRuns {
  readonly runs: readonly { readonly seconds: number; readonly objective: number }[];
  readonly version: string;
}

/** The Python that has a package: GROUPS_PYTHON, else python3; null when neither does. */
export function findGroups(solver: GroupSolver): string | null {
  for (const python of [process.env.GROUPS_PYTHON, "python3"]) {
    if (python === undefined || python === "") continue;
    if (spawnSync(python, ["-c", `import ${solver}`], { stdio: "ignore" }).status === 0) return python;
  }
  return null;
}

/** On one thread; a string says why there is nothing. */
export function runGroups(python: string, problem: GatedProblem, wish: GroupWish): GroupRuns | string {
  const folder = mkdtempSync(join(tmpdir(), "groups-"));
  try {
    const { X, y, gates, beta } = problem;
    const masks = Array.from({ length: gates.count }, (_, i) =>
      Uint8Array.from(y, (_y, k) => Number(isActive(gates, i, k))),
    );
    writeFileSync(
      join(folder, "problem.json"),
      JSON.stringify({ n: X.rows, d: X.cols, P: gates.count, beta, ...wish }),
    );
    writeFileSync(join(folder, "x.f64"), bytesOf(X.data));
    writeFileSync(join(folder, "y.f64"), bytesOf(y));
    writeFileSync(join(folder, "gates.u8"), Buffer.concat(masks));
    const env = { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1", NUMBA_NUM_THREADS: "1" };
    const child = spawnSync(python, [SCRIPT, folder], {
      encoding: "utf8",
      env,
      timeout: SLACK * (wish.cap + 60) * 1000,
    });
    if (child.status !== 0) return child.stderr.trim().split("\n").pop() || `ended by ${child.signal ?? child.status}`;
    const { seconds, version } = JSON.parse(readFileSync(join(folder, "run.json"), "utf8"));
    const weights = new Float64Array(Uint8Array.from(readFileSync(join(folder, "weights.f64"))).buffer);
    const size = gates.count * X.cols;
    const runs = seconds.map((spent: number, k: number) => ({
      seconds: spent,
      objective: gatedObjective(problem, masks, weights.subarray(k * size, (k + 1) * size)),
    }));
    return { runs, version };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** By plain loops in float64, of V [P x d]. */
function gatedObjective({ X, y, beta }: GatedProblem, masks: readonly Uint8Array[], V: Float64Array): number {
  const d = X.cols;
  const z = new Float64Array(X.rows);
  let lengths = 0;
  masks.forEach((mask, i) => {
    const v = V.subarray(i * d, (i + 1) * d);
    const length = Math.sqrt(v.reduce((sum, value) => sum + value * value, 0));
    if (length === 0) return;
    lengths += length;
    for (let k = 0; k < X.rows; k++) {
      if (mask[k] === 1) for (let p = 0; p < d; p++) z[k] += X.data[k * d + p] * v[p];
    }
  });
  return z.reduce((sum, value, k) => sum + (value - y[k]) ** 2, 0) / X.rows + beta * lengths;
}

function bytesOf(values: Float64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
