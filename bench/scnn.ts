/**
 * Our solvers against scnn's on the same data, gates, beta and objective: time to a gap, and how it grows with rows and gates.
 * `npm run bench:scnn -- --help` lists the flags; without a Python that has scnn only our own side is measured.
 */

import {
  type Comparison,
  compare,
  type Formulation,
  firstBelow,
  measureCase,
  type PeerCase,
  type PeerStop,
  type PeerWish,
} from "./data/scnnCases.js";
import { findPython } from "./peers/scnn.js";
import { numbers, readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { plotScnn } from "./support/plots.js";
import { echo, objective, publish, ratio, seconds } from "./support/report.js";

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

const python = findPython();
const cases: PeerCase[] = [];
for (const formulation of flags.formulations.split(",") as Formulation[]) {
  const { tolerance, limit, repeats } = flags;
  // scnn's own stop of R-FISTA comes long before a gap of 1e-5. AL needs its own: its inner loops end by it.
  const stops = formulation === "gated" ? [stopAt(1e-6), stopAt(1e-16)] : [stopAt(1e-6)];
  const last = stops.slice(-1).flat();
  const wish = { formulation, limit, repeats };
  await run({ ...wish, kind: "figure", n: 250, P: 500, tolerances: [1e-2, 1e-3, 1e-5], stops: stops.flat() });
  for (const n of numbers(flags.rows))
    await run({ ...wish, kind: "rows", n, P: flags["gates-fixed"], tolerances: [tolerance], stops: last });
  for (const P of numbers(flags.gates))
    await run({ ...wish, kind: "gates", n: flags["rows-fixed"], P, tolerances: [tolerance], stops: last });
}

/** How scnn ran, in sentences. */
function peerLines(): string[] {
  if (found === null) return ["No Python with scnn was found (SCNN_PYTHON, python3): only our side was measured."];
  const named = Object.entries(found).map(([name, version]) => `${name} ${version}`);
  return [
    `scnn: R-FISTA (gated) and AL (ReLU) as its optimize_model builds them, unitize_data=False, ${flags.dtype} on`,
    `${flags.backend}, all cores, at most ${flags.cap} s. Its clock leaves out activation patterns, metrics and our looks at`,
    `the point. ${named.join(", ")}.`,
  ];
}

async function run(wish: PeerWish): Promise<void> {
  console.error(`${wish.formulation}, n ${wish.n}, P ${wish.P} ...`);
  const one = await measureCase(wish);
  cases.push(one);
  echo(one.kind === "figure" ? figureCells([one]) : growthCells([one]));
}

/** scnn until its squared subgradient norm is at most `tol`, or the cap; empty without a Python that has it. */
function stopAt(tol: number): PeerStop[] {
  if (python === null) return [];
  const { dtype, backend, cap } = flags;
  const maxIterations = tol < 1e-6 ? 10_000_000 : 10_000;
  const settings = { python, dtype, backend, tol, constraintTol: 1e-6, maxIterations, cap };
  return [{ name: tol < 1e-6 ? "none" : "its own", settings }];
}

if (!flags.dry) await plotScnn(cases);
const versions = cases.flatMap(({ scnn }) => scnn.map(({ run }) => (typeof run === "string" ? null : run.versions)));
const found = versions.find((entry) => entry !== null) ?? null;
publish(
  {
    name: "scnn",
    title: "Convex programs: our solvers against scnn's",
    command: "npm run bench:scnn",
    machine: describeMachine(),
    about: [
      "Data by the recipe of the scnn paper's Figure 1 (d = 50, squared loss, beta / n = 1e-3, sampled gates), the",
      "same for both; objectives in tfjs's scaling, twice scnn's.",
      `Ours: float64 on one thread of the WASM engine, to a proven gap; medians of up to ${flags.repeats} runs`,
      "after one that warms up, runs beyond 20 s once.",
      ...peerLines(),
      "The objective of scnn's ReLU runs is that of the network that its weights are; the cones, and so the program,",
      "it meets only roughly.",
    ],
    sections: [
      { title: "n = 250, 500 gates: time to a gap", cells: figureCells(cases), notes: endNotes(cases) },
      ...(cases.some(({ kind }) => kind !== "figure")
        ? [{ title: `Growth, time to a gap of ${flags.tolerance}`, cells: growthCells(cases) }]
        : []),
    ],
    data: { settings: flags, peer: found, cases },
  },
  flags,
);

function peerCells(one: PeerCase, row: Comparison): string[] {
  const { ours, seconds: at, spent, best } = row;
  if (spent === null || best === null) {
    const failed = one.scnn.flatMap(({ run }) => (typeof run === "string" ? [run] : []));
    return [failed[0] ?? "not measured", "", ""];
  }
  const dual = Math.max(...one.ours.map(({ gap }) => gap.dual));
  const excess = `${(100 * (best / dual - 1)).toPrecision(2)} %`;
  const solved = ours.status === "solved";
  if (at === null)
    return [`not in ${seconds(spent)}`, excess, solved ? ratio(spent / ours.seconds.median, true) : "neither"];
  return [seconds(at), excess, solved ? ratio(at / ours.seconds.median) : "scnn alone"];
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
        const end = `${run.ended} after ${seconds(run.seconds)} s and ${run.steps} steps at ${objective(run.judged)}`;
        return `${name}: ended by ${end}${missed}; ${when}.`;
      }),
    );
}
