/** Problems on which everybody trains the same network objective: the data, the loss and beta. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { uniformSource } from "../../src/convex/linear/random.js";
import { shuffled } from "../../src/convex/solvers/stochastic/batches.js";
import type { Matrix } from "../../src/convex/types.js";
import { readColumns, standardised, withOnes } from "./sets.js";
import { rowsOf } from "./splits.js";
import { planted } from "./synthetic.js";

export type ContestLoss = "meanSquaredError" | "binaryCrossentropy" | "categoricalCrossentropy";

/**
 * min over m neurons of loss((X w_j)_+ a_j) + beta / 2 sum_j (|w_j|^2 + |a_j|^2); no biases beside the columns of X. Of images, rows of
 * X are their patches, and a neuron's output is the mean over those of an image.
 */
export interface Contest {
  readonly name: string;
  readonly X: Matrix; // [n x d], or [n patches x d], float32 numbers
  readonly images?: Images;
  readonly Y: Matrix; // [n x C]
  readonly loss: ContestLoss;
  readonly beta: number;
}

/** What a convolution sees: filters of some size on every place of square images of one channel. */
export interface Images {
  readonly pixels: Matrix; // [n x side side]
  readonly side: number;
  readonly filter: number;
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
const FILTER = 3;

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
  { name: "digits-conv", read: (folder) => convolution(digits(folder, 10)) },
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

/** Filters of 3 x 3 on the same images, averaged over all places. */
function convolution(contest: Contest | null): Contest | null {
  if (contest === null) return null;
  const { X, ...rest } = contest;
  const pixels = { rows: X.rows, cols: X.cols - 1, data: X.data.filter((_, k) => k % X.cols < X.cols - 1) };
  const images = { pixels, side: Math.sqrt(pixels.cols), filter: FILTER };
  return { ...rest, name: "digits-conv", X: patchesOf(images), images };
}

/** Every place of every image, [n places x filter filter]. */
function patchesOf({ pixels, side, filter }: Images): Matrix {
  const places = side - filter + 1;
  const rows: number[] = [];
  for (let k = 0; k < pixels.rows; k++)
    for (let top = 0; top < places; top++)
      for (let left = 0; left < places; left++)
        for (let i = 0; i < filter; i++) {
          const from = k * pixels.cols + (top + i) * side + left;
          rows.push(...pixels.data.subarray(from, from + filter));
        }
  const cols = filter * filter;
  return { rows: rows.length / cols, cols, data: Float64Array.from(rows) };
}

/** A share of the rows, drawn at random, held out; the contest on the others. */
export function dealt(
  contest: Contest,
  share: number,
  seed: number,
): { readonly seen: Contest; readonly held: Contest } {
  const order = shuffled(contest.Y.rows, uniformSource(seed));
  const count = Math.round(share * order.length);
  return { seen: onRows(contest, order.slice(count).sort()), held: onRows(contest, order.slice(0, count).sort()) };
}

function onRows(contest: Contest, rows: Int32Array): Contest {
  const { X, Y, images } = contest;
  const patches = X.rows / Y.rows;
  const ofPatches = Array.from(rows).flatMap((row) => Array.from({ length: patches }, (_, k) => row * patches + k));
  const pixels = images && { images: { ...images, pixels: rowsOf(images.pixels, Array.from(rows)) } };
  return { ...contest, X: rowsOf(X, ofPatches), Y: rowsOf(Y, Array.from(rows)), ...pixels };
}

/** As tensors hold them, so that everybody gets the same numbers. */
function float32({ rows, cols, data }: Matrix): Matrix {
  return { rows, cols, data: data.map(Math.fround) };
}
