/**
 * Our solvers against scnn's on the same data, gates, beta and objective: time to a gap, and how it grows with rows and gates.
 * `npm run bench:scnn -- --help` lists the flags; without a Python that has scnn only our own side is measured.
 */

import { sampleGates } from "../src/convex/arrangements/index.js";
import { wasmKernels } from "../src/convex/kernels/index.js";
import { bindLoss } from "../src/convex/losses/index.js";
import { penalties } from "../src/convex/penalties/index.js";
import { solve } from "../src/convex/solvers/solve.js";
import type { ConvexProgram, Gap } from "../src/convex/types.js";
import { findPython, type PeerRun, type PeerSettings, runScnn } from "./peers/scnn.js";
import { plotScnn } from "./plots.js";
import { numbers, readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { type Timing, timingOf } from "./support/measure.js";
import { objective, publish, ratio, seconds } from "./support/report.js";
import { planted } from "./support/synthetic.js";

const FEATURES = 50;
const BETA = 2e-3; // 2 beta / n of the paper's scaling

type Formulation = "gated" | "relu";

/** Our side of a case: time to each gap. */
interface OurRun {
  readonly tolerance: number;
  readonly seconds: Timing;
  readonly status: string;
  readonly gap: Gap;
  readonly solver: string;
  /** The objective after each round of the last run. */
  readonly trace: readonly { readonly seconds: number; readonly primal: number }[];
}

export interface PeerCase {
  readonly kind: "figure" | "rows" | "gates";
  readonly formulation: Formulation;
  readonly n: number;
  readonly d: number;
  readonly P: number;
  readonly ours: readonly OurRun[];
  readonly scnn: readonly PeerAnswer[];
}

interface PeerAnswer {
  readonly stop: string;
  readonly run: PeerRun | string; // a string says why there is no result
}

const flags = readFlags("scnn", {
  rows: { default: "250,1000,4000,20000", help: "n of the growth in rows, at --gates-fixed gates" },
  gates: { default: "500,2000,10000", help: "P of the growth in gates, at --rows-fixed rows" },
  "rows-fixed": { default: 1000, help: "n while P grows" },
  "gates-fixed": { default: 500, help: "P while n grows" },
  formulations: { default: "gated,relu", help: "programs" },
  tolerance: { default: 1e-3, help: "relative gap of the growth" },
  limit: { default: 600, help: "most seconds for one run of ours" },
  cap: { default: 240, help: "most seconds for one run of scnn" },
  repeats: { default: 5, help: "runs of which the median is taken, where they are short" },
  dtype: { default: "float32", help: "of scnn, its default; or float64" },
  backend: { default: "torch", help: "of scnn: torch is its faster one on the CPU, numpy the one it takes by itself" },
});

const kernels = await wasmKernels();
const python = findPython();
const own: Omit<PeerSettings, "python"> = {
  dtype: flags.dtype,
  backend: flags.backend,
  tol: 1e-6,
  constraintTol: 1e-6,
  maxIterations: 10_000,
  cap: flags.cap,
};
const stops = {
  own: { name: "its own, tol 1e-6", settings: own },
  none: { name: "none", settings: { ...own, tol: 1e-16, constraintTol: 1e-16, maxIterations: 10_000_000 } },
} as const;

const cases: PeerCase[] = [];
for (const formulation of flags.formulations.split(",") as Formulation[]) {
  cases.push(await measure("figure", formulation, 250, 500, [1e-2, 1e-3, 1e-5], ["own", "none"]));
  for (const n of numbers(flags.rows))
    cases.push(await measure("rows", formulation, n, flags["gates-fixed"], [flags.tolerance], ["none"]));
  for (const P of numbers(flags.gates))
    cases.push(await measure("gates", formulation, flags["rows-fixed"], P, [flags.tolerance], ["none"]));
}

await plotScnn(cases, !flags.dry);
const versions = cases.flatMap(({ scnn }) => scnn.map(({ run }) => (typeof run === "string" ? null : run.versions)));
const found = versions.find((entry) => entry !== null) ?? null;
publish(
  {
    name: "scnn",
    title: "Convex programs: our solvers against scnn's",
    command: "npm run bench:scnn",
    machine: describeMachine(),
    about: [
      "Data by the recipe of the scnn paper's Figure 1 (d = 50, squared loss, beta / n = 1e-3, sampled gates), the same for both; objectives in tfjs's scaling, twice scnn's.",
      `Ours: float64 on one thread of the WASM engine, to a proven gap; medians of up to ${flags.repeats} runs after one that warms up, runs beyond 20 s once.`,
      found === null
        ? "No Python with scnn was found (SCNN_PYTHON, python3): only our side was measured."
        : `scnn: R-FISTA (gated) and AL (ReLU) as its optimize_model builds them, unitize_data=False, ${flags.dtype} on ${flags.backend}, all cores, at most ${flags.cap} s. Its clock leaves out activation patterns, metrics and our looks at the point. ${Object.entries(
            found,
          )
            .map(([name, version]) => `${name} ${version}`)
            .join(", ")}.`,
      "The objective of scnn's ReLU runs is that of the network that its weights are; the cones, and so the program, it meets only roughly.",
    ],
    sections: [
      { title: "n = 250, 500 gates: time to a gap", cells: figureCells(cases), notes: endNotes(cases) },
      { title: `Growth, time to a gap of ${flags.tolerance}`, cells: growthCells(cases) },
    ],
    data: { settings: flags, peer: found, cases },
  },
  flags,
);

async function measure(
  kind: PeerCase["kind"],
  formulation: Formulation,
  n: number,
  P: number,
  tolerances: readonly number[],
  wanted: readonly (keyof typeof stops)[],
): Promise<PeerCase> {
  console.error(`${formulation}, n ${n}, P ${P} ...`);
  const { X, Y } = planted(n, FEATURES, 951);
  const program: ConvexProgram = {
    X,
    gates: sampleGates(X, { count: P, seed: 650 }),
    loss: bindLoss("meanSquaredError", Y),
    penalty: penalties.perOutput,
    beta: BETA,
    outputBias: null,
    cones: formulation === "relu",
  };
  const ours: OurRun[] = [];
  for (const tolerance of tolerances) ours.push(await ourRun(program, tolerance));
  const problem = { X, y: Y.data, gates: program.gates, beta: BETA, formulation };
  const scnn = wanted.flatMap((stop): PeerAnswer[] => {
    if (python === null) return [];
    return [{ stop: stops[stop].name, run: runScnn(problem, { python, ...stops[stop].settings }) }];
  });
  return { kind, formulation, n, d: FEATURES, P: program.gates.count, ours, scnn };
}

async function ourRun(program: ConvexProgram, tolerance: number): Promise<OurRun> {
  const runs: number[] = [];
  for (let k = 0; ; k++) {
    const trace: { seconds: number; primal: number }[] = [];
    const solution = await solve(program, kernels, {
      tolerance,
      maxIterations: 10_000,
      seconds: flags.limit,
      onRound: ({ seconds: at, gap }) => {
        trace.push({ seconds: at, primal: gap.primal });
        return false;
      },
    });
    runs.push(solution.seconds);
    if (k < flags.repeats && solution.seconds < 20) continue;
    const { status, gap, solver } = solution;
    return { tolerance, seconds: timingOf(runs.length > 1 ? runs.slice(1) : runs), status, gap, solver, trace };
  }
}

/** The best lower bound that our runs have proven, and the highest objective that is within a gap of it. */
function targetOf({ ours }: PeerCase, tolerance: number): number {
  return Math.max(...ours.map(({ gap }) => gap.dual)) / (1 - tolerance);
}

/** When a run first was at a target or below; null when it never was. */
function momentOf(run: PeerRun, target: number): number | null {
  return run.trace.find(({ network }) => network <= target)?.seconds ?? null;
}

/** One row for each gap of ours: our seconds, the seconds of the scnn run that was quickest to it, the ratio. */
function compare(one: PeerCase): { ours: OurRun; seconds: number | null; spent: number | null; best: number | null }[] {
  const runs = one.scnn.flatMap(({ run }) => (typeof run === "string" ? [] : [run]));
  return one.ours.map((ours) => {
    const target = targetOf(one, ours.tolerance);
    const moments = runs.flatMap((run) => momentOf(run, target) ?? []);
    return {
      ours,
      seconds: moments.length > 0 ? Math.min(...moments) : null,
      spent: runs.length > 0 ? Math.max(...runs.map((run) => run.seconds)) : null,
      best: runs.length > 0 ? Math.min(...runs.flatMap((run) => run.trace.map(({ network }) => network))) : null,
    };
  });
}

function peerCells(one: PeerCase, row: ReturnType<typeof compare>[number]): string[] {
  const { ours, seconds: at, spent, best } = row;
  if (spent === null || best === null) {
    const failed = one.scnn.flatMap(({ run }) => (typeof run === "string" ? [run] : []));
    return [failed[0] ?? "not measured", "", ""];
  }
  const dual = Math.max(...one.ours.map(({ gap }) => gap.dual));
  const excess = `${(100 * (best / dual - 1)).toPrecision(2)} %`;
  if (at === null) return [`not in ${seconds(spent)}`, excess, ratio(spent / ours.seconds.median, true)];
  return [seconds(at), excess, ratio(at / ours.seconds.median)];
}

function figureCells(all: readonly PeerCase[]): string[][] {
  const rows = all
    .filter(({ kind }) => kind === "figure")
    .flatMap((one) =>
      compare(one).map((row) => [
        one.formulation,
        row.ours.tolerance.toExponential(0),
        objective(row.ours.gap.primal),
        row.ours.gap.relative.toExponential(1),
        row.ours.solver,
        seconds(row.ours.seconds.median),
        ...peerCells(one, row),
      ]),
    );
  return [
    ["program", "gap", "our objective", "gap reached", "solver", "our s", "scnn s", "scnn above bound", "ratio"],
    ...rows,
  ];
}

function growthCells(all: readonly PeerCase[]): string[][] {
  const rows = all
    .filter(({ kind }) => kind !== "figure")
    .flatMap((one) =>
      compare(one).map((row) => [
        one.formulation,
        String(one.n),
        String(one.P),
        row.ours.solver,
        row.ours.status === "solved"
          ? seconds(row.ours.seconds.median)
          : `${row.ours.status}, ${seconds(row.ours.seconds.median)}`,
        row.ours.gap.relative.toExponential(1),
        ...peerCells(one, row),
      ]),
    );
  return [["program", "n", "P", "solver", "our s", "our gap", "scnn s", "scnn above bound", "ratio"], ...rows];
}

/** Where each scnn run of the figure ended, by our judge, and when we were as low. */
function endNotes(all: readonly PeerCase[]): string[] {
  return all
    .filter(({ kind }) => kind === "figure")
    .flatMap((one) =>
      one.scnn.map(({ stop, run }) => {
        const name = `scnn ${one.formulation}, stop ${stop}`;
        if (typeof run === "string") return `${name}: no result (${run}).`;
        const last = run.trace[run.trace.length - 1];
        const below = firstBelow(one, run.judged);
        const missed = one.formulation === "relu" ? `, cones missed by ${last.violation.toExponential(1)}` : "";
        const when =
          below === null ? "our solution with these gates is not as low" : `ours is as low after ${seconds(below)} s`;
        return `${name}: ended by ${run.ended} after ${seconds(run.seconds)} s and ${run.steps} steps at ${objective(run.judged)}${missed}; ${when}.`;
      }),
    );
}

function firstBelow({ ours }: PeerCase, target: number): number | null {
  const moments = ours.flatMap(({ trace }) => trace.find(({ primal }) => primal <= target)?.seconds ?? []);
  return moments.length > 0 ? Math.min(...moments) : null;
}
