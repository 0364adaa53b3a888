/**
 * Growing gates on ten real tables: the objective, the bound and the neurons, beside the proven optimum over sampled gates, beside
 * scnn on the same gates where a Python has it, and beside the best of ten runs each of L-BFGS and Adam on the same network objective. `npm run bench:tables -- --help`.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { defaultFirstGates, sampleGates } from "../src/convex/arrangements/index.js";
import { networkObjective, packed, smallNeurons } from "../src/convex/growth/descents/movingNeurons.js";
import { solveGrowing } from "../src/convex/growth/grow.js";
import { type Kernels, wasmKernels } from "../src/convex/kernels/index.js";
import { gaussianSource } from "../src/convex/linear/random.js";
import { bindLoss } from "../src/convex/losses/index.js";
import { penalties } from "../src/convex/penalties/index.js";
import { solve } from "../src/convex/solvers/solve.js";
import type { ConvexProgram, Loss, Matrix } from "../src/convex/types.js";
import { readColumns, standardised, withOnes } from "./data/sets.js";
import { findPython, type PeerRun, runScnn } from "./peers/scnn.js";
import { type Descender, descenders, lowestBy } from "./rivals/descents.js";
import { readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { above, objective, publish, type Rival, rivalCells, rivalHeads, seconds } from "./support/report.js";

/** Tables of the data folder: the loss that suits their last column, a class 0 or 1 or a number. */
const TABLES = [
  ["breast-cancer.csv", "binaryCrossentropy"],
  ["uci-sonar.csv", "binaryCrossentropy"],
  ["uci-pima.csv", "binaryCrossentropy"],
  ["uci-vertebral-column.csv", "binaryCrossentropy"],
  ["uci-haberman.csv", "binaryCrossentropy"],
  ["uci-blood.csv", "binaryCrossentropy"],
  ["diabetes.csv", "meanSquaredError"],
  ["reg-boston-housing.csv", "meanSquaredError"],
  ["reg-energy.csv", "meanSquaredError"],
  ["reg-yacht.csv", "meanSquaredError"],
] as const;

const flags = readFlags("tables", {
  data: { default: process.env.BENCH_DATA ?? "", help: "folder of the tables; also BENCH_DATA" },
  tables: { default: TABLES.map(([file]) => file.replace(".csv", "")).join(","), help: "tables, by name" },
  beta: { default: 2e-3, help: "beta" },
  tolerance: { default: 1e-4, help: "relative gap, and what a better gate must be worth" },
  limit: { default: 30, help: "most seconds of a growth" },
  gates: { default: 500, help: "sampled gates to compare with" },
  width: { default: 200, help: "neurons of the rivals" },
  runs: { default: 10, help: "runs of each rival" },
  cap: { default: 30, help: "most seconds of scnn, which runs where SCNN_PYTHON (else python3) has it" },
  factor: { default: 1, help: "seconds of all runs of a rival together, in times of the growth's" },
});

interface Row {
  readonly table: string;
  readonly sizes: { readonly n: number; readonly d: number };
  readonly ours: {
    objective: number;
    bound: number;
    seconds: number;
    neurons: number;
    bestRatio: number;
    status: string;
  };
  readonly sampled: { objective: number; bound: number; seconds: number; neurons: number };
  /** The network that scnn ends with, or why there is none. */
  readonly scnn: Pick<PeerRun, "judged" | "seconds" | "ended"> | string;
  readonly rivals: readonly Rival[];
}

const kernels = await wasmKernels();
const python = findPython();
const rows: Row[] = [];
const skipped: string[] = [];
for (const [file, loss] of TABLES) {
  if (!flags.tables.split(",").includes(file.replace(".csv", ""))) continue;
  const path = join(flags.data, file);
  if (flags.data === "" || !existsSync(path)) {
    skipped.push(`${file}: skipped, since it is not in the data folder (--data or BENCH_DATA).`);
    continue;
  }
  console.error(`${file} ...`);
  rows.push(await measure(file.replace(".csv", ""), readTable(path, loss), kernels));
}

publish(
  {
    name: "tables",
    title: "Growing gates on real tables: nobody lower",
    command: "npm run bench:tables",
    machine: describeMachine(),
    about: [
      `Two-layer ReLU networks without biases on standardised columns and a column of ones, beta ${flags.beta}, cross entropy or mean squared error (standardised target).`,
      `Ours: growing gates to a gap of ${flags.tolerance} over the gates in hand, at most ${flags.limit} s. Sampled: the optimum over ${flags.gates} sampled gates, proven to the same gap, which no solver of that program can beat.`,
      `scnn: its AL on those ${flags.gates} gates, in float32, to its own stop or ${flags.cap} s; the objective of the network that its weights are, judged by us. It has the squared loss only.`,
      `L-BFGS and full-batch Adam (rate 0.01, falling to 0): ${flags.runs} runs each from Gaussian weights of width ${flags.width}, all runs of one together ${flags.factor} times our seconds; the best run is shown. All objectives are of the same function, in float64.`,
    ],
    sections: [{ title: "Objective", cells: cellsOf(rows), notes: skipped }],
    data: { settings: { ...flags, data: undefined }, skipped, rows }, // the folder is the machine's own affair
  },
  flags,
);

