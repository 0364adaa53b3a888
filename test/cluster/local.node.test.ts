/** Shards in processes of this machine: what is lost comes back, what is wrong is named, and nothing stays behind. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fileCheckpoint, type LocalOptions, local, type ShardProgram } from "../../src/cluster/index.js";
import { commandOf } from "../../src/cluster/program.js";
import { WorkerProcess } from "../../src/cluster/worker.js";
import { type Checkpoint, type Cluster, ConvexReLUTrainer, type ShardedArgs } from "../../src/index.js";
import { inProcess } from "../helpers/inProcess.js";
import { killing, lives } from "../helpers/killing.js";
import {
  cases,
  LOAD,
  modelOf,
  reluCases,
  type ShardedCase,
  solverOf,
  waysOf,
  weightsOf,
} from "../helpers/shardedCases.js";
import { shardProgram } from "../helpers/shardProgram.js";

const [squared] = cases;
const logistic = reluCases[3];
let program: ShardProgram = {};
let expected: Awaited<ReturnType<typeof fitted>>;
let folder = "";

beforeAll(async () => {
  await tf.setBackend("cpu");
  program = await shardProgram();
  folder = mkdtempSync(join(tmpdir(), "shards-"));
  expected = await fitted(inProcess());
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const started = (options: LocalOptions = {}) => local({ program, ...options });

/** A fit to a gap that takes some rounds, and what it writes. */
async function fitted(cluster: Cluster, more: Partial<ShardedArgs> = {}, tolerance = 1e-4) {
  const trainer = new ConvexReLUTrainer({ regularization: 1e-2, tolerance, width: "resize" });
  const model = modelOf(squared);
  const args = { cluster, shards: 2, load: LOAD, args: squared.rows, ...more };
  const result = await trainer.fitSharded(model, args);
  const { certificate, objective, iterations } = result;
  return { certificate, objective, iterations, weights: await weightsOf(result.model) };
}

/** A fit of a ReLU network. */
async function reluFitted(cluster: Cluster, more: Partial<ShardedArgs> = {}) {
  const arrangements = { kind: "sample", count: 40, seed: 4 } as const;
  const trainer = new ConvexReLUTrainer({ regularization: 1e-2, tolerance: 1e-8, width: "resize", arrangements });
  const args = { cluster, shards: 2, load: LOAD, args: logistic.rows, ...more };
  const { certificate, objective, iterations, model } = await trainer.fitSharded(modelOf(logistic), args);
  return { certificate, objective, iterations, weights: await weightsOf(model) };
}

/** A fit of any kind to where it has taken some steps. */
async function coarse(one: ShardedCase, cluster: Cluster, more: Partial<ShardedArgs> = {}) {
  const gates = one.hidden === "relu" ? ({ arrangements: { kind: "sample", count: 12, seed: 4 } } as const) : {};
  const how = { regularization: 2e-2, tolerance: 1e-3, width: "resize", ...solverOf(one), ...gates } as const;
  const trainer = new ConvexReLUTrainer(how);
  const args = { cluster, shards: 2, load: LOAD, args: one.rows, ...more };
  const { certificate, objective, iterations, epoch, model, shards } = await trainer.fitSharded(modelOf(one), args);
  return { end: { certificate, objective, iterations, weights: await weightsOf(model) }, rounds: epoch.length, shards };
}

/** A checkpoint in this process. */
function keeper(): Checkpoint {
  let bytes: Uint8Array | null = null;
  return {
    read: async () => bytes,
    write: async (written) => {
      bytes = written;
    },
  };
}

/** Ends a driver so many milliseconds after a round; answers with its workers. */
async function driverKilled(path: string, round: number, after: number): Promise<number[]> {
  const script = fileURLToPath(new URL("../helpers/shardedDriver.ts", import.meta.url));
  const words = ["--import", "tsx", script, path, program.module ?? ""];
  const driver = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
  let children: number[] = [];
  driver.stdout.on("data", (text) => {
    if (!new RegExp(`^${round}$`, "m").test(String(text))) return;
    children = childrenOf(driver.pid ?? 0);
    setTimeout(() => driver.kill("SIGKILL"), after);
  });
  const [, signal] = await once(driver, "exit");
  expect(signal).toBe("SIGKILL");
  expect(children.length).toBeGreaterThanOrEqual(2);
  expect(existsSync(path)).toBe(true);
  return children;
}

