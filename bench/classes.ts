/**
 * ReLU networks with several outputs on tables of several classes: the convex program, in which each neuron feeds one output,
 * the network whose neurons feed them all with its bound, and the best of ten runs each of L-BFGS and Adam on the same
 * objective. `npm run bench:classes -- --help`.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { sampleGates } from "../src/convex/arrangements/index.js";
import { formulations } from "../src/convex/formulations/index.js";
import { solveGrowing } from "../src/convex/growth/grow.js";
import { type Kernels, wasmKernels } from "../src/convex/kernels/index.js";
import { gaussianSource } from "../src/convex/linear/random.js";
import { bindLoss } from "../src/convex/losses/index.js";
import { penalties } from "../src/convex/penalties/index.js";
import { mergeNeurons } from "../src/convex/recovery/merge.js";
import { SharedObjective } from "../src/convex/sharing/neurons.js";
import { shareOutputs } from "../src/convex/sharing/shareOutputs.js";
import type { ConvexProgram } from "../src/convex/types.js";
import { readColumns, standardised, withOnes } from "./data/sets.js";
import { descenders, lowestBy } from "./rivals/descents.js";
import { readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { objective, publish, type Rival, rivalCells, rivalHeads, seconds } from "./support/report.js";

/** Tables whose last column is the class 0, 1, 2, ... */
const TABLES = ["iris", "wine", "digits"];
const LOSSES = ["meanSquaredError", "categoricalCrossentropy"] as const;

const flags = readFlags("classes", {
  data: { default: process.env.BENCH_DATA ?? "", help: "folder of the tables; also BENCH_DATA" },
  tables: { default: TABLES.join(","), help: "tables, by name" },
  rows: { default: 500, help: "rows that are taken of a table at most" },
  betas: { default: "1e-3,1e-2", help: "betas" },
  tolerance: { default: 1e-3, help: "relative gap, of the program and of the network whose neurons share outputs" },
  limit: { default: 20, help: "most seconds of each of the two" },
  width: { default: 100, help: "neurons of the rivals" },
  runs: { default: 10, help: "runs of each rival" },
});

interface Row {
  readonly table: string;
  readonly sizes: { readonly n: number; readonly d: number; readonly C: number };
  readonly loss: string;
  readonly beta: number;
  readonly apart: { readonly objective: number; readonly bound: number; readonly seconds: number };
  readonly shared: {
    readonly objective: number;
    readonly bound: number;
    readonly seconds: number;
    readonly neurons: number;
    readonly bestRatio: number;
  };
  readonly rivals: readonly Rival[];
}

const kernels = await wasmKernels();
const rows: Row[] = [];
const skipped: string[] = [];
for (const table of flags.tables.split(",")) {
  const path = join(flags.data, `${table}.csv`);
  if (flags.data === "" || !existsSync(path)) {
    skipped.push(`${table}: skipped, since it is not in the data folder (--data or BENCH_DATA).`);
    continue;
  }
  for (const loss of LOSSES) {
    for (const beta of flags.betas.split(",").map(Number)) {
      console.error(`${table}, ${loss}, ${beta} ...`);
      rows.push(await measure(table, readClasses(path, loss, beta), kernels));
    }
  }
}

publish(
  {
    name: "classes",
    title: "ReLU networks with several outputs: neurons that feed them all",
    command: "npm run bench:classes",
    machine: describeMachine(),
    about: [
      `Two-layer ReLU networks without biases on standardised columns and a column of ones, one output a class; at most ${flags.rows} rows.`,
      `Each feeds one: growing gates to a gap of ${flags.tolerance}, at most ${flags.limit} s. All outputs: from there, to the same gap over the gates in hand, at most ${flags.limit} s more; seconds are of both.`,
      `L-BFGS and full-batch Adam (rate 0.01, falling to 0): ${flags.runs} runs each from Gaussian weights of width ${flags.width}, all runs of one together our seconds; the best run is shown. All objectives are of the same function, in float64.`,
    ],
    sections: [{ title: "Objective", cells: cellsOf(rows), notes: skipped }],
    data: { settings: { ...flags, data: undefined }, skipped, rows }, // the folder is the machine's own affair
  },
  flags,
);

