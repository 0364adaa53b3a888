/**
 * `fit` without options on ordinary tables, columns as people have them, beside scikit-learn's MLP, forest and boosting, and tfjs's Adam:
 * seconds of processor time, the training objective, the error on rows held out. `npm run bench:ordinary -- --help`.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import * as tf from "@tensorflow/tfjs";
import { useFastBackend } from "../examples/support/train.js";
import { wasmKernels } from "../src/convex/kernels/index.js";
import { gaussianSource } from "../src/convex/linear/random.js";
import { lossTraits } from "../src/convex/losses/index.js";
import { SharedObjective } from "../src/convex/sharing/neurons.js";
import type { Matrix } from "../src/convex/types.js";
import { ConvexReLUTrainer, type FitResult } from "../src/index.js";
import { type OrdinaryTable, ordinarySources } from "./data/ordinaryTables.js";
import { alike, errorOf, mean, median, momentsOf, rowsOf, split } from "./data/splits.js";
import { findSklearn, type Metric, type PeerFit, type PeerFits, runSklearn, type SplitTable } from "./peers/sklearn.js";
import { lowestBy } from "./rivals/descents.js";
import { readFlags } from "./support/flags.js";
import { describeMachine } from "./support/machine.js";
import { above, objective, publish, seconds } from "./support/report.js";

const OURS = "fit()";
const ADAM = "tfjs Adam";
/** What "no worse" is measured against. */
const RIVAL = "MLP, tuned";

const flags = readFlags("ordinary", {
  data: { default: process.env.BENCH_DATA ?? "", help: "folder of further tables; also BENCH_DATA" },
  tables: { default: ordinarySources.map(({ name }) => name).join(","), help: "tables, by name" },
  splits: { default: 5, help: "splits, a fifth of the rows held out in each" },
  width: { default: 64, help: "hidden units of all networks" },
  epochs: { default: 200, help: "epochs of tfjs's Adam, on standardised columns, in batches of 32" },
  starts: { default: 2, help: "starts of L-BFGS on our objective, which together get our seconds" },
  keep: {
    default: "",
    help: "folder in which each table's figures stay, so that a run goes on where another ended (empty it when the source has changed)",
  },
});

interface Row {
  readonly table: string;
  readonly sizes: { readonly n: number; readonly d: number; readonly C: number };
  readonly loss: string;
  readonly metric: Metric;
  readonly fits: readonly PeerFit[];
  /** Of the first split. */
  readonly objective: {
    readonly ours: number;
    readonly bound: number;
    readonly descent: number;
    readonly status: string;
  };
}

await useFastBackend();
const kernels = await wasmKernels();
const wanted = new Set(flags.tables.split(","));
const read = ordinarySources
  .filter(({ name }) => wanted.has(name))
  .map(({ name, read }) => ({ name, table: read(flags.data) }));
const skipped = read
  .filter(({ table }) => table === null)
  .map(({ name }) => `${name}: its file is not in the data folder (--data or BENCH_DATA).`);
const tables = read.flatMap(({ table }) => (table === null ? [] : [split(table, flags.splits)]));
const rows: Row[] = [];
for (const one of tables) {
  console.error(`${one.table.name} ...`);
  rows.push(await kept(`${one.table.name}.ours`, () => measure(one)));
}
const python = findSklearn();
const peers: PeerFits[] = [];
for (const one of python === null ? [] : tables) {
  peers.push(await kept(`${one.table.name}.sklearn`, () => runSklearn([one], python ?? "")));
}
const results = peers.flatMap((one) => one.results);
const failed = results.flatMap((one) => ("failed" in one ? [`${one.table}: scikit-learn failed: ${one.failed}`] : []));
const all = rows.map((row) => ({
  ...row,
  fits: [...row.fits, ...results.filter((fit): fit is PeerFit => fit.table === row.table && "model" in fit)],
}));
publish(
  {
    name: "ordinary",
    title: "fit() without options on ordinary tables",
    command: "npm run bench:ordinary",
    machine: describeMachine(["@tensorflow/tfjs"]),
    about: [
      `Networks of ${flags.width} ReLU units on raw columns and targets, ${flags.splits} splits with a fifth of the rows held out.`,
      `${OURS}: new ConvexReLUTrainer().fit(model, x, y), nothing else said. ${ADAM}: model.fit, ${flags.epochs} epochs in batches of 32 at its own rate, on columns (and numbers to predict) that were standardised before.`,
      `scikit-learn ${peers[0]?.version ?? "(not at hand)"}: StandardScaler and MLP of the same width with L-BFGS or Adam as they come; "${RIVAL}" searches both and six decays by five folds, then fits; random forest and histogram gradient boosting as they come.`,
      "Error: share of wrong labels, or root mean square, or (loss meanAbsoluteError) mean absolute error; mean over splits. Seconds: processor time of one fit, the search for settings with it; Python with one thread.",
      `Objective: what ${OURS} reports on the first split, its bound, and the lowest that L-BFGS of the same width, objective and coordinates reaches from ${flags.starts} starts in as many processor seconds.`,
    ],
    sections: [
      { title: "Error on rows held out", cells: errorCells(all), notes: [verdict(all), ...skipped, ...failed] },
      { title: "Seconds", cells: secondsCells(all), notes: [timeVerdict(all)] },
      { title: "Training objective", cells: objectiveCells(all) },
    ],
    data: { settings: { ...flags, data: undefined, keep: undefined }, skipped, rows: all },
  },
  flags,
);