describe("a ReLU network", () => {
  test("ends where shards in one process do, to the last digit, whenever workers are killed", async () => {
    let cluster: Cluster = started();
    const moments = [
      ["while rows of cones are looked for", "rows", 1],
      ["while a model is made", "curvature", 2],
      ["while a stride is sought", "along", 2],
      ["while outsiders are looked for", "reach", 3],
      ["before the gap is measured", "aside", 5],
      ["while it is measured", "conjugates", 4],
    ] as const;
    for (const [, op, at] of moments) cluster = killing(cluster, at, 1, op);
    expect(await reluFitted(cluster)).toEqual(await reluFitted(inProcess()));
    expect(cluster.restarts).toBe(moments.length);
  });

  test("goes on from a checkpoint to the same end, to the last digit", async () => {
    const kept = fileCheckpoint(join(folder, "relu.state"));
    const whole = await reluFitted(inProcess());
    const stop = async (epoch: number) => {
      if (epoch === 2) throw new Error("the driver ends here");
    };
    const often = { checkpoint: kept, checkpointRounds: 1 };
    const broken = reluFitted(inProcess(), { ...often, callbacks: { onEpochEnd: stop } });
    await expect(broken).rejects.toThrow("the driver ends here");
    const rounds: number[] = [];
    const onEpochEnd = async (epoch: number) => void rounds.push(epoch);
    expect(await reluFitted(inProcess(), { ...often, callbacks: { onEpochEnd } })).toEqual(whole);
    expect(rounds[0]).toBe(3);
  });
});

describe("processes", () => {
  test("end where shards in one process do, to the last digit", async () => {
    expect(await fitted(started())).toEqual(expected);
  });

  test("one that is killed, again and again, is started again, and the end is the same to the last digit", async () => {
    let cluster: Cluster = started();
    const moments = [
      ["while the step is looked for", "power", 5],
      ["in an iteration", "advance", 1],
      ["in a later one", "advance", 47],
      ["while the gap is measured", "conjugates", 2],
      ["while the bias is balanced", "bias", 9],
    ] as const;
    for (const [, op, at] of moments) cluster = killing(cluster, at, 1, op);
    expect(await fitted(cluster)).toEqual(expected);
    expect(cluster.restarts).toBe(moments.length);
  });

  test("one that is stopped and does not answer is started again, too", async () => {
    const inner = started({ patience: 4 });
    expect(await fitted(killing(inner, 10, 0, "advance", "SIGSTOP"))).toEqual(expected);
    expect(inner.restarts).toBe(1);
  });
});

describe.each(waysOf())("$title", (one) => {
  test("ends at the same, to the last digit, whichever worker is killed at whichever call", async () => {
    const { end: whole, shards } = await coarse(one, inProcess());
    const moment = fc.record({
      call: fc.integer({ min: 1, max: shards.calls }),
      shard: fc.integer({ min: 0, max: 1 }),
    });
    const property = fc.asyncProperty(moment, async ({ call, shard }) => {
      const { end, shards: told } = await coarse(one, killing(started(), call, shard, null));
      expect(end).toEqual(whole);
      expect(told.restarts).toBe(1);
    });
    await fc.assert(property, { numRuns: 2 });
  });

  test("ends at the same, to the last digit, from the checkpoint of a driver that ended at whichever round", async () => {
    const { end: whole, rounds } = await coarse(one, inProcess());
    const moment = fc.record({
      last: fc.integer({ min: 0, max: rounds - 2 }),
      every: fc.integer({ min: 1, max: 3 }),
    });
    const property = fc.asyncProperty(moment, async ({ last, every }) => {
      const often = { checkpoint: keeper(), checkpointRounds: every };
      const stop = async (epoch: number) => {
        if (epoch === last) throw new Error("the driver ends here");
      };
      const broken = coarse(one, inProcess(), { ...often, callbacks: { onEpochEnd: stop } });
      await expect(broken).rejects.toThrow("the driver ends here");
      const seen: number[] = [];
      const onEpochEnd = async (epoch: number) => void seen.push(epoch);
      const { end } = await coarse(one, inProcess(), { ...often, callbacks: { onEpochEnd } });
      expect(end).toEqual(whole);
      expect(seen[0]).toBe(Math.floor((last + 1) / every) * every);
    });
    await fc.assert(property, { numRuns: 3 });
  });
});

describe("a driver that is killed", () => {
  test("leaves no worker, and another goes on from its checkpoint to the same end, to the last digit, whenever that was", async () => {
    const whole = await fitted(inProcess(), {}, 1e-8);
    // The number of a round, and what passes after it: in a step, in a look, or while the next state is written.
    const moment = fc.record({ round: fc.integer({ min: 1, max: 12 }), after: fc.integer({ min: 0, max: 40 }) });
    const property = fc.asyncProperty(moment, async ({ round, after }) => {
      const path = join(folder, `fit-${round}-${after}.state`);
      const children = await driverKilled(path, round, after);
      const rounds: number[] = [];
      const onEpochEnd = async (epoch: number) => void rounds.push(epoch);
      const kept = fileCheckpoint(path);
      expect(await fitted(started(), { checkpoint: kept, callbacks: { onEpochEnd } }, 1e-8)).toEqual(whole);
      expect(rounds[0]).toBeGreaterThanOrEqual(round); // it does not begin anew
      await expect.poll(() => children.filter(lives)).toEqual([]);
    });
    await fc.assert(property, { numRuns: 2 });
  }, 60_000);

  test("a checkpoint of another fit, and bytes that are none, are refused", async () => {
    const kept = keeper();
    await fitted(inProcess(), { checkpoint: kept, checkpointRounds: 1 }, 1e-2);
    const other = fitted(inProcess(), { checkpoint: kept, args: { ...squared.rows, n: 118 } });
    await expect(other).rejects.toThrow(/checkpoint: expected the state of this fit.*Remove it/);
    const [hinge, state] = [cases[9], keeper()];
    await coarse(hinge, inProcess(), { checkpoint: state, checkpointRounds: 1 });
    const bySteps = new ConvexReLUTrainer({ regularization: 2e-2, solver: "fista" });
    const again = { cluster: inProcess(), shards: 2, load: LOAD, args: hinge.rows, checkpoint: state };
    await expect(bySteps.fitSharded(modelOf(hinge), again)).rejects.toThrow(/rows, gates or options/);
    await kept.write(Uint8Array.of(1, 2, 3));
    await expect(fitted(inProcess(), { checkpoint: kept })).rejects.toThrow(/got 3 bytes of something else/);
  });
});