async function measure(table: string, program: ConvexProgram, engine: Kernels): Promise<Row> {
  const { X } = program;
  const budget = { tolerance: flags.tolerance, maxIterations: 100_000, seconds: flags.limit };
  const few = { ...program, gates: sampleGates(X, { count: defaultFirstGates(X), seed: 1 }) };
  const grown = await solveGrowing(few, engine, budget, { starts: 400, seed: 1 });
  const many = { ...program, gates: sampleGates(X, { count: flags.gates, seed: 1 }) };
  const sampled = await solve(many, engine, budget);
  const scnn = peer(many);
  const share = (flags.factor * grown.seconds) / flags.runs;
  const rivals = [];
  for (const name of descenders) {
    const objectives = [];
    for (let seed = 0; seed < flags.runs; seed++) objectives.push(await rival(name, program, engine, seed, share));
    rivals.push({ name, objectives });
  }
  return {
    table,
    sizes: { n: X.rows, d: X.cols },
    ours: {
      objective: grown.gap.primal,
      bound: grown.gap.dual,
      seconds: grown.seconds,
      neurons: grown.blocks.index.length,
      bestRatio: grown.evidence.bestRatio,
      status: grown.status,
    },
    sampled: {
      objective: sampled.gap.primal,
      bound: sampled.gap.dual,
      seconds: sampled.seconds,
      neurons: sampled.blocks.index.length,
    },
    scnn,
    rivals,
  };
}

/** scnn on the sampled program, with the settings that it has by itself but for the backend and the time. */
function peer({ X, gates, loss, beta }: ConvexProgram): Row["scnn"] {
  if (loss.name !== "meanSquaredError") return "squared loss only";
  if (python === null) return "not run";
  const settings = { dtype: "float32", backend: "torch", tol: 1e-6, constraintTol: 1e-6, maxIterations: 10_000 };
  const run = runScnn(
    { X, y: targetOf(loss), gates, beta, formulation: "relu" },
    { python, cap: flags.cap, ...settings },
  );
  return typeof run === "string" ? run : { judged: run.judged, seconds: run.seconds, ended: run.ended };
}

/** y of the mean squared error, from its gradient 2 (z - y) / n at zero. */
function targetOf(loss: Loss): Float64Array {
  const N = new Float64Array(loss.rows);
  loss.gradient(new Float64Array(loss.rows), N);
  return N.map((value) => (-value * loss.rows) / 2);
}

/** The lowest objective that one run meets in its time. */
function rival(name: Descender, program: ConvexProgram, engine: Kernels, seed: number, limit: number): Promise<number> {
  const d = program.X.cols;
  const draw = gaussianSource(100 + seed);
  const directions = Array.from({ length: flags.width }, (_, j) => ({
    direction: Float64Array.from({ length: d }, draw),
    output: 0,
    sign: j % 2 === 0 ? (1 as const) : (-1 as const),
  }));
  const start = packed({ ...smallNeurons(directions, d, 0.1), bias: new Float64Array(1) });
  const f = networkObjective(program, engine, new Int32Array(flags.width));
  return lowestBy(name, f, start, limit);
}

/** Rows of numbers, the last column the target; columns standardised. */
function readTable(path: string, loss: (typeof TABLES)[number][1]): ConvexProgram {
  const { X: features, last } = readColumns(path);
  const X = withOnes(standardised(features));
  const target: Matrix = { rows: X.rows, cols: 1, data: last };
  const Y = loss === "meanSquaredError" ? standardised(target) : target;
  return {
    X,
    gates: sampleGates(X, { count: 1 }),
    loss: bindLoss(loss, Y),
    penalty: penalties.perOutput,
    beta: flags.beta,
    outputBias: null,
    cones: true,
  };
}

function cellsOf(all: readonly Row[]): string[][] {
  const head = [
    "table",
    "n, d",
    "ours",
    "seconds",
    "neurons",
    "best ratio",
    `${flags.gates} sampled gates`,
    "above ours",
    "scnn on them",
    "above ours",
    ...rivalHeads(descenders),
  ];
  return [
    head,
    ...all.map(({ table, sizes, ours, sampled, scnn, rivals }) => [
      table,
      `${sizes.n}, ${sizes.d}`,
      objective(ours.objective),
      `${seconds(ours.seconds)}${ours.status === "solved" ? "" : ` (${ours.status})`}`,
      String(ours.neurons),
      ours.bestRatio.toFixed(4),
      objective(sampled.objective),
      above(sampled.objective, ours.objective),
      ...(typeof scnn === "string"
        ? [scnn, ""]
        : [`${objective(scnn.judged)} (${scnn.ended}, ${seconds(scnn.seconds)})`, above(scnn.judged, ours.objective)]),
      ...rivalCells(rivals, ours.objective),
    ]),
  ];
}