async function measure(table: string, program: ConvexProgram, engine: Kernels): Promise<Row> {
  const { X, loss, beta } = program;
  const budget = { tolerance: flags.tolerance, maxIterations: 100_000, seconds: flags.limit };
  const grown = await solveGrowing(program, engine, budget, { starts: 400, seed: 1 });
  const network = formulations.relu.recover(grown.program, grown.blocks);
  const merged = { ...network, neurons: mergeNeurons(network.neurons) };
  const options = { starts: 400, seed: 2, units: Number.POSITIVE_INFINITY };
  const shared = await shareOutputs(grown.program, merged, engine, budget, options);
  const spent = grown.seconds + shared.seconds;
  const rivals = [];
  for (const name of descenders) {
    const objectives: number[] = [];
    for (let seed = 0; seed < flags.runs; seed++) {
      const draw = gaussianSource(100 + seed);
      const start = Float64Array.from(
        { length: flags.width * (X.cols + loss.outputs) + loss.outputs },
        () => draw() / 4,
      );
      start.fill(0, start.length - loss.outputs);
      const whole = new SharedObjective(program, engine).over(flags.width);
      objectives.push(await lowestBy(name, whole, start, spent / flags.runs));
    }
    rivals.push({ name, objectives });
  }
  return {
    table,
    sizes: { n: X.rows, d: X.cols, C: loss.outputs },
    ...{ loss: loss.name, beta, rivals },
    apart: { objective: grown.gap.primal, bound: grown.gap.dual, seconds: grown.seconds },
    shared: {
      objective: shared.gap.primal,
      bound: shared.gap.dual,
      seconds: spent,
      neurons: shared.network.neurons.length,
      bestRatio: shared.evidence.bestRatio,
    },
  };
}

function readClasses(path: string, loss: (typeof LOSSES)[number], beta: number): ConvexProgram {
  const { X: all, last } = readColumns(path);
  const step = Math.max(1, last.length / flags.rows); // tables may be sorted by class
  const taken = Array.from({ length: Math.min(flags.rows, last.length) }, (_, k) => Math.floor(k * step));
  const data = Float64Array.from(taken.flatMap((k) => [...all.data.subarray(k * all.cols, (k + 1) * all.cols)]));
  const C = 1 + last.reduce((most, value) => Math.max(most, value), 0);
  const labels = Float64Array.from({ length: taken.length * C }, (_, k) =>
    last[taken[Math.floor(k / C)]] === k % C ? 1 : 0,
  );
  const X = withOnes(standardised({ rows: taken.length, cols: all.cols, data }));
  return {
    X,
    gates: sampleGates(X, { count: 100, seed: 1 }),
    loss: bindLoss(loss, { rows: taken.length, cols: C, data: labels }),
    penalty: penalties.perOutput,
    beta,
    outputBias: null,
    cones: true,
  };
}

function cellsOf(all: readonly Row[]): string[][] {
  const head = [
    "table",
    "n, d, C",
    "loss",
    "beta",
    "each feeds one",
    "all outputs",
    "below it",
    "bound",
    "gap",
    "seconds",
  ];
  return [
    [...head, "neurons", "best ratio", ...rivalHeads(descenders)],
    ...all.map(({ table, sizes, loss, beta, apart, shared, rivals }) => [
      table,
      `${sizes.n}, ${sizes.d}, ${sizes.C}`,
      loss,
      String(beta),
      objective(apart.objective),
      objective(shared.objective),
      `${(100 * (1 - shared.objective / apart.objective)).toPrecision(2)} %`,
      objective(shared.bound),
      (1 - shared.bound / shared.objective).toExponential(1),
      seconds(shared.seconds),
      String(shared.neurons),
      shared.bestRatio.toFixed(4),
      ...rivalCells(rivals, shared.objective),
    ]),
  ];
}
