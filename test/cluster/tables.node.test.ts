/** The modules of docs/scale.md that read tables, as they stand there, in workers of plain Node. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { parquetWriteFile } from "hyparquet-writer";
import { afterAll, beforeAll, expect, test } from "vitest";
import { local, type ShardProgram } from "../../src/cluster/index.js";
import { ConvexReLUTrainer } from "../../src/index.js";
import { inProcess } from "../helpers/inProcess.js";
import { cases, LOAD, modelOf } from "../helpers/shardedCases.js";
import { rowOf } from "../helpers/shardedRows.mjs";
import { shardProgram } from "../helpers/shardProgram.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const [squared] = cases;
const names = ["age", "income", "distance"];
const table = Array.from({ length: squared.rows.n }, (_, j) => rowOf(j, squared.rows));
let program: ShardProgram = {};
let folder = "";

beforeAll(async () => {
  await tf.setBackend("cpu");
  program = await shardProgram();
  // Where packages are found, as beside the modules of a user.
  mkdirSync(join(ROOT, "node_modules/.cache"), { recursive: true });
  folder = mkdtempSync(join(ROOT, "node_modules/.cache/tables-"));
  const text = readFileSync(join(ROOT, "docs/scale.md"), "utf8");
  for (const [, name, code] of text.matchAll(/```js\n\/\/ (\w+\.mjs)\n([\s\S]*?)```/g))
    writeFileSync(join(folder, name), code);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const trainer = new ConvexReLUTrainer({ regularization: 1e-2, tolerance: 1e-3, width: "resize" });

function fitted(module: string, args: object) {
  const load = pathToFileURL(join(folder, module));
  return trainer.fitSharded(modelOf(squared), { cluster: local({ program }), shards: 2, load, args });
}

function parquet(values: readonly number[][] = table.map(({ x }) => [...x])) {
  const file = join(folder, "points.parquet");
  const columns = names.map((name, p) => ({ name, data: values.map((row) => row[p]), type: "FLOAT" as const }));
  const data = table.map(({ y }) => Number(y));
  const columnData = [...columns, { name: "price", data, type: "DOUBLE" as const }];
  parquetWriteFile({ filename: file, columnData, rowGroupSize: 37 });
  return { file, inputs: names, target: "price" };
}

test("of Parquet the fit is that of the rows as they were, to the last digit", async () => {
  const { certificate, shards } = await fitted("parquetRows.mjs", parquet());
  const args = { cluster: inProcess(), shards: 2, load: LOAD, args: squared.rows };
  expect(certificate).toEqual((await trainer.fitSharded(modelOf(squared), args)).certificate);
  expect(shards.rows).toEqual([60, 60]);
});

test("of CSV, whose lines shards take in turns, it is the same optimum within the proven gaps", async () => {
  const lines = table.map(({ x, y }) => [...x, ...(y as number[])].join());
  writeFileSync(join(folder, "points.csv"), lines.join("\n"));
  const { certificate } = await fitted("rows.mjs", { file: "points.csv" });
  const args = { cluster: inProcess(), shards: 2, load: LOAD, args: squared.rows };
  const theirs = (await trainer.fitSharded(modelOf(squared), args)).certificate;
  expect(certificate.relativeGap).toBeLessThanOrEqual(1e-3);
  expect(certificate.dual).toBeLessThanOrEqual(theirs.primal);
  expect(theirs.dual).toBeLessThanOrEqual(certificate.primal);
});

test.each([
  ["an empty cell", (cells: string[]) => [cells[0], " ", ...cells.slice(2)], /^shard 1, row 10 .*got NaN in column 1/],
  ["a word", (cells: string[]) => ["none", ...cells.slice(1)], /^shard 1, row 10 .*got NaN in column 0/],
  ["no target", (cells: string[]) => [...cells.slice(0, -1), ""], /^shard 1, row 10 .*NaN/],
  ["a cell too few", (cells: string[]) => cells.slice(1), /^shard 1, row 10 .*expected rows of 3/],
  ["an empty line", () => [""], /^shard 1, row 10 /],
] as const)("of CSV %s is told with its shard and row, no zero", async (_, broken, said) => {
  const lines = table.map(({ x, y }) => [...x, ...(y as number[])].map(String));
  lines[21] = broken(lines[21]); // shards take turns
  writeFileSync(join(folder, "broken.csv"), lines.map((cells) => cells.join()).join("\n"));
  await expect(fitted("rows.mjs", { file: "broken.csv" })).rejects.toThrow(said);
});

test("what is wrong with a table is told with the row", async () => {
  const values = table.map(({ x }) => [...x]);
  values[70][1] = Number.NaN;
  const nan = /^shard 1, row 10 \(row 70 of all\): expected finite numbers in x, got NaN in column 1/;
  await expect(fitted("parquetRows.mjs", parquet(values))).rejects.toThrow(nan);
  const missing = { ...parquet(), inputs: ["age", "wealth", "distance"] };
  await expect(fitted("parquetRows.mjs", missing)).rejects.toThrow(/^shard 0, row 0: .*wealth|^shard 0, row 0: .*in x/);
});
