/** Problems on which everybody trains the same network objective: the data, the loss and beta. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Matrix } from "../../src/convex/types.js";
import { readColumns, standardised, withOnes } from "./sets.js";
import { planted } from "./synthetic.js";

export type ContestLoss = "meanSquaredError" | "binaryCrossentropy" | "categoricalCrossentropy";

/** min over m neurons of loss((X w_j)_+ a_j) + beta / 2 sum_j (|w_j|^2 + |a_j|^2); no biases beside the columns of X. */
export interface Contest {
  readonly name: string;
  readonly X: Matrix; // [n x d], float32 numbers
  readonly Y: Matrix; // [n x C]
  readonly loss: ContestLoss;
  readonly beta: number;
}

export interface ContestSource {
  readonly name: string;
  /** Null where its file is not in the folder. */
  readonly read: (folder: string) => Contest | null;
}

const FEATURES = 50;
const SEED = 951;
const BETA = 2e-3;
/** Pixels of the digits are 0 to 16. */
const PIXEL = 16;

export const contests: readonly ContestSource[] = [
  ...[250, 1000, 5000].map((n) => ({ name: `figure1-${n}`, read: () => figure(n) })),
  table("boston", "reg-boston-housing.csv", "meanSquaredError"),
  table("pima", "uci-pima.csv", "binaryCrossentropy"),
  table("diabetes", "diabetes.csv", "meanSquaredError"),
  table("energy", "reg-energy.csv", "meanSquaredError"),
  table("wine-quality", "reg-wine-quality-red.csv", "meanSquaredError"),
  table("sonar", "uci-sonar.csv", "binaryCrossentropy"),
  table("spambase", "uci-spambase.csv", "binaryCrossentropy"),
  { name: "digits-2", read: (folder) => digits(folder, 2) },
  { name: "digits-10", read: (folder) => digits(folder, 10) },
];

function figure(n: number): Contest {
  const { X, Y } = planted(n, FEATURES, SEED);
  return { name: `figure1-${n}`, X: float32(X), Y, loss: "meanSquaredError", beta: BETA };
}

/** Columns standardised and one of ones; a number to predict standardised as well. */
function table(name: string, file: string, loss: ContestLoss): ContestSource {
  const read = (folder: string) => {
    const path = join(folder, file);
    if (folder === "" || !existsSync(path)) return null;
    const { X, last } = readColumns(path);
    const target = { rows: X.rows, cols: 1, data: last };
    const Y = float32(loss === "meanSquaredError" ? standardised(target) : target);
    return { name, X: float32(withOnes(standardised(X))), Y, loss, beta: BETA };
  };
  return { name, read };
}

/** Digits of 8 x 8 pixels: all ten classes, or whether they are above four. */
function digits(folder: string, classes: 2 | 10): Contest | null {
  const path = join(folder, "digits.csv");
  if (folder === "" || !existsSync(path)) return null;
  const { X, last } = readColumns(path);
  const x = withOnes({ ...X, data: X.data.map((value) => value / PIXEL) });
  const high = Array.from(last, (digit) => [Number(digit > 4)]);
  const oneHot = Array.from(last, (digit) => Array.from({ length: 10 }, (_, c) => Number(c === digit)));
  const rows = classes === 2 ? high : oneHot;
  return {
    name: `digits-${classes}`,
    X: float32(x),
    Y: { rows: X.rows, cols: rows[0].length, data: Float64Array.from(rows.flat()) },
    loss: classes === 2 ? "binaryCrossentropy" : "categoricalCrossentropy",
    beta: BETA,
  };
}

/** As tensors hold them, so that everybody gets the same numbers. */
function float32({ rows, cols, data }: Matrix): Matrix {
  return { rows, cols, data: data.map(Math.fround) };
}
