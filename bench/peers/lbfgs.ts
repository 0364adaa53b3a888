/** Runs scipy's L-BFGS on the network objective of a contest, one run a process, and judges the networks that it met. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Contest } from "../data/contests.js";
import { judgedLoss, judgedNetwork } from "./judge.js";

const SCRIPT = fileURLToPath(new URL("lbfgs_descend.py", import.meta.url));

export interface DescentWish {
  readonly width: number;
  readonly dtype: "float32" | "float64";
  readonly memory: number; // pairs
  readonly seed: number;
  readonly checkpoints: readonly number[]; // processor seconds
}

export interface DescentRun {
  readonly objectives: readonly number[]; // the best network's at every checkpoint, judged in float64
  readonly losses: readonly number[]; // of these networks on rows held out; none without such rows
  readonly ended: number | null; // processor seconds after which no step went down; null: it went on until the last checkpoint
  readonly calls: number; // of the objective
  readonly versions: Readonly<Record<string, string>>;
}

/** The Python that has scipy: SCIPY_PYTHON, else python3; null when neither does. */
export function findScipy(): string | null {
  for (const python of [process.env.SCIPY_PYTHON, "python3"]) {
    if (python === undefined || python === "") continue;
    if (spawnSync(python, ["-c", "import scipy.optimize"], { stdio: "ignore" }).status === 0) return python;
  }
  return null;
}

/** One run on one thread, on a contest whose networks are judged on rows `held` out as well. */
export function runDescent(
  python: string,
  contest: Contest,
  wish: DescentWish,
  held: Contest | null = null,
): DescentRun {
  const folder = mkdtempSync(join(tmpdir(), "lbfgs-"));
  try {
    const { X, Y, loss, beta } = contest;
    writeFileSync(
      join(folder, "problem.json"),
      JSON.stringify({ n: Y.rows, patches: X.rows / Y.rows, d: X.cols, C: Y.cols, loss, beta, ...wish }),
    );
    writeNumbers(join(folder, "x.f64"), X.data);
    writeNumbers(join(folder, "y.f64"), Y.data);
    const env = { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1", MKL_NUM_THREADS: "1" };
    const { status } = spawnSync(python, [SCRIPT, folder], { stdio: ["ignore", "ignore", "inherit"], env });
    if (status !== 0) throw new Error(`scipy's L-BFGS ended with status ${status}.`);
    const weights = new Float64Array(Uint8Array.from(readFileSync(join(folder, "weights.f64"))).buffer);
    const each = weights.length / wish.checkpoints.length;
    const inputs = wish.width * X.cols;
    const networks = wish.checkpoints.map((_, k) => {
      const own = weights.subarray(k * each, (k + 1) * each);
      return [own.subarray(0, inputs), own.subarray(inputs)] as const;
    });
    const objectives = networks.map(([W, A]) => judgedNetwork(contest, W, A));
    const losses = held === null ? [] : networks.map(([W, A]) => judgedLoss(held, W, A));
    return { objectives, losses, ...JSON.parse(readFileSync(join(folder, "run.json"), "utf8")) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeNumbers(path: string, values: Float64Array): void {
  writeFileSync(path, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}
