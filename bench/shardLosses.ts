/**
 * Rows with shards whose loss has kinks, and ten classes by steps over batches. `npm run bench:shard-losses -- --help` lists the flags.
 */

import { loadavg } from "node:os";
import { batchCount } from "../src/convex/solvers/stochastic/batches.js";
import { readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { echo, publish } from "./support/report.js";
import type { ShardedCaseWish, ShardedUse } from "./support/shards/oneFit.js";
import { batchSteps, cellsOf, HEAD, inItsOwnProcess } from "./support/shards/runs.js";

const flags = readFlags("shardLosses", {
  rows: {
    default: 100_000,
    help: "n of the fits whose loss has kinks, at d 20 and 50 gates, to a gap of 1e-3; 0: none",
  },
  classRows: { default: 50_000, help: "n of those of ten classes, at d 20 and 20 gates; 0: none" },
  classTolerance: { default: 0.02, help: "their gap" },
});

const LOCAL = { cluster: "local", shards: 2 } as const;
const kinked = { n: flags.rows, d: 20, P: 50, beta: 1e-3, tolerance: 1e-3, rounds: 200 };
const classes = {
  ...{ n: flags.classRows, d: 20, P: 20, beta: 1e-3, tolerance: flags.classTolerance, rounds: 60 },
  loss: "categoricalCrossentropy",
} as const;
const [load] = loadavg();

const kinks =
  flags.rows === 0
    ? []
    : [
        measured("hinge, ReLU", { ...kinked, ...LOCAL, loss: "hinge", hidden: "relu" }),
        measured("absolute errors, ReLU", { ...kinked, ...LOCAL, loss: "meanAbsoluteError", hidden: "relu" }),
        measured("hinge, gated", { ...kinked, ...LOCAL, loss: "hinge" }),
        measured("absolute errors, gated", { ...kinked, ...LOCAL, loss: "meanAbsoluteError" }),
      ];
const batches =
  flags.classRows === 0
    ? []
    : [
        measured("stochastic", { ...classes, ...LOCAL, solver: "stochastic" }),
        measured("FISTA", { ...classes, ...LOCAL, solver: "fista" }),
        measured("stochastic", { ...classes, cluster: "one process", shards: 1, solver: "stochastic" }),
      ];

function measured(title: string, wish: ShardedCaseWish): ShardedUse & { readonly title: string } {
  const use = { ...inItsOwnProcess<ShardedUse>(wish), title };
  echo([[], [title, ...cellsOf(use)]]);
  return use;
}

function section(title: string, uses: readonly (ShardedUse & { readonly title: string })[], note: string) {
  const rows = uses.map((use) => [use.title, ...cellsOf(use)]);
  return rows.length === 0 ? [] : [{ title, cells: [["", ...HEAD], ...rows], notes: [note] }];
}

publish(
  {
    name: "shard-losses",
    title: "Rows with shards: losses with kinks, and steps over batches",
    command: "npm run bench:shard-losses",
    machine: describeMachine(["@tensorflow/tfjs"]),
    about: [
      "Rows of a planted network of 20 ReLU units with noise: its sign for hinge losses, its answers for absolute errors, and of ten such",
      "networks of the same units the one that answers most. Processor seconds are counted after the rows were read; the wall clock says",
      `little where other work runs on the same cores: processes that wanted to run were ${load.toFixed(0)} to ${loadavg()[0].toFixed(0)}.`,
    ],
    sections: [
      ...section(
        `Kinks: n = ${kinked.n}, d = ${kinked.d}, P = ${kinked.P}, beta ${kinked.beta}, to a gap of ${kinked.tolerance}`,
        kinks,
        "Iterations are steps with a model of second order, which the driver solves.",
      ),
      ...section(
        `Ten classes, gated: n = ${classes.n}, d = ${classes.d}, P = ${classes.P}, beta ${classes.beta}, to a gap of ${classes.tolerance}`,
        batches,
        `Iterations of the stochastic solver are steps over one of ${batchCount(classes.n)} batches, ${batchSteps(classes.n)} a round, on shards each a trip; the gap is over all rows.`,
      ),
    ],
    data: { settings: flags, kinks, batches },
  },
  flags,
);
