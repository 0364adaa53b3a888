/**
 * Programs whose variable is a matrix: ours against CVXPY's conic solvers on the same program in one run.
 * `npm run bench:matrices -- --help` lists the flags; without a Python that has cvxpy only our own side is measured.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chooseEngine } from "../src/convex/kernels/index.js";
import { makePrograms } from "./data/matrixPrograms.js";
import { numbers, readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { echo, objective, publish, seconds } from "./support/report.js";

const SCRIPT = fileURLToPath(new URL("peers/matrices_solve.py", import.meta.url));

const flags = readFlags("matrices", {
  rows: { default: 100, help: "n" },
  features: { default: "10,30", help: "d" },
  tolerance: { default: 1e-4, help: "relative gap of ours, and eps of the conic solvers" },
  repeats: { default: 5, help: "runs of each, of which the median is taken" },
  warm: { default: 3, help: "seconds of runs of ours before, which compile it" },
});

/** What the Python script prints. */
interface Peer {
  readonly solverSeconds: number;
  readonly compileSeconds: number;
  readonly objective: number;
  readonly status: string;
  readonly versions: Readonly<Record<string, string>>;
}

const python =
  [process.env.CVXPY_PYTHON, "python3"].find(
    (name) => name !== undefined && spawnSync(name, ["-c", "import cvxpy"], { stdio: "ignore" }).status === 0,
  ) ?? null;
const { kernels } = await chooseEngine("wasm", 1);
const head = [
  ...["program", "d", "our objective", "gap", "our first", "our s", "solver", "objective", "its s", "compilation"],
  ...["ratio, alone", "ratio, CVXPY"],
];
const cells: string[][] = [head];
const runs: object[] = [];
let versions: Peer["versions"] | null = null;
for (const d of numbers(flags.features)) {
  for (const program of makePrograms(flags.rows, d)) {
    const solve = () => program.solve(kernels, flags.tolerance);
    let gap = { primal: Number.NaN, dual: Number.NaN, relative: Number.NaN };
    const first = await processorSeconds(async () => {
      gap = await solve();
    });
    for (const until = performance.now() + 1000 * flags.warm; performance.now() < until; ) await solve();
    const times: number[] = [];
    for (let k = 0; k < flags.repeats; k++) times.push(await processorSeconds(solve));
    const ours = times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
    const mine = [
      program.name,
      `${d}`,
      objective(gap.primal),
      gap.relative.toExponential(1),
      seconds(first),
      seconds(ours),
    ];
    for (const solver of python === null ? [] : ["CLARABEL", "SCS"]) {
      const { tolerance: eps, repeats } = flags;
      const peer = solvePeer(python as string, { ...program.data, program: program.kind, solver, eps, repeats });
      versions = peer.versions;
      const { solverSeconds: alone, compileSeconds: compiled } = peer;
      const theirs = [solver, objective(peer.objective), seconds(alone), seconds(compiled)];
      const row = [...mine, ...theirs, (alone / ours).toFixed(1), ((alone + compiled) / ours).toFixed(1)];
      cells.push(row);
      runs.push({ program: program.name, n: flags.rows, d, gap, firstSeconds: first, seconds: ours, solver, ...peer });
      echo([head, row]);
    }
    if (python === null) cells.push([...mine, "", "", "", "", "", ""]);
  }
}

publish(
  {
    name: "matrices",
    title: "Programs of matrices against conic solvers",
    command: "npm run bench:matrices",
    machine: describeMachine(),
    about: [
      `${flags.rows} rows; data/matrixPrograms.ts has the data and the objectives.`,
      `Seconds are of the processor, one thread, medians of ${flags.repeats} runs; ours after ${flags.warm} s of runs that warm up the compiler. "our first"`,
      "is the first run of a program, in one process for all: what it meets first is interpreted, and its compiler counts.",
      `Ours goes to a proven relative gap of ${flags.tolerance}, and to a network; the conic solvers to eps ${flags.tolerance}, by which their`,
      `objective may miss the constraints. "its s" is the solver's call alone, from a cold start; CVXPY's compilation comes before it,`,
      'and "ratio, CVXPY" is of both. Ours is all of a solve; two linear layers are a whole fit, from building the model to writing its weights.',
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

/** Seconds of the processor that a run takes, those of the compiler and the collector included. */
async function processorSeconds(run: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function solvePeer(program: string, problem: object): Peer {
  const folder = mkdtempSync(join(tmpdir(), "matrices-"));
  try {
    writeFileSync(join(folder, "problem.json"), JSON.stringify(problem));
    const { stdout, stderr, status } = spawnSync(program, [SCRIPT, folder], { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as Peer;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
