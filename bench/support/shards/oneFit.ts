/** One sharded fit, or one of a single process, in a process of its own, for bench/shards.ts: prints what it took as JSON. */

import { readdirSync, readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { fileRows, local, ray } from "../../../src/cluster/index.js";
import { type Cluster, ConvexReLUTrainer, gatedDense, type TrainerOptions } from "../../../src/index.js";
import { shardProgram } from "../../../test/helpers/shardProgram.js";
import { rows as blocks, planted } from "../../data/shardRows.mjs";
import { batchSteps } from "./runs.js";

export interface ShardedCaseWish {
  readonly cluster: "local" | "ray" | "one process";
  readonly shards: number;
  readonly n: number;
  readonly d: number;
  readonly P: number;
  readonly beta: number;
  readonly tolerance: number;
  readonly rounds: number; // of 20 iterations, at most
  /** What the hidden units are; default gated. ReLU programs have as many sampled gates. */
  readonly hidden?: "gated" | "relu";
  /** Default the squared one; "categoricalCrossentropy" is of ten classes. */
  readonly loss?: "hinge" | "meanAbsoluteError" | "categoricalCrossentropy";
  readonly solver?: "fista" | "stochastic";
  /** Whether the driver has the rows, and puts them into files for the shards. */
  readonly files?: boolean;
}

export interface ShardedUse extends ShardedCaseWish {
  readonly status: string;
  readonly primal: number;
  readonly relativeGap: number;
  readonly iterations: number;
  readonly calls: number;
  readonly bytesOut: number; // to each shard, all calls together
  readonly bytesBack: number;
  readonly openSeconds: number; // until all rows are read
  readonly seconds: number; // of the rest
  /** Processor time after the rows were read: of workers, of this process, and of all that stands between. */
  readonly processor: { readonly workers: number; readonly driver: number; readonly engine: number };
  /** Of all of these and of the reading. */
  readonly spent: number;
  /** Peak resident sets, bytes. */
  readonly peak: { readonly driver: number; readonly workers: readonly number[] };
}

/** Cross-validation along a path, from one pass. */
export interface OnePassWish extends Omit<ShardedCaseWish, "beta" | "rounds"> {
  readonly betas: number;
  readonly folds: number;
}

export interface OnePassUse extends OnePassWish {
  readonly solves: number;
  readonly worstGap: number;
  readonly best: number; // beta
  readonly error: number; // its mean loss on rows held out
  readonly openSeconds: number;
  readonly passSeconds: number; // with the reading
  readonly seconds: number; // of all
  /** Processor time of the pass, with the reading, and of all that came after it. */
  readonly processor: { readonly workers: number; readonly driver: number; readonly after: number };
  readonly bytesBack: number; // from each shard
  readonly spent: number; // processor time of all
  readonly peak: { readonly driver: number; readonly workers: readonly number[] };
}

const TICKS = 100; // a second, in /proc
/** That the single process may take. */
const MOST_SECONDS = 900;
const wish: ShardedCaseWish | OnePassWish = JSON.parse(process.argv[2]);
await tf.setBackend("cpu");
console.log(JSON.stringify(await used()));

function used(): Promise<ShardedUse | OnePassUse> {
  if ("folds" in wish) return byOnePass(wish);
  return wish.cluster === "one process" ? together(wish) : apart(wish);
}

/** How the rows' module makes their targets. */
function targetsOf({ loss }: Pick<ShardedCaseWish, "loss">): "real" | "sign" | "class" {
  return loss === "hinge" ? "sign" : loss === "categoricalCrossentropy" ? "class" : "real";
}

function modelOf({ d, P, hidden, loss }: Pick<ShardedCaseWish, "d" | "P" | "hidden" | "loss">): tf.Sequential {
  const form = { units: P, useBias: false, inputShape: [d] };
  const first = hidden === "relu" ? tf.layers.dense({ ...form, activation: "relu" }) : gatedDense({ ...form, seed: 3 });
  const classes = loss === "categoricalCrossentropy";
  const last = classes ? tf.layers.dense({ units: 10, activation: "softmax" }) : tf.layers.dense({ units: 1 });
  const model = tf.sequential({ layers: [first, last] });
  model.compile({
    optimizer: "adam",
    loss: classes ? "sparseCategoricalCrossentropy" : (loss ?? "meanSquaredError"),
  });
  return model;
}

async function apart(given: ShardedCaseWish): Promise<ShardedUse> {
  const { n, d, shards, beta: regularization, tolerance, rounds: maxIterations } = given;
  const program = await shardProgram();
  const python = process.env.TFJS_CONVEX_PYTHON ?? "python3";
  const inner: Cluster = given.cluster === "ray" ? ray({ program, python, cpusPerShard: 0.5 }) : local({ program });
  const began = performance.now();
  let opened = began;
  let before = processorOf([]);
  let after = before;
  let workers: number[] = [];
  const callbacks = {
    onTrainBegin: async () => {
      opened = performance.now();
      before = processorOf(inner.pids);
    },
    onTrainEnd: async () => {
      after = processorOf(inner.pids);
      workers = inner.pids.map(peakOf);
    },
  };
  const load = new URL("../../data/shardRows.mjs", import.meta.url);
  const module = { load, args: { n, d, targets: targetsOf(given) } };
  const files =
    given.files === true
      ? await fileRows(blocks({ shard: 0, shards: 1, args: { n, d } }), { inputs: d, targets: 1 })
      : null;
  const source = files === null ? module : { ...files.source, load: new URL(program.module ?? "") };
  const trainer = new ConvexReLUTrainer({
    regularization,
    tolerance,
    maxIterations,
    width: "resize",
    ...(given.solver && { solver: given.solver }),
    ...gatesOf(given),
  });
  const args = { cluster: inner, shards, ...source, callbacks };
  const fit = trainer.fitSharded(modelOf(given), args);
  const { status, certificate, iterations, shards: report } = await fit.finally(() => files?.remove());
  const { calls, bytesOut, bytesBack } = report;
  return {
    ...given,
    ...{ status, primal: certificate.primal, relativeGap: certificate.relativeGap, iterations },
    ...{ calls, bytesOut, bytesBack },
    openSeconds: (opened - began) / 1000,
    seconds: (performance.now() - opened) / 1000,
    processor: {
      workers: after.workers - before.workers,
      driver: after.driver - before.driver,
      engine: after.engine - before.engine,
    },
    spent: totalOf(after),
    peak: { driver: peakOf(process.pid), workers },
  };
}

/** Every fold and beta from one pass: what it took until the workers were closed, and after. */
async function byOnePass(given: OnePassWish): Promise<OnePassUse> {
  const { n, d, shards, tolerance, betas, folds } = given;
  const inner = local({ program: await shardProgram() });
  const began = performance.now();
  let opened = began;
  let pass = processorOf([]);
  let workers: number[] = [];
  const cluster: Cluster = {
    name: inner.name,
    restarts: 0,
    pids: inner.pids,
    open: async (specs) => {
      const facts = await inner.open(specs);
      opened = performance.now();
      return facts;
    },
    sum: (message, restore) => inner.sum(message, restore),
    close: async () => {
      pass = processorOf(inner.pids);
      workers = inner.pids.map(peakOf);
      await inner.close();
    },
  };
  const load = new URL("../../data/shardRows.mjs", import.meta.url);
  const trainer = new ConvexReLUTrainer({ tolerance, width: "resize" });
  const args = { cluster, shards, load, args: { n, d }, count: betas, ratio: 1e-3, folds };
  const { path, mean, best, betas: grid } = await trainer.crossValidateSharded(modelOf(given), args);
  const { driver: atEnd } = processorOf([]);
  return {
    ...given,
    solves: folds * grid.length + path.points.length,
    worstGap: path.points.reduce((most, { certificate }) => Math.max(most, certificate.relativeGap), 0),
    ...{ best: grid[best], error: mean[best] },
    openSeconds: (opened - began) / 1000,
    ...{ passSeconds: path.passSeconds, seconds: (performance.now() - began) / 1000 },
    processor: { workers: pass.workers, driver: pass.driver, after: atEnd - pass.driver },
    spent: totalOf({ ...pass, driver: atEnd }),
    bytesBack: path.shards.bytesBack,
    peak: { driver: peakOf(process.pid), workers },
  };
}

/** The gates of ReLU programs, the same in one process and on shards. */
function gatesOf({ hidden, P }: ShardedCaseWish): Partial<TrainerOptions> {
  return hidden === "relu" ? { arrangements: { kind: "sample", count: P }, vectorPenalty: "perOutput" } : {};
}

/** The same rows as tensors, by `fit` and the same method. */
async function together(given: ShardedCaseWish): Promise<ShardedUse> {
  const { n, d, beta: regularization, tolerance, rounds: maxIterations } = given;
  const began = performance.now();
  const data = planted(0, n, d, targetsOf(given));
  const x = tf.tensor2d(data.x, [n, d]);
  const y = given.loss === "categoricalCrossentropy" ? tf.tensor1d(data.y) : tf.tensor2d(data.y, [n, 1]);
  const opened = performance.now();
  const before = processorOf([]).driver;
  const solver = given.hidden === "relu" ? {} : ({ solver: given.solver ?? "fista" } as const);
  const limits = {
    regularization,
    tolerance,
    maxIterations,
    width: "resize",
    threads: 1,
    timeLimit: MOST_SECONDS,
  } as const;
  const options = { ...limits, ...solver, ...gatesOf(given) };
  const { status, certificate, epoch } = await new ConvexReLUTrainer(options).fit(modelOf(given), x, y);
  return {
    ...given,
    ...{
      status,
      primal: certificate.primal,
      relativeGap: certificate.relativeGap,
      iterations: roundsOf(given, epoch.length),
    },
    ...{ calls: 0, bytesOut: 0, bytesBack: 0 },
    openSeconds: (opened - began) / 1000,
    seconds: (performance.now() - opened) / 1000,
    processor: { workers: 0, driver: processorOf([]).driver - before, engine: 0 },
    spent: processorOf([]).driver,
    peak: { driver: peakOf(process.pid), workers: [] },
  };
}

/** Iterations of the solver in so many rounds. */
function roundsOf({ n, hidden, solver }: ShardedCaseWish, rounds: number): number {
  if (solver === "stochastic") return batchSteps(n) * rounds;
  return hidden === "relu" ? rounds : 20 * rounds;
}

function totalOf({ workers, driver, engine }: ShardedUse["processor"]): number {
  return workers + driver + engine;
}

/** Seconds so far of this process, of those that hold rows, and of all others that this one has started, they and theirs. */
function processorOf(workers: readonly number[]): ShardedUse["processor"] {
  const parents = new Map(
    readdirSync("/proc")
      .map(Number)
      .filter(Number.isInteger)
      .flatMap((pid) => {
        const fields = statOf(pid);
        return fields === null ? [] : [[pid, Number(fields[1])] as const];
      }),
  );
  const isOurs = (pid: number): boolean => {
    let at = pid;
    while (at > 1 && at !== process.pid) at = parents.get(at) ?? 0;
    return at === process.pid;
  };
  let engine = 0;
  for (const pid of parents.keys()) {
    if (pid !== process.pid && !workers.includes(pid) && isOurs(pid)) engine += secondsOf(pid);
  }
  const sum = workers.reduce((total, pid) => total + secondsOf(pid), 0);
  return { workers: sum, driver: secondsOf(process.pid), engine };
}

function secondsOf(pid: number): number {
  const fields = statOf(pid);
  return fields === null ? 0 : (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** The fields of /proc/pid/stat after the name; null for a process that has ended. */
function statOf(pid: number): string[] | null {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
  } catch {
    return null;
  }
}

function peakOf(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return 1024 * Number(kilobytes);
}
