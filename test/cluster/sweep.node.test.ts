/** Sweeps on processes of this machine: every fit once, as they come, whatever happens to workers. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { grid, type LocalOptions, local, type ShardProgram, sweep } from "../../src/cluster/index.js";
import { inProcess } from "../helpers/inProcess.js";
import { lives } from "../helpers/killing.js";
import { shardProgram } from "../helpers/shardProgram.js";

const LOAD = new URL("../helpers/sweepFits.mjs", import.meta.url);

interface Value {
  readonly square: number;
  readonly list: Float64Array;
  readonly pid: number;
}
interface Args {
  readonly value?: number;
  readonly wrong?: string;
  readonly marks?: string;
}

let program: ShardProgram = {};
let marks = "";

beforeAll(async () => {
  program = await shardProgram();
  marks = mkdtempSync(join(tmpdir(), "sweep-"));
});

afterAll(() => rmSync(marks, { recursive: true, force: true }));

const started = (options: LocalOptions = {}) => local({ program, ...options });
const run = (fits: readonly Args[], options: LocalOptions = {}, more: object = {}) =>
  sweep<Args, Value>(fits, { cluster: started(options), load: LOAD, workers: 2, ...more });

test("every fit is told of once, as it comes, and all of them in order", async () => {
  const fits = grid({ value: [1, 2, 3], wrong: [undefined, undefined] as (string | undefined)[] }) as Args[];
  const all = run(fits);
  const seen: number[] = [];
  for await (const { index, args, value, error, tries } of all) {
    seen.push(index);
    expect([error, tries]).toEqual([null, 1]);
    expect(value?.square).toBe((args.value ?? 0) ** 2);
    expect([...(value?.list ?? [])]).toEqual([args.value, Number.NaN]);
  }
  expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5]);
  const outcomes = await all.outcomes;
  expect(outcomes.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5]);
  const pids = new Set(outcomes.map(({ value }) => value?.pid ?? 0));
  expect(pids.size).toBeLessThanOrEqual(2);
  await expect.poll(() => [...pids].filter(lives)).toEqual([]);
});

test("two who iterate over one sweep both hear of every fit", async () => {
  const all = run([{ value: 1 }, { value: 2 }, { value: 3 }]);
  const heard = async () => {
    const seen: number[] = [];
    for await (const { index } of all) seen.push(index);
    return seen;
  };
  const [one, other] = await Promise.all([heard(), heard()]);
  expect(one).toHaveLength(3);
  expect(other).toEqual(one);
});

test("where what hears of answers throws, the sweep ends with that, and no worker is left or follows", async () => {
  const cluster = started();
  let pids: readonly number[] = [];
  const order = { load: String(LOAD), fits: [1, 2, 3, 4].map((value) => ({ value })), workers: 2 };
  const onAnswer = () => {
    pids = [...pids, ...((cluster as unknown as { pids: readonly number[] }).pids ?? [])];
    throw new Error("not now");
  };
  const ended = cluster.run?.({ ...order, signal: new AbortController().signal, onAnswer });
  await expect(ended).rejects.toThrow("not now");
  expect(pids.length).toBeGreaterThan(0);
  await expect.poll(() => pids.filter(lives)).toEqual([]);
  expect((cluster as unknown as { pids: readonly number[] }).pids).toEqual([]);
});

test("a fit whose worker is killed is done again, one that kills every worker and one that throws are errors of their own", async () => {
  const cluster = started();
  const fits = [
    { value: 1 },
    { wrong: "dies once", value: 2, marks },
    { wrong: "dies", marks },
    { wrong: "throws" },
    { value: 5 },
  ];
  const outcomes = await sweep<Args, Value>(fits, { cluster, load: LOAD, workers: 2 }).outcomes;
  expect(outcomes.map(({ value }) => value?.square)).toEqual([1, 4, undefined, undefined, 25]);
  expect(outcomes.map(({ tries }) => tries)).toEqual([1, 2, 3, 1, 1]);
  expect(readFileSync(join(marks, "2"), "utf8")).toBe("...");
  expect(cluster.restarts).toBe(4);
  expect(outcomes[2].error).toMatchObject({
    code: "cluster/lost",
    message: expect.stringMatching(/^fit 2: .*SIGKILL/),
  });
  expect(outcomes[3].error).toMatchObject({
    code: "cluster/module",
    message: expect.stringMatching(/^fit 3: .*"no such column"/),
  });
});

test("what can't be sent and what is not heard of are told in a sentence", async () => {
  const outcomes = await run([{ wrong: "function" }, { wrong: "hangs" }], { patience: 3 }).outcomes;
  expect(outcomes[0].error?.message).toMatch(
    /^fit 0: expected fit to return what can be sent.*not the result with its model/,
  );
  expect(outcomes[1].error).toMatchObject({ code: "cluster/silent", message: expect.stringMatching(/within 3 s/) });
});

test("leaving the loop, and a signal, end it with what there is", async () => {
  const slow = Array.from({ length: 40 }, (_, value) => ({ value, wrong: "slow" }));
  const left = run(slow);
  for await (const { index } of left) if (index >= 0) break;
  expect((await left.outcomes).length).toBeLessThan(40);
  const stop = new AbortController();
  const signalled = run(slow, {}, { signal: stop.signal });
  for await (const _ of signalled) stop.abort();
  expect((await signalled.outcomes).length).toBeLessThan(40);
});

test("a module that is not there, and one without fit, are errors of every fit", async () => {
  const none = await sweep([{}], { cluster: started(), load: new URL("./none.mjs", LOAD) }).outcomes;
  expect(none[0].error?.message).toMatch(/Cannot find module/);
  const empty = await sweep([{}], { cluster: started(), load: "data:text/javascript,export const x = 1;" }).outcomes;
  expect(empty[0].error?.message).toMatch(/"fit", got undefined/);
});

test("a bar is drawn where it is asked for", async () => {
  const outcomes = await run([{ value: 3 }], {}, { verbose: 1 }).outcomes;
  expect(outcomes[0].value?.square).toBe(9);
});

test("a grid has every combination", () => {
  expect(grid({ beta: [1, 2], fold: ["a", "b"] })).toEqual([
    { beta: 1, fold: "a" },
    { beta: 1, fold: "b" },
    { beta: 2, fold: "a" },
    { beta: 2, fold: "b" },
  ]);
  expect(() => grid({ beta: 3 } as never)).toThrow(/^grid: beta: expected a list of values, got 3/);
});

describe("what is wrong with a sweep is told before any worker starts", () => {
  test.each([
    ["no fits", [], {}, /^sweep: expected an array of at least one fit/],
    ["fits that are no array", 7, {}, /at least one fit, got 7/],
    ["a fit that JSON can't say", [{ n: 1n }], {}, /^sweep: fit 0: expected what JSON can say/],
    ["no cluster", [1], { cluster: undefined }, /cluster: expected local\(\) or ray\(\)/],
    ["a cluster without sweeps", [1], { cluster: inProcess() }, /or one with run/],
    ["no module", [1], { load: "" }, /load: expected the path or URL of a module/],
    ["no workers", [1], { workers: 0 }, /workers: expected an integer of 1 to 4096, got 0/],
    ["a signal that is none", [1], { signal: 3 }, /signal: expected the signal of an AbortController/],
    ["an unknown option", [1], { seeds: 3 }, /"seeds"/],
  ] as const)("%s", (_, fits, more, said) => {
    const options = { cluster: started(), load: LOAD, ...more } as never;
    expect(() => sweep(fits as never, options)).toThrow(said);
  });
});