describe("what is wrong with a shard is told with its number and the row, and nothing is left", () => {
  test.concurrent.each([
    [
      "rows of another width",
      { wrong: "width" },
      "data/shape",
      /^shard 1, row 0 \(row 60 of all\): expected rows of 3/,
    ],
    ["a module that throws", { wrong: "throws", at: 71 }, "cluster/module", /^shard 1, row 11 .*"the file ends here"/],
    ["an empty shard", { wrong: "empty" }, "data/empty", /^shard 1: expected rows, got none/],
    [
      "NaN",
      { wrong: "nan", at: 34 },
      "data/nonFinite",
      /^shard 0, row 34: expected finite numbers in x, got NaN in column 1/,
    ],
    ["a target", { wrong: "target", at: 100 }, "data/target", /^shard 1, row 40 \(row 100 of all\): .*got Infinity/],
    ["a worker that never comes", { wrong: "never" }, "cluster/silent", /^shard [01]: .*within 5 s/],
    ["a worker that ends", { wrong: "dies" }, "cluster/lost", /^shard 1: .*ended with code 7/],
  ])("%s", async (_, wrong, code, said) => {
    const model = modelOf(squared);
    const before = await weightsOf(model);
    const inner = started(wrong.wrong === "never" ? { patience: 5 } : {});
    let pids: readonly number[] = [];
    const cluster: Cluster = {
      ...killing(inner, -1),
      open: async (specs) => {
        const opening = inner.open(specs);
        pids = [...inner.pids];
        return opening;
      },
    };
    const args = { cluster, shards: 2, load: LOAD, args: { ...squared.rows, ...wrong } };
    const fit = new ConvexReLUTrainer({ regularization: 1e-2 }).fitSharded(model, args);
    await expect(fit).rejects.toMatchObject({ name: "ConvexError", code, message: expect.stringMatching(said) });
    expect(await weightsOf(model)).toEqual(before);
    expect(pids).toHaveLength(2);
    expect(pids.filter(lives)).toEqual([]);
  });

  test.each([
    ["a module that is not there", new URL("./none.mjs", LOAD), /^shard 0: .*Cannot find module/],
    ["a module without rows", new URL("data:text/javascript,export const x = 1;"), /^shard 0: .*"rows", got undefined/],
  ])("%s", async (_, load, said) => {
    const failed = { code: "cluster/module", message: expect.stringMatching(said) };
    await expect(fitted(started(), { load })).rejects.toMatchObject(failed);
  });

  test("a worker that was started again and can't read its rows says why, whatever it is asked", async () => {
    const worker = new WorkerProcess(commandOf(program));
    const said = { code: "cluster/module", row: null, text: expect.stringMatching(/Cannot find module/) };
    const load = new URL("./none.mjs", LOAD).href;
    const spec = { shard: 0, shards: 1, load, args: null, inputs: 3, outputs: 1, loss: "meanSquaredError" } as const;
    const opened = await worker.ask({ open: { ...spec, labels: "as the loss has them", threads: 1 } }, undefined, 60);
    expect(opened?.head).toEqual({ refusal: said });
    expect((await worker.ask({ call: { op: "power" } }, new Float64Array(3), 60))?.head).toEqual({ refusal: said });
    await worker.end();
  });

  test("a module's path may have any signs", async () => {
    const odd = join(folder, "50 % of #1?");
    mkdirSync(odd);
    copyFileSync(fileURLToPath(LOAD), join(odd, "rows.mjs"));
    expect(await fitted(started(), { load: join(odd, "rows.mjs") })).toEqual(expected);
  });

  test("a program that can't be started", async () => {
    const cluster = local({ program: { ...program, node: "/no/such/node" } });
    const lost = { code: "cluster/lost", message: expect.stringMatching(/^shard 0: .*ENOENT/) };
    await expect(fitted(cluster)).rejects.toMatchObject(lost);
  });
});

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}
