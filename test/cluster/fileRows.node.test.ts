/** Rows that go into files as they come, and from there to shards. */

import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fileRows } from "../../src/cluster/index.js";
import { rows as rowsOfFile } from "../../src/cluster/rowFile.js";
import { ConvexReLUTrainer } from "../../src/index.js";
import { inProcess } from "../helpers/inProcess.js";
import { cases, inOnePlace, LOAD, modelOf } from "../helpers/shardedCases.js";
import { rowOf } from "../helpers/shardedRows.mjs";

const [squared] = cases;
const READER = pathToFileURL(join(import.meta.dirname, "../../src/cluster/rowFile.ts"));
let folder = "";

beforeAll(async () => {
  await tf.setBackend("cpu");
  folder = mkdtempSync(join(tmpdir(), "files-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const all = Array.from({ length: squared.rows.n }, (_, j) => rowOf(j, squared.rows));

describe("rows of every kind", () => {
  const kinds: Record<string, () => unknown> = {
    "one row an entry": () => all,
    "an async iterable of several, in typed arrays": async function* () {
      for (let from = 0; from < all.length; from += 7) {
        const some = all.slice(from, from + 7);
        yield {
          x: Float32Array.from(some.flatMap(({ x }) => [...x])),
          y: Float64Array.from(some.flatMap(({ y }) => y as number[])),
        };
      }
    },
    "arrays of all": () => ({ x: all.map(({ x }) => [...x]), y: all.map(({ y }) => y) }),
    "tensors of all": () => inOnePlace(squared),
    "a data set of batches": () => {
      const { x, y } = inOnePlace(squared);
      const xs = tf.data.array(x.arraySync());
      const ys = tf.data.array(y.arraySync() as number[][]);
      tf.dispose([x, y]);
      return tf.data.zip({ xs, ys }).batch(11);
    },
  };

  test.each(Object.keys(kinds))("%s", async (kind) => {
    const before = tf.memory().numTensors;
    const source = kinds[kind]();
    const made = await fileRows(source, { folder, inputs: 3, targets: 1 });
    expect([made.rows, made.bytes]).toEqual([120, 120 * 20]);
    for (const shards of [1, 3]) {
      const read: { x: number[]; y: number[] } = { x: [], y: [] };
      for (let shard = 0; shard < shards; shard++) {
        for await (const { x, y } of rowsOfFile({ shard, shards, args: made.source.args })) {
          read.x.push(...x);
          read.y.push(...y);
        }
      }
      expect(read.x).toEqual(all.flatMap(({ x }) => [...x]));
      expect(read.y).toEqual(all.flatMap(({ y }) => y));
    }
    if (kind === "tensors of all") tf.dispose(source as tf.TensorContainer);
    expect(tf.memory().numTensors).toBe(before);
    await made.remove();
    expect(readdirSync(folder)).toEqual([]);
  });
});

test("a fit of them is that of the rows as a module yields them, to the last digit", async () => {
  const trainer = new ConvexReLUTrainer({ regularization: 1e-2, tolerance: 1e-3, width: "resize" });
  const { source, remove } = await fileRows(all);
  const start = { cluster: inProcess(), shards: 2 };
  const ours = await trainer.fitSharded(modelOf(squared), { ...start, ...source, load: READER });
  const theirs = await trainer.fitSharded(modelOf(squared), { ...start, load: LOAD, args: squared.rows });
  expect(ours.certificate).toEqual(theirs.certificate);
  await remove();
});

test.each([
  ["x.f32", 100, 12],
  ["y.f64", 110, 8],
])("a file %s that was cut short is refused with the first row that it has not", async (name, kept, rowBytes) => {
  const { source, remove } = await fileRows(all, { folder });
  const path = join(source.args.folder, name);
  expect(statSync(path).size).toBe(120 * rowBytes);
  truncateSync(path, kept * rowBytes + 5);
  const fit = new ConvexReLUTrainer({ regularization: 1e-2 }).fitSharded(modelOf(squared), {
    ...{ cluster: inProcess(), shards: 2 },
    ...source,
    load: READER,
  });
  // The number is that among the rows of its shard.
  const said = expect.stringContaining(`expected 120 rows in the file ${name}, got ${kept} whole ones`);
  await expect(fit).rejects.toMatchObject({ code: "data/shape", row: kept - 60, message: said });
  await remove();
});

describe("what is wrong is told with the row, and no file is left", () => {
  test.each([
    ["no rows", [], /^fileRows: expected rows, got none/],
    ["what is no iterable", 7, /^fileRows: expected the module's rows to be an iterable/],
    [
      "rows of another width",
      [
        { x: [1, 2], y: 1 },
        { x: [1, 2, 3], y: 1 },
      ],
      /^fileRows, row 1: expected rows of 2 numbers in x/,
    ],
    ["fewer targets", [{ x: [[1], [2]], y: [[1]] }], /^fileRows, row 0: expected as many rows of y as of x, 2, got 1/],
    ["what is no pair", [{ a: 1 }], /^fileRows, row 0: expected \{ x, y \}/],
  ] as const)("%s", async (_, source, said) => {
    await expect(fileRows(source, { folder })).rejects.toMatchObject({
      name: "ConvexError",
      message: expect.stringMatching(said),
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  test("options that are none", async () => {
    await expect(fileRows(all, { inputs: 0 })).rejects.toThrow(/fileRows: inputs/);
    await expect(fileRows(all, { path: "." } as never)).rejects.toThrow(/"path"/);
    expect(existsSync(folder)).toBe(true);
  });
});
