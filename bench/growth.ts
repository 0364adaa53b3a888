/**
 * How the time to a gap grows with rows and gates: one run a size, on data by the recipe of the scnn paper's Figure 1, with
 * scnn beside it where a Python has it. `npm run bench:growth -- --help` lists the flags.
 */

import { wasmKernels } from "../src/convex/kernels/index.js";
import { solve } from "../src/convex/solvers/solve.js";
import { type Formulation, figureProgram, momentOf } from "./data/scnnCases.js";
import { findPython, type PeerRun, runScnn } from "./peers/scnn.js";
import { numbers, readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { echo, objective, publish, ratio, seconds } from "./support/report.js";

const flags = readFlags("growth", {
  rows: { default: "250,1000,5000,20000", help: "n of gated programs" },
  gates: { default: "500,2000,10000", help: "P of gated programs" },
  "relu-rows": { default: "250,1000,2500,5000", help: "n of ReLU programs" },
  "relu-gates": { default: "500", help: "P of ReLU programs" },
  gaps: { default: "1e-3,1e-5", help: "relative gaps; a run ends at the smallest" },
  limit: { default: 20, help: "most seconds for one run of ours" },
  cap: { default: 10, help: "most seconds for one run of scnn" },
  "peer-work": { default: 1e8, help: "largest n d P at which scnn is run" },
  total: { default: 420, help: "seconds after which no run begins" },
});

/** One size. */
interface GrowthCase {
  readonly formulation: Formulation;
  readonly n: number;
  readonly P: number;
  readonly solver: string;
  readonly status: string;
  readonly seconds: number; // of the whole run
  readonly primal: number;
  readonly gap: number; // where the run ended
  readonly moments: readonly (number | null)[]; // seconds to each gap; null: it was not reached
  readonly peer: PeerMoments | null; // null: scnn was not run
}

interface PeerMoments {
  readonly moments: readonly (number | null)[];
  readonly spent: number;
  readonly failure: string | null;
}

const FEATURES = 50;
const gaps = numbers(flags.gaps).sort((a, b) => b - a);
const python = findPython();
const kernels = await wasmKernels();
const began = performance.now();
const cases: GrowthCase[] = [];
const skipped: string[] = [];
await measure("gated", 250, 500); // warms up, and is not kept
for (const n of numbers(flags.rows)) for (const P of numbers(flags.gates)) await add("gated", n, P);
for (const n of numbers(flags["relu-rows"])) for (const P of numbers(flags["relu-gates"])) await add("relu", n, P);

publish(
  {
    name: "growth",
    title: "Growth: time to a gap against rows and gates",
    command: "npm run bench:growth",
    machine: describeMachine(),
    about: [
      "Data by the recipe of the scnn paper's Figure 1 (d = 50, squared loss, beta / n = 1e-3, sampled gates). One run a",
      `size, in float64 on the WASM engine, to a proven gap of ${gaps[gaps.length - 1]} or ${flags.limit} s; gates are sampled`,
      "before the clock starts. A time to a gap is that of the first round that proved it.",
      python === null
        ? "No Python with scnn was found (SCNN_PYTHON, python3): only our side was measured."
        : `scnn: R-FISTA and AL, float32 on torch, all cores, at most ${flags.cap} s, where n d P is at most ${flags["peer-work"]}; its time is to an objective within the same gap of our bound.`,
    ],
    sections: [{ title: "Seconds to a gap", cells: cellsOf(cases), notes: skipped }],
    data: { settings: flags, gaps, cases, skipped },
  },
  flags,
);

async function add(formulation: Formulation, n: number, P: number): Promise<void> {
  if ((performance.now() - began) / 1000 > flags.total) {
    skipped.push(`${formulation}, n ${n}, P ${P}: skipped, since ${flags.total} s were over.`);
    return;
  }
  console.error(`${formulation}, n ${n}, P ${P} ...`);
  const one = await measure(formulation, n, P);
  cases.push(one);
  echo(cellsOf([one]));
}

async function measure(formulation: Formulation, n: number, P: number): Promise<GrowthCase> {
  const [program, problem] = figureProgram(formulation, n, P);
  const moments: (number | null)[] = gaps.map(() => null);
  const { status, gap, solver, ...run } = await solve(program, kernels, {
    tolerance: gaps[gaps.length - 1],
    maxIterations: 10_000,
    seconds: flags.limit,
    onRound: ({ seconds: at, gap: { relative } }) => {
      gaps.forEach((goal, k) => {
        if (relative <= goal) moments[k] ??= at;
      });
      return false;
    },
  });
  const works = python !== null && n * FEATURES * P <= flags["peer-work"] && cases.length > 0;
  const peer = works ? peerMoments(runPeer(python, problem), gap.dual) : null;
  const ours = { solver, status, seconds: run.seconds, primal: gap.primal, gap: gap.relative, moments };
  return { formulation, n, P: program.gates.count, ...ours, peer };
}

function runPeer(path: string, problem: Parameters<typeof runScnn>[0]): PeerRun | string {
  const settings = { python: path, dtype: "float32", backend: "torch", constraintTol: 1e-6, cap: flags.cap };
  const tol = problem.formulation === "gated" ? 1e-16 : 1e-6; // AL needs its own stop: its inner loops end by it
  return runScnn(problem, { ...settings, tol, maxIterations: 10_000_000 });
}

/** When scnn was within each gap of our bound. */
function peerMoments(run: PeerRun | string, dual: number): PeerMoments {
  if (typeof run === "string") return { moments: gaps.map(() => null), spent: 0, failure: run };
  return { moments: gaps.map((gap) => momentOf(run, dual / (1 - gap))), spent: run.seconds, failure: null };
}

function cellsOf(all: readonly GrowthCase[]): string[][] {
  const head = ["program", "n", "P", "solver", "objective", "gap reached", "s"];
  const columns = gaps.flatMap((gap) => [`s to ${gap}`, "scnn s", "ratio"]);
  return [[...head, ...columns], ...all.map((one) => [...rowOf(one), ...gaps.flatMap((_, k) => momentCells(one, k))])];
}

function rowOf({ formulation, n, P, solver, primal, gap, status, seconds: spent }: GrowthCase): string[] {
  const reached = `${gap.toExponential(1)}${status === "solved" ? "" : ` (${status})`}`;
  return [formulation, String(n), String(P), solver, objective(primal), reached, seconds(spent)];
}

function momentCells({ moments, peer }: GrowthCase, k: number): [string, string, string] {
  const ours = moments[k];
  const mine = ours === null ? "not reached" : seconds(ours);
  if (peer === null) return [mine, "", ""];
  if (peer.failure !== null) return [mine, peer.failure, ""];
  const theirs = peer.moments[k];
  if (theirs === null) {
    return [mine, `not in ${seconds(peer.spent)}`, ours === null ? "neither" : ratio(peer.spent / ours, true)];
  }
  return [mine, seconds(theirs), ours === null ? "scnn alone" : ratio(theirs / ours)];
}
