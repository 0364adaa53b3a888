/** Runs scnn, the Python package of Mishkin, Sahiner and Pilanci, on a problem of ours, and judges its weights ourselves. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { GateSet, Matrix } from "../../src/convex/types.js";

const SCRIPT = fileURLToPath(new URL("scnn_solve.py", import.meta.url));
/** Reading, sorting patterns and the last step come on top of the cap, which is for the solver alone. */
const SLACK_SECONDS = 900;

/** A scalar problem with squared loss: |f - y|^2 / n + beta sum |v_i| in our scaling, half of it in scnn's. */
export interface PeerProblem {
  readonly X: Matrix; // [n x d]
  readonly y: Float64Array; // [n]
  readonly gates: GateSet;
  readonly beta: number;
  readonly formulation: "gated" | "relu";
}

/** How scnn is run; its own defaults are tol 1e-6, constraint_tol 1e-6, 10,000 iterations, float32. */
export interface PeerSettings {
  readonly python: string;
  readonly dtype: string;
  readonly backend: string;
  readonly device?: "cpu" | "cuda"; // the CPU where it is missing
  readonly tol: number;
  readonly constraintTol: number;
  readonly maxIterations: number;
  readonly cap: number; // seconds
}

/** A look at scnn's point, in our scaling. */
export interface PeerMoment {
  readonly seconds: number;
  readonly program: number; // the convex objective, also where the cones are missed
  readonly network: number; // of the network that the weights are; gated: the same as `program`
  readonly violation: number; // |negative parts of (2 D - I) X v|; 0 for gated
}

export interface PeerRun {
  readonly ended: string;
  readonly seconds: number;
  readonly setupSeconds: number; // activation patterns; not part of `seconds`
  readonly steps: number;
  readonly patterns: number;
  readonly trace: readonly PeerMoment[];
  /** The objective of the network at the end by our own forward pass, from the weights that scnn left. */
  readonly judged: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** The Python that has scnn: SCNN_PYTHON, else python3; null when neither does. */
export function findPython(): string | null {
  return pythonThat("import scnn.optimize");
}

/** The same with a torch that has a CUDA device. */
export function findCudaPython(): string | null {
  return pythonThat("import scnn.optimize, torch; assert torch.cuda.is_available()");
}

function pythonThat(runs: string): string | null {
  for (const python of [process.env.SCNN_PYTHON, "python3"]) {
    if (python === undefined || python === "") continue;
    if (spawnSync(python, ["-c", runs], { stdio: "ignore" }).status === 0) return python;
  }
  return null;
}

/** One run; a string says why there is no result. */
export function runScnn(problem: PeerProblem, settings: PeerSettings): PeerRun | string {
  const folder = mkdtempSync(join(tmpdir(), "scnn-"));
  try {
    writeProblem(folder, problem, settings);
    const timeout = (settings.cap + SLACK_SECONDS) * 1000;
    const child = spawnSync(settings.python, [SCRIPT, folder], { encoding: "utf8", timeout });
    if (child.status !== 0) return lastLine(child.stderr) ?? `ended by ${child.signal ?? `status ${child.status}`}`;
    return readRun(folder, problem);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeProblem(folder: string, { X, y, gates, beta, formulation }: PeerProblem, settings: PeerSettings): void {
  const { rows: n, cols: d } = X;
  const P = gates.count;
  const generators = new Float64Array(d * P); // scnn has them as columns
  for (let i = 0; i < P; i++) for (let p = 0; p < d; p++) generators[p * P + i] = gates.generators.data[i * d + p];
  const { dtype, backend, device = "cpu", tol, constraintTol, maxIterations, cap } = settings;
  const limits = { tol, constraint_tol: constraintTol, max_iters: maxIterations, cap };
  const facts = { n, d, P, lam: beta / 2, formulation, dtype, backend, device, ...limits };
  writeFileSync(join(folder, "problem.json"), JSON.stringify(facts));
  writeNumbers(join(folder, "x.f64"), X.data);
  writeNumbers(join(folder, "y.f64"), y);
  writeNumbers(join(folder, "gates.f64"), generators);
}

function readRun(folder: string, problem: PeerProblem): PeerRun {
  const { trace, ...rest } = JSON.parse(readFileSync(join(folder, "trace.json"), "utf8"));
  const moments = (trace as Record<string, number>[]).map((seen) => ({
    seconds: seen.seconds,
    program: 2 * seen.program,
    network: 2 * (seen.network ?? seen.program),
    violation: seen.violation ?? 0,
  }));
  const weights = readNumbers(join(folder, "weights.f64"));
  const gates = readNumbers(join(folder, "gates_used.f64"));
  return { ...rest, trace: moments, judged: judge(problem, weights, gates) };
}

/** |f - y|^2 / n + beta sum |v| of the network itself: (x v)_+ for ReLU, (x v) 1[x g > 0] for gated, as scnn counts ties. */
export function judge({ X, y, beta, formulation }: PeerProblem, weights: Float64Array, gates: Float64Array): number {
  const { rows: n, cols: d, data } = X;
  const count = weights.length / d;
  const P = gates.length / d;
  const f = new Float64Array(n);
  let penalty = 0;
  for (let i = 0; i < count; i++) {
    let square = 0;
    for (let p = 0; p < d; p++) square += weights[i * d + p] ** 2;
    if (square === 0) continue;
    penalty += Math.sqrt(square);
    const sign = formulation === "relu" && i >= count / 2 ? -1 : 1;
    for (let k = 0; k < n; k++) {
      let pre = 0;
      let gate = 0;
      for (let p = 0; p < d; p++) {
        pre += data[k * d + p] * weights[i * d + p];
        if (formulation === "gated") gate += data[k * d + p] * gates[p * P + i];
      }
      f[k] += formulation === "gated" ? (gate > 0 ? pre : 0) : sign * Math.max(0, pre);
    }
  }
  let loss = 0;
  for (let k = 0; k < n; k++) loss += (f[k] - y[k]) ** 2 / n;
  return loss + beta * penalty;
}

function writeNumbers(path: string, values: Float64Array): void {
  writeFileSync(path, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

function readNumbers(path: string): Float64Array {
  return new Float64Array(Uint8Array.from(readFileSync(path)).buffer);
}

function lastLine(text: string | null): string | null {
  return text?.trim().split("\n").pop() || null;
}
