/** Shards as actors of Ray, where there is one: the same end as in processes of this machine, also when an actor's worker is killed. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { ray, type ShardProgram, sweep } from "../../src/cluster/index.js";
import { type Cluster, ConvexReLUTrainer } from "../../src/index.js";
import { inProcess } from "../helpers/inProcess.js";
import { killing, lives } from "../helpers/killing.js";
import { cases, LOAD, modelOf, reluCases, weightsOf } from "../helpers/shardedCases.js";
import { shardProgram } from "../helpers/shardProgram.js";

/** A Python with Ray, as .ci/run installs it. */
const python = process.env.TFJS_CONVEX_PYTHON ?? "python3";
const { status } = spawnSync(python, [
  "-c",
  "import importlib.util, sys; sys.exit(importlib.util.find_spec('ray') is None)",
]);
const there = status === 0;
if (!there)
  console.log(`No Ray in ${python}: its tests are left out (pip install "ray[default]", TFJS_CONVEX_PYTHON).`);

const [squared] = cases;
const hinge = reluCases[9];
let program: ShardProgram = {};

beforeAll(async () => {
  await tf.setBackend("cpu");
  program = await shardProgram();
});

async function fitted(cluster: Cluster, one = squared) {
  const gates = one.hidden === "relu" ? ({ arrangements: { kind: "sample", count: 40 } } as const) : {};
  const trainer = new ConvexReLUTrainer({ regularization: 1e-2, tolerance: 1e-4, width: "resize", ...gates });
  const args = { cluster, shards: 2, load: LOAD, args: one.rows };
  const result = await trainer.fitSharded(modelOf(one), args);
  const { certificate, objective, iterations } = result;
  return { certificate, objective, iterations, weights: await weightsOf(result.model) };
}

describe.runIf(there)("Ray", () => {
  test("ends where shards in this process do, to the last digit, with a worker killed at whichever iteration", async () => {
    const whole = await fitted(inProcess());
    const moment = fc.record({
      iteration: fc.integer({ min: 1, max: whole.iterations }),
      shard: fc.integer({ min: 0, max: 1 }),
    });
    const property = fc.asyncProperty(moment, async ({ iteration, shard }) => {
      // Above what timers count, which is no reason to end at once.
      const cluster = killing(ray({ python, program, cpusPerShard: 0.5, patience: 3e6 }), iteration, shard);
      expect(await fitted(cluster)).toEqual(whole);
      expect(cluster.restarts).toBe(1);
    });
    await fc.assert(property, { numRuns: 1 });
  }, 180_000);

  test("does so with a ReLU network whose loss has kinks: cones and multipliers are the shards'", async () => {
    const inner = killing(ray({ python, program, cpusPerShard: 0.5 }), 2, 1, "reach");
    const cluster = killing(inner, 3, 0, "anchor");
    expect(await fitted(cluster, hinge)).toEqual(await fitted(inProcess(), hinge));
    expect(cluster.restarts).toBe(2);
  }, 180_000);
});

describe.runIf(there)("a sweep on Ray", () => {
  test("does every fit, that of a killed worker again, and tells of those that fail", async () => {
    const marks = mkdtempSync(join(tmpdir(), "ray-sweep-"));
    const cluster = ray({ python, program, cpusPerShard: 0.5 });
    const load = new URL("../helpers/sweepFits.mjs", import.meta.url);
    const fits = [{ value: 2 }, { wrong: "dies once", value: 3, marks }, { wrong: "throws" }, { value: 4 }];
    const all = sweep<object, { square: number; pid: number }>(fits, { cluster, load, workers: 2 });
    const seen: number[] = [];
    for await (const { index } of all) seen.push(index);
    const outcomes = await all.outcomes;
    expect(seen.sort()).toEqual([0, 1, 2, 3]);
    expect(outcomes.map(({ value }) => value?.square)).toEqual([4, 9, undefined, 16]);
    expect(outcomes.map(({ tries }) => tries)).toEqual([1, 2, 1, 1]);
    expect(outcomes[2].error?.message).toMatch(/^fit 2: .*"no such column"/);
    expect(cluster.restarts).toBe(1);
    await expect.poll(() => outcomes.filter(({ value }) => value !== undefined && lives(value.pid))).toEqual([]);
    rmSync(marks, { recursive: true, force: true });
  }, 180_000);
});

describe("a Python without Ray", () => {
  test("is told of, and how to get it", async () => {
    const wanted = { code: "cluster/unavailable", message: expect.stringMatching(/pip install "ray\[default\]"/) };
    await expect(fitted(ray({ python: "/no/such/python", program }))).rejects.toMatchObject(wanted);
    await expect(fitted(ray({ python: process.execPath, program }))).rejects.toMatchObject(wanted);
  });
});
