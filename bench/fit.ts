/**
 * The trainer against model.fit with SGD and Adam: time to the objective that the trainer reaches at a gap of 1e-3, on the same
 * model class, gates, regularizers and data. `npm run bench:fit -- --help` lists the flags.
 */

import { readFileSync } from "node:fs";
import { useFastBackend } from "../examples/support/train.js";
import { registerLayers } from "../src/index.js";
import { pathOf, sources } from "./data/sets.js";
import {
  type ContestResult,
  type ContestSettings,
  contest,
  LONG,
  type ModelClass,
  modelClasses,
} from "./rivals/contest.js";
import { readFlags } from "./support/flags.js";
import { describeMachine, type Machine } from "./support/machine.js";
import { plotFit } from "./support/plots.js";
import { echo, objective, publish, RESULTS, ratio, seconds } from "./support/report.js";

const flags = readFlags("fit", {
  sets: { default: sources.map((source) => source.name).join(","), help: "data sets, by name" },
  classes: { default: modelClasses.join(","), help: "model classes" },
  data: { default: process.env.BENCH_DATA ?? "", help: "folder of the tables and of CIFAR-10; also BENCH_DATA" },
  tolerance: { default: 1e-3, help: "relative gap of the trainer" },
  patience: { default: 120, help: "most seconds for the trainer" },
  limit: { default: 120, help: "most seconds for one run of an optimizer" },
  least: { default: 20, help: "least seconds for an optimizer" },
  factor: { default: 25, help: "seconds for an optimizer, in times of the trainer's" },
  trial: { default: 1, help: "seconds of a first trial of a learning rate and a batch size" },
  repeats: { default: 3, help: "runs of which the median is taken" },
  file: { default: "fit", help: "name of the files in results/" },
  keep: {
    default: "",
    help: "files in results/ whose sets are kept unless measured now; later ones replace earlier ones",
  },
});
const settings: ContestSettings = flags;

registerLayers();
await useFastBackend();
const held = flags.keep === "" ? [] : flags.keep.split(",").map(heldIn);
const now = describeMachine(["@tensorflow/tfjs", "@tensorflow/tfjs-backend-wasm"]);
const results: ContestResult[] = [];
const skipped: string[] = [];
for (const source of sources.filter(({ name }) => flags.sets.split(",").includes(name))) {
  const path = pathOf(source, flags.data);
  if (path === null) {
    skipped.push(`${source.name}: skipped, since ${source.file} is not in the data folder (--data or BENCH_DATA).`);
    continue;
  }
  const set = await source.read(path);
  for (const modelClass of flags.classes.split(",")) {
    if (!(modelClasses as readonly string[]).includes(modelClass)) throw new Error(`--classes: ${modelClass} is none.`);
    if (modelClass === "relu-grow" && set.y.cols > 1) continue; // the same as "relu" output by output, ten times over
    console.error(`${set.name}, ${modelClass} ...`);
    const result = await contest(set, modelClass as ModelClass, settings);
    results.push(result);
    echo(cellsOf([result]));
  }
}

const all = latestOf([...held.flatMap((file) => file.results), ...results]);
if (!flags.dry) await plotFit(all, flags.file);
publish(
  {
    name: flags.file,
    title: "The trainer against model.fit: time to the same objective",
    command: "npm run bench:fit",
    // Where nothing is measured, that of the first file.
    machine: results.length > 0 || held.length === 0 ? now : held[0].machine,
    about: [
      `The trainer stops at a relative gap of ${flags.tolerance}, or after ${flags.patience} s; its time is the whole call of fit.`,
      `"near": until its solver was within 0.1 % of where it ended; the rest is proof.`,
      `An optimizer then runs on the same model class, gates, regularizers and data until the full`,
      `objective is as low, at most ${flags.factor} times as long (at least ${flags.least} s, at most ${flags.limit} s);`,
      "its clock stands still while the objective is evaluated.",
      `Learning rates (7 or 8) and two batch sizes were tuned: ${flags.trial} s for each pair, four times as long`,
      "for the best quarter; that time stands apart.",
      "model.fit ran on the fastest backend of TensorFlow.js here, one epoch measured on each.",
      `Medians of up to ${flags.repeats} runs; runs of the trainer longer than ${LONG} s were made once.`,
    ],
    sections: [{ title: "Time to the trainer's objective", cells: cellsOf(all), notes: skipped }],
    data: { settings: { ...settings, data: undefined }, skipped, results: all }, // the folder is the machine's own affair
  },
  flags,
);

function heldIn(name: string): { readonly machine: Machine; readonly results: readonly ContestResult[] } {
  return JSON.parse(readFileSync(`${RESULTS}/${name}.json`, "utf8"));
}

/** One result for each set and model class, the last, where the first stood. */
function latestOf(all: readonly ContestResult[]): ContestResult[] {
  const latest = new Map<string, ContestResult>();
  for (const result of all) latest.set(`${result.set} ${result.modelClass}`, result);
  return [...latest.values()];
}

function cellsOf(all: readonly ContestResult[]): string[][] {
  const head = [
    ["set", "model", "n, d, C, P", "objective", "gap", "trainer s", "near s"],
    ["optimizer", "rate, batch", "tuning s", "seconds", "ratio", "closest", "backend"],
  ].flat();
  const rows = all.flatMap(({ set, modelClass, sizes, trainer, rivals, backend }) =>
    rivals.map((rival) => [
      set,
      modelClass,
      [sizes.n, sizes.d, sizes.C, sizes.P].join(", "),
      objective(trainer.objective),
      `${trainer.relativeGap.toExponential(1)}${trainer.status === "solved" ? "" : ` (${trainer.status})`}`,
      seconds(trainer.seconds.median),
      seconds(trainer.nearSeconds),
      rival.optimizer,
      `${rival.rate}, ${rival.batchSize}`,
      seconds(rival.tuningSeconds),
      rival.reached ? seconds(rival.seconds.median) : `not in ${seconds(rival.seconds.median)}`,
      ratio(rival.ratio, !rival.reached),
      rival.reached ? "reached" : `${(100 * rival.excess).toPrecision(2)} % above`,
      backend,
    ]),
  );
  return [head, ...rows];
}
