/**
 * Rows with shards: a million of them to a proven gap, the peak memory of every process, and what the engine itself takes of the
 * processor's time. `npm run bench:shards -- --help` lists the flags.
 */

import { loadavg } from "node:os";
import { numbers, readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { bytes, echo, objective, publish, seconds } from "./support/report.js";
import type { OnePassUse, ShardedCaseWish, ShardedUse } from "./support/shards/oneFit.js";
import { cellsOf, HEAD, inItsOwnProcess, nameOf } from "./support/shards/runs.js";

const flags = readFlags("shards", {
  rows: { default: 1_000_000, help: "n of the fit to a gap of 1e-3, at d 20 and 50 gates; 0: none" },
  overheadRows: {
    default: 200_000,
    help: "n of the fits that show what the engine takes, at d 50 and 100 gates; 0: none",
  },
  overheadRounds: { default: 1, help: "rounds of 20 iterations of these" },
  workers: { default: "1,2,4", help: "shards of these, as processes of this machine" },
  ray: { default: "2", help: "and as actors of Ray, of the Python TFJS_CONVEX_PYTHON; empty: none" },
  passRows: { default: 1_000_000, help: "n of the path with folds from one pass, at d 20 and 50 gates; 0: none" },
  betas: { default: 20, help: "of that path" },
  folds: { default: 5, help: "of its cross-validation" },
  reluRows: { default: 100_000, help: "n of a ReLU program, at d 20 and 50 sampled gates; 0: none" },
  fileRows: { default: 1_000_000, help: "n of a round at d 50 and 20 gates whose rows go through files; 0: none" },
  budget: { default: 900, help: "processor seconds; what would take more is left out, and named" },
});

const whole = { n: flags.rows, d: 20, P: 50, beta: 5e-3, tolerance: 1e-3, rounds: 100 };
const short = { n: flags.overheadRows, d: 50, P: 100, beta: 5e-3, tolerance: 1e-9, rounds: flags.overheadRounds };
const cones = { n: flags.reluRows, d: 20, P: 50, beta: 1e-4, tolerance: 1e-3, rounds: 100, hidden: "relu" } as const;
const wide = { n: flags.fileRows, d: 50, P: 20, beta: 5e-3, tolerance: 1e-9, rounds: 1 };
const along = { d: 20, P: 50, tolerance: 1e-3, cluster: "local", shards: 2 } as const;
const ONE = { cluster: "one process", shards: 1 } as const;
const TWO = { cluster: "local", shards: 2 } as const;

const [load] = loadavg();
let spent = 0;
const leftOut: string[] = [];

// The most important first: what comes last is what a budget leaves out.
const million = run("the fit by shards", { ...whole, ...TWO }, 1.6e-4);
const overhead = [
  ...run("the engine's share: one process", { ...short, ...ONE }, 1.5e-4),
  ...numbers(flags.workers).flatMap((shards) => {
    return run(`the engine's share: ${shards} local`, { ...short, cluster: "local", shards }, 1.5e-4);
  }),
  ...numbers(flags.ray).flatMap((shards) => {
    return run(`the engine's share: ${shards} of Ray`, { ...short, cluster: "ray", shards }, 2.5e-4);
  }),
];
const onePass = within("the path from one pass", flags.passRows, 1e-4, () => {
  const wish = { ...along, n: flags.passRows, betas: flags.betas, folds: flags.folds };
  return inItsOwnProcess<OnePassUse>(wish);
});
const relu = [
  ...run("the ReLU program by shards", { ...cones, ...TWO }, 4e-4),
  ...run("the ReLU program in one process", { ...cones, ...ONE }, 9e-4),
];
const files = run("rows through files", { ...wide, ...TWO, files: true }, 7e-5);
million.push(...run("the fit in one process", { ...whole, ...ONE }, 1.6e-4));

/** A fit, where there is time for it; `each`: about what a row takes, in processor seconds. */
function run(name: string, wish: ShardedCaseWish, each: number): ShardedUse[] {
  const uses = within(name, wish.n, each, () => inItsOwnProcess<ShardedUse>(wish));
  for (const use of uses) echo([[], cellsOf(use)]);
  return uses;
}

function within<Use extends { readonly spent: number }>(
  name: string,
  rows: number,
  each: number,
  measure: () => Use,
): Use[] {
  if (rows === 0) return [];
  if (spent + rows * each > flags.budget) {
    leftOut.push(`${name} (n = ${rows}, some ${Math.round(rows * each)} s)`);
    console.log(`Left out: ${leftOut.at(-1)}`);
    return [];
  }
  const use = measure();
  spent += use.spent;
  return [use];
}

/** What does not work on rows, in percent of all. */
function overheadOf({ processor: { workers, driver, engine } }: ShardedUse): string {
  return `${((100 * (driver + engine)) / (workers + driver + engine)).toPrecision(2)} %`;
}

function wireCells(use: ShardedUse): string[] {
  const perCall = (total: number) => bytes(total / use.calls);
  const total = use.processor.workers + use.processor.driver + use.processor.engine;
  return [
    ...[nameOf(use), overheadOf(use), seconds(total / use.iterations)],
    ...[(use.calls / use.iterations).toFixed(2), perCall(use.bytesOut), perCall(use.bytesBack)],
  ];
}

function passCells(use: OnePassUse): string[] {
  const { workers, driver, after } = use.processor;
  return [
    ...[`${use.solves}`, use.worstGap.toExponential(1), use.best.toExponential(2), objective(use.error)],
    ...[seconds(use.openSeconds), seconds(use.passSeconds), seconds(use.seconds)],
    ...[seconds(workers + driver), seconds(after), ((workers + driver + after) / (workers + driver)).toFixed(2)],
    ...[bytes(use.bytesBack), bytes(use.peak.driver), use.peak.workers.map(bytes).join(", ")],
  ];
}

/** Processes that wanted to run, at the beginning and at the end. */
function loads(): string {
  return `${load.toFixed(0)} to ${loadavg()[0].toFixed(0)}`;
}

const apart = overhead.filter(({ cluster }) => cluster !== "one process");
publish(
  {
    name: "shards",
    title: "Rows with shards",
    command: "npm run bench:shards",
    machine: describeMachine(["@tensorflow/tfjs"]),
    about: [
      "Squared loss of a planted network of 20 ReLU units with noise, the gates those of the layer, beta 5e-3. Processor seconds are",
      "counted after the rows were read: of the workers, which hold rows, of the driver, and of all that stands between (for Ray its",
      "daemons, its actors and the glue). The wall clock says little where other work runs on the same cores.",
      `All of it took ${Math.round(spent)} processor seconds, the reading of rows in them, at a load of ${loads()}.`,
      leftOut.length === 0
        ? "Nothing was left out."
        : `Left out, to stay within ${flags.budget} s: ${leftOut.join("; ")}.`,
    ],
    sections: [
      {
        title: `n = ${whole.n}, d = ${whole.d}, P = ${whole.P}, to a gap of ${whole.tolerance}`,
        cells: [HEAD, ...million.map(cellsOf)],
      },
      {
        title: `n = ${short.n}, d = ${short.d}, P = ${short.P}, ${20 * short.rounds} iterations`,
        cells: [HEAD, ...overhead.map(cellsOf)],
      },
      {
        title: "What the driver and the engine take, and what crosses the wire to each shard and back",
        cells: [
          ["run", "driver and engine", "CPU s an iteration", "calls an iteration", "out a call", "back a call"],
          ...apart.map(wireCells),
        ],
        notes: ["Calls beyond one an iteration measure the gap, at the end of every 20, and find the first step."],
      },
      {
        title: `n = ${cones.n}, d = ${cones.d}, P = ${cones.P} sampled gates with cones (ReLU), beta ${cones.beta}, to a gap of ${cones.tolerance}`,
        cells: [HEAD, ...relu.map(cellsOf)],
        notes: [
          "Iterations are steps with a model of second order, which the driver solves; the single process takes the solver of its choice.",
        ],
      },
      {
        title: `n = ${wide.n}, d = ${wide.d}, P = ${wide.P}, ${20 * wide.rounds} iterations, rows written to files by the driver and read by shards`,
        cells: [HEAD, ...files.map(cellsOf)],
      },
      {
        title: `n = ${flags.passRows}, d = ${along.d}, P = ${along.P}, ${flags.betas} betas and ${flags.folds} folds from one pass, each to a gap of ${along.tolerance}`,
        cells: [
          [
            ...["solves", "largest gap", "best beta", "error held out", "s to read", "s: pass", "all"],
            ...["CPU s: pass", "after it", "all over pass", "back from a shard", "peak: driver", "peak: workers"],
          ],
          ...onePass.map(passCells),
        ],
        notes: [
          "The pass has the reading of the rows in it. Gaps are those of the path of all rows, which ends at the best beta.",
        ],
      },
    ],
    data: { settings: flags, spent, leftOut, million, overhead, relu, files, onePass },
  },
  flags,
);