/** What a run before found with the same settings, or what is found now. */
async function kept<T>(name: string, find: () => T | Promise<T>): Promise<T> {
  if (flags.keep === "") return find();
  const { splits, width, epochs, starts } = flags;
  const settings = { splits, width, epochs, starts };
  const file = join(flags.keep, `${name}.json`);
  if (existsSync(file)) {
    const before = JSON.parse(readFileSync(file, "utf8"));
    if (isDeepStrictEqual(before.settings, settings)) return before.found;
  }
  const found = await find();
  mkdirSync(flags.keep, { recursive: true });
  writeFileSync(file, JSON.stringify({ settings, found }));
  return found;
}

async function measure({ table, metric, splits }: SplitTable): Promise<Row> {
  const { x, y, loss, name } = table;
  const fits: PeerFit[] = [];
  let judged: Row["objective"] | null = null;
  for (const [number, held] of splits.entries()) {
    const test = new Set(held);
    const kept = Array.from({ length: x.rows }, (_, k) => k).filter((k) => !test.has(k));
    const parts = { train: [rowsOf(x, kept), rowsOf(y, kept)], test: [rowsOf(x, held), rowsOf(y, held)] } as const;
    const ours = await fitted(table, parts);
    fits.push({
      table: name,
      split: number,
      model: OURS,
      error: errorOf(metric, table, ours.Z, parts.test[1]),
      seconds: ours.spent,
    });
    judged ??= await against(ours.result, ours.spent);
    ours.result.model.dispose();
    const adam = await descended(table, parts);
    fits.push({
      table: name,
      split: number,
      model: ADAM,
      error: errorOf(metric, table, adam.Z, parts.test[1]),
      seconds: adam.spent,
    });
  }
  if (judged === null) throw new Error("--splits: expected at least 1.");
  return { table: name, sizes: { n: x.rows, d: x.cols, C: y.cols }, loss, metric, fits, objective: judged };
}

type Parts = { readonly train: readonly [Matrix, Matrix]; readonly test: readonly [Matrix, Matrix] };

function modelOf({ x, y, loss }: OrdinaryTable): tf.Sequential {
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units: flags.width, activation: "relu", inputShape: [x.cols] }),
      tf.layers.dense({ units: y.cols, activation: lossTraits[loss].activation }),
    ],
  });
  model.compile({ optimizer: "adam", loss: loss === "huberLoss" ? (tf.losses.huberLoss as unknown as string) : loss });
  return model;
}

async function fitted(
  table: OrdinaryTable,
  { train, test }: Parts,
): Promise<{ result: FitResult; Z: Float64Array; spent: number }> {
  const model = modelOf(table);
  const [x, y, held] = [...train, test[0]].map(tensorOf);
  const began = process.cpuUsage();
  const result = await new ConvexReLUTrainer().fit(model, x, y);
  const spent = secondsSince(began);
  const Z = predicted(model, held);
  tf.dispose([x, y, held]);
  return { result, Z, spent };
}

/** model.fit as its users are told to use it: columns, and numbers that are to be predicted, are standardised. */
async function descended(table: OrdinaryTable, { train, test }: Parts): Promise<{ Z: Float64Array; spent: number }> {
  const model = modelOf(table);
  const [features, heldFeatures] = alike(train[0], test[0]);
  const numbers = table.task === "numbers";
  const [mean, spread] = numbers ? momentsOf(train[1]) : [null, null];
  const targets =
    mean === null
      ? train[1]
      : { ...train[1], data: train[1].data.map((v, k) => (v - mean[k % mean.length]) / spread[k % mean.length]) };
  const [x, y, held] = [features, targets, heldFeatures].map(tensorOf);
  const began = process.cpuUsage();
  await model.fit(x, y, { epochs: flags.epochs, batchSize: 32, verbose: 0 });
  const spent = secondsSince(began);
  const z = predicted(model, held);
  const Z = mean === null ? z : z.map((v, k) => v * spread[k % mean.length] + mean[k % mean.length]);
  tf.dispose([x, y, held]);
  model.dispose();
  return { Z, spent };
}

