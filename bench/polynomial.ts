/**
 * Polynomial units: our prices and descents against CVXPY's conic solvers on the semidefinite form of the same program.
 * `npm run bench:polynomial -- --help` lists the flags; without a Python that has cvxpy only our own side is measured.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makePlantedPolynomial } from "../examples/polynomial/experiment.js";
import { chooseEngine } from "../src/convex/kernels/index.js";
import { bindLoss } from "../src/convex/losses/index.js";
import { polynomialNetworks } from "../src/convex/matrices/index.js";
import { numbers, readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { elapsed, timingOf } from "./support/measure.js";
import { echo, objective, publish, seconds } from "./support/report.js";

const SCRIPT = fileURLToPath(new URL("peers/polynomial_solve.py", import.meta.url));

const flags = readFlags("polynomial", {
  rows: { default: 100, help: "n" },
  features: { default: "10,30", help: "d" },
  beta: { default: "0.1,0.01", help: "weights of the charge" },
  tolerance: { default: 1e-4, help: "relative gap of ours, and eps of the conic solvers" },
  repeats: { default: 5, help: "runs of ours, of which the median is taken, after one that warms up" },
});

/** What the Python script prints. */
interface Peer {
  readonly solverSeconds: number;
  readonly totalSeconds: number;
  readonly objective: number;
  readonly status: string;
  readonly versions: Readonly<Record<string, string>>;
}

const python =
  [process.env.CVXPY_PYTHON, "python3"].find(
    (name) => name !== undefined && spawnSync(name, ["-c", "import cvxpy"], { stdio: "ignore" }).status === 0,
  ) ?? null;
const activations = { quadratic: { a: 1, b: 0, c: 0 }, "ReLU-like": { a: 0.09, b: 0.5, c: 0.47 } };
const { kernels } = await chooseEngine("wasm", 1);
const head = [
  "units",
  "d",
  "beta",
  "our objective",
  "gap",
  "units found",
  "our s",
  "solver",
  "objective",
  "its s",
  "with CVXPY",
  "ratio",
];
const cells: string[][] = [head];
const runs: object[] = [];
let versions: Peer["versions"] | null = null;
for (const d of numbers(flags.features)) {
  for (const beta of numbers(flags.beta)) {
    for (const [name, activation] of Object.entries(activations)) {
      const { n, x, y } = makePlantedPolynomial(flags.rows, d, 10, activation, 1);
      const X = { rows: n, cols: d, data: Float64Array.from(x) };
      const loss = bindLoss("meanSquaredError", { rows: n, cols: 1, data: Float64Array.from(y) });
      const budget = { tolerance: flags.tolerance, maxIterations: 1e5, seconds: 120 };
      const train = () =>
        polynomialNetworks.build({ X, loss, outputBias: null, beta, activation }).solve(kernels, budget);
      const { gap, units } = await train();
      const times: number[] = [];
      for (let k = 0; k < flags.repeats; k++) times.push((await elapsed(train)).seconds);
      const ours = timingOf(times).median;
      const mine = [
        name,
        `${d}`,
        `${beta}`,
        objective(gap.primal),
        gap.relative.toExponential(1),
        `${units.length}`,
        seconds(ours),
      ];
      for (const solver of python === null ? [] : ["CLARABEL", "SCS"]) {
        const peer = solvePeer(python as string, {
          x: rowsOf(x, d),
          y: Array.from(y),
          ...activation,
          beta,
          solver,
          eps: flags.tolerance,
        });
        versions = peer.versions;
        const theirs = [solver, objective(peer.objective), seconds(peer.solverSeconds), seconds(peer.totalSeconds)];
        const row = [...mine, ...theirs, `${(peer.solverSeconds / ours).toFixed(1)}`];
        cells.push(row);
        runs.push({ units: name, n, d, beta, gap, seconds: ours, solver, ...peer });
        echo([head, row]);
      }
      if (python === null) cells.push([...mine, "", "", "", "", ""]);
    }
  }
}

publish(
  {
    name: "polynomial",
    title: "Polynomial units against conic solvers",
    command: "npm run bench:polynomial",
    machine: describeMachine(),
    about: [
      `Planted networks of 10 units on ${flags.rows} Gaussian rows with noise, mean squared error plus beta sum |alpha|, no biases.`,
      `Ours: one thread of the WASM engine, to a proven relative gap of ${flags.tolerance}, medians of ${flags.repeats} runs.`,
      `Conic solvers: the semidefinite form by CVXPY with eps ${flags.tolerance}, wall time of the solver alone and with CVXPY's`,
      `compilation; the ratio is that of the solver alone. Their objective may miss the constraints by eps.`,
      versions === null
        ? "No Python with cvxpy was found."
        : `${Object.entries(versions)
            .map((pair) => pair.join(" "))
            .join(", ")}.`,
    ],
    sections: [{ title: "Time to the gap", cells }],
    data: { settings: flags, peer: versions, runs },
  },
  flags,
);

function solvePeer(program: string, problem: object): Peer {
  const folder = mkdtempSync(join(tmpdir(), "polynomial-"));
  try {
    writeFileSync(join(folder, "problem.json"), JSON.stringify(problem));
    const { stdout, stderr, status } = spawnSync(program, [SCRIPT, folder], { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as Peer;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function rowsOf(x: Float32Array, d: number): number[][] {
  return Array.from({ length: x.length / d }, (_, k) => Array.from(x.subarray(k * d, (k + 1) * d)));
}
