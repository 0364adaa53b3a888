/** The data sets of the bench, each as matrices of float32 numbers, with the loss that suits it. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readDigits } from "../../examples/support/mnist.js";
import { wasmKernels } from "../../src/convex/kernels/index.js";
import type { LossName, Matrix } from "../../src/convex/types.js";
import { principalScores } from "../support/components.js";
import { planted } from "./synthetic.js";

/** What `model.fit` and the trainer both get: x with a last column of ones, so that the hidden layer needs no bias. */
export interface BenchSet {
  readonly name: string;
  readonly x: Matrix; // [n x d], float32 numbers
  readonly y: Matrix; // [n x C]
  readonly loss: LossName;
  readonly gates: number; // P
  readonly decay: number; // l2 factor of both kernels: beta is twice this
}

/** A set that is made or read when it is its turn. */
export interface BenchSource {
  readonly name: string;
  /** The file it needs in the data folder; null: it comes with the repository. */
  readonly file: string | null;
  readonly read: (path: string) => Promise<BenchSet> | BenchSet;
}

const CIFAR_SIDE = 3072; // 32 x 32 pixels of three colours
const COMPONENTS = 100;
const DECAY = 1e-3;

export const sources: readonly BenchSource[] = [
  {
    name: "synthetic",
    file: null,
    read: () => {
      const { X, Y } = planted(250, 50, 951);
      return { name: "synthetic", x: float32(X), y: Y, loss: "meanSquaredError", gates: 500, decay: DECAY };
    },
  },
  { name: "breast-cancer", file: "breast-cancer.csv", read: (path) => binaryTable("breast-cancer", path) },
  { name: "spambase", file: "uci-spambase.csv", read: (path) => binaryTable("spambase", path) },
  { name: "mnist-2000", file: null, read: () => digits(2000) },
  { name: "mnist-10000", file: null, read: () => digits(10_000) },
  { name: "cifar-2", file: "cifar10-jpeg-2class-train.bin", read: twoClasses },
];

/** The path of a source's file, or null when it has one that is not there. */
export function pathOf(source: BenchSource, folder: string): string | null {
  if (source.file === null) return "";
  const path = join(folder, source.file);
  return folder !== "" && existsSync(path) ? path : null;
}

/** A table of numbers under a head line, rows with NaN left out: all columns but the last, and the last. */
export function readColumns(path: string): { readonly X: Matrix; readonly last: Float64Array } {
  const lines = readFileSync(path, "utf8").trim().split("\n").slice(1);
  const rows = lines.map((line) => line.split(",").map(Number)).filter((row) => row.every(Number.isFinite));
  const d = rows[0].length - 1;
  const data = Float64Array.from(rows.flatMap((row) => row.slice(0, d)));
  return { X: { rows: rows.length, cols: d, data }, last: Float64Array.from(rows, (row) => row[d]) };
}

/** A table whose last column is the class 0 or 1; the features standardised. */
function binaryTable(name: string, path: string): BenchSet {
  const { X, last } = readColumns(path);
  return {
    name,
    x: float32(withOnes(standardised(X))),
    y: { rows: X.rows, cols: 1, data: last },
    loss: "binaryCrossentropy",
    gates: 256,
    decay: DECAY,
  };
}

function digits(count: number): BenchSet {
  const { x, y } = readDigits("train", count);
  const set: BenchSet = {
    name: `mnist-${count}`,
    x: float32(withOnes({ rows: count, cols: x.shape[1], data: Float64Array.from(x.dataSync()) })),
    y: { rows: count, cols: 10, data: Float64Array.from(y.dataSync()) },
    loss: "meanSquaredError",
    gates: 32,
    decay: DECAY,
  };
  x.dispose();
  y.dispose();
  return set;
}

/** CIFAR-10 records of two classes on their first 100 principal components, scaled so that the first has variance 1. */
async function twoClasses(path: string): Promise<BenchSet> {
  const file = readFileSync(path);
  const rows = file.length / (1 + CIFAR_SIDE);
  const data = new Float64Array(rows * CIFAR_SIDE);
  const labels = new Float64Array(rows);
  for (let k = 0; k < rows; k++) {
    const at = k * (1 + CIFAR_SIDE);
    labels[k] = file[at];
    for (let p = 0; p < CIFAR_SIDE; p++) data[k * CIFAR_SIDE + p] = file[at + 1 + p] / 255;
  }
  const scores = principalScores({ rows, cols: CIFAR_SIDE, data }, COMPONENTS, await wasmKernels());
  let first = 0;
  for (let k = 0; k < rows; k++) first += scores.data[k * COMPONENTS] ** 2 / rows;
  const scaled = scores.data.map((value) => value / Math.sqrt(first));
  return {
    name: "cifar-2",
    x: float32(withOnes({ rows, cols: COMPONENTS, data: scaled })),
    y: { rows, cols: 1, data: labels },
    loss: "binaryCrossentropy",
    gates: 256,
    decay: DECAY,
  };
}

export function standardised({ rows, cols, data }: Matrix): Matrix {
  const out = Float64Array.from(data);
  for (let p = 0; p < cols; p++) {
    let mean = 0;
    let square = 0;
    for (let k = 0; k < rows; k++) mean += data[k * cols + p] / rows;
    for (let k = 0; k < rows; k++) square += (data[k * cols + p] - mean) ** 2 / rows;
    const scale = square > 0 ? Math.sqrt(square) : 1;
    for (let k = 0; k < rows; k++) out[k * cols + p] = (data[k * cols + p] - mean) / scale;
  }
  return { rows, cols, data: out };
}

export function withOnes({ rows, cols, data }: Matrix): Matrix {
  const out = new Float64Array(rows * (cols + 1)).fill(1);
  for (let k = 0; k < rows; k++) out.set(data.subarray(k * cols, (k + 1) * cols), k * (cols + 1));
  return { rows, cols: cols + 1, data: out };
}

function float32({ rows, cols, data }: Matrix): Matrix {
  return { rows, cols, data: data.map(Math.fround) };
}