/** Our objective beside the lowest that plain descents of it reach. */
async function against({ problem, certificate, status }: FitResult, spent: number): Promise<Row["objective"]> {
  const { program } = problem;
  const size = flags.width * (program.X.cols + program.loss.outputs) + program.loss.outputs;
  let descent = Number.POSITIVE_INFINITY;
  for (let seed = 0; seed < flags.starts; seed++) {
    const draw = gaussianSource(300 + seed);
    const start = Float64Array.from({ length: size }, () => draw() / Math.sqrt(flags.width));
    start.fill(0, size - program.loss.outputs);
    const whole = new SharedObjective(program, kernels).over(flags.width);
    descent = Math.min(descent, await lowestBy("L-BFGS", whole, start, spent / flags.starts));
  }
  return { ours: certificate.network, bound: certificate.dual, descent, status };
}

function errorCells(found: readonly Row[]): string[][] {
  const names = namesOf(found);
  return [
    ["table", "n, d, C", "loss", ...names],
    ...found.map(({ table, sizes, loss, fits }) => [
      table,
      `${sizes.n}, ${sizes.d}, ${sizes.C}`,
      loss,
      ...names.map((name) => {
        const errors = fits.filter(({ model }) => model === name).map(({ error }) => error);
        return errors.length === 0 ? "" : mean(errors).toPrecision(3);
      }),
    ]),
  ];
}

function secondsCells(found: readonly Row[]): string[][] {
  const names = namesOf(found);
  return [
    ["table", ...names],
    ...found.map(({ table, fits }) => [
      table,
      ...names.map((name) => {
        const spent = fits.filter(({ model }) => model === name).map((fit) => fit.seconds);
        return spent.length === 0 ? "" : seconds(median(spent));
      }),
    ]),
  ];
}

function objectiveCells(found: readonly Row[]): string[][] {
  return [
    ["table", OURS, "bound", "status", "L-BFGS", "above ours"],
    ...found.map(({ table, objective: { ours, bound, status, descent } }) => [
      table,
      objective(ours),
      objective(bound),
      status,
      objective(descent),
      above(descent, ours),
    ]),
  ];
}

/** Paired over the splits: worse or better by more than one standard error of the mean difference. */
function verdict(found: readonly Row[]): string {
  let [compared, worse, better] = [0, 0, 0];
  for (const { fits } of found) {
    const errors = (name: string) => fits.filter(({ model }) => model === name).sort((a, b) => a.split - b.split);
    const [ours, theirs] = [errors(OURS), errors(RIVAL)];
    if (theirs.length !== ours.length) continue;
    const off = ours.map(({ error }, k) => error - theirs[k].error);
    const spread = Math.sqrt(mean(off.map((value) => (value - mean(off)) ** 2)) / Math.max(1, off.length - 1));
    compared += 1;
    if (mean(off) > spread) worse += 1;
    if (mean(off) < -spread) better += 1;
  }
  if (compared === 0) return "scikit-learn was not at hand (SKLEARN_PYTHON).";
  return `Against "${RIVAL}": no worse by more than a standard error on ${compared - worse} of ${compared} tables, better by more than one on ${better}.`;
}

function timeVerdict(found: readonly Row[]): string {
  const typical = (name: string) =>
    median(found.flatMap(({ fits }) => fits.filter(({ model }) => model === name).map((fit) => fit.seconds)));
  return `Median of all fits: ${namesOf(found)
    .map((name) => `${name} ${seconds(typical(name))} s`)
    .join(", ")}.`;
}

function namesOf(found: readonly Row[]): string[] {
  return [...new Set(found.flatMap(({ fits }) => fits.map(({ model }) => model)))];
}

function tensorOf({ rows, cols, data }: Matrix): tf.Tensor2D {
  return tf.tensor2d(Float32Array.from(data), [rows, cols]);
}

function predicted(model: tf.Sequential, x: tf.Tensor): Float64Array {
  const z = model.predict(x) as tf.Tensor;
  const values = Float64Array.from(z.dataSync());
  z.dispose();
  return values;
}

function secondsSince(began: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1e6;
}
