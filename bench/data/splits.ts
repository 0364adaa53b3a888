/** Tables in parts, and how wrong predictions of the part held out are. */

import { uniformSource } from "../../src/convex/linear/random.js";
import type { Matrix } from "../../src/convex/types.js";
import type { Metric, SplitTable } from "../peers/sklearn.js";
import type { OrdinaryTable } from "./ordinaryTables.js";
import { standardised } from "./sets.js";

/** So many splits of the rows by their seeds, a fifth held out in each. */
export function split(table: OrdinaryTable, count: number): SplitTable {
  const metric = table.task !== "numbers" ? "error" : table.loss === "meanAbsoluteError" ? "mae" : "rmse";
  const n = table.x.rows;
  const splits = Array.from({ length: count }, (_, seed) => {
    const draw = uniformSource(100 + seed);
    const order = Array.from({ length: n }, (_, k) => ({ k, at: draw() })).sort((a, b) => a.at - b.at);
    return order
      .slice(0, Math.ceil(n / 5))
      .map(({ k }) => k)
      .sort((a, b) => a - b);
  });
  return { table, metric, splits };
}

/** The error of predictions Z [n x C] of targets y, which are some rows of the table. */
export function errorOf(metric: Metric, { task, y: all }: OrdinaryTable, Z: Float64Array, y: Matrix): number {
  if (metric !== "error") {
    const off = Z.map((z, k) => Math.abs(z - y.data[k]));
    return metric === "mae" ? mean(off) : Math.sqrt(mean(off.map((value) => value ** 2)));
  }
  if (task === "classes") {
    const rows = Array.from({ length: y.rows }, (_, k) => k * y.cols);
    return mean(rows.map((at) => (argmax(Z, at, y.cols) === argmax(y.data, at, y.cols) ? 0 : 1)));
  }
  const middle = all.data.some((label) => label < 0) ? 0 : 0.5;
  return mean(Z.map((z, k) => (z > middle === y.data[k] > middle ? 0 : 1)));
}

/** Both standardised by the first. */
export function alike(first: Matrix, second: Matrix): [Matrix, Matrix] {
  const [center, spread] = momentsOf(first);
  const moved = (m: Matrix) => ({ ...m, data: m.data.map((v, k) => (v - center[k % m.cols]) / spread[k % m.cols]) });
  return [standardised(first), moved(second)];
}

/** Means and spreads of the columns; 1 for a spread of 0. */
export function momentsOf({ rows, cols, data }: Matrix): [Float64Array, Float64Array] {
  const center = new Float64Array(cols);
  const square = new Float64Array(cols);
  data.forEach((value, k) => {
    center[k % cols] += value / rows;
  });
  data.forEach((value, k) => {
    square[k % cols] += (value - center[k % cols]) ** 2 / rows;
  });
  return [center, square.map((value) => (value > 0 ? Math.sqrt(value) : 1))];
}

export function rowsOf({ cols, data }: Matrix, picked: readonly number[]): Matrix {
  const out = new Float64Array(picked.length * cols);
  picked.forEach((k, at) => {
    out.set(data.subarray(k * cols, (k + 1) * cols), at * cols);
  });
  return { rows: picked.length, cols, data: out };
}

function argmax(values: Float64Array, from: number, count: number): number {
  let best = 0;
  for (let c = 1; c < count; c++) if (values[from + c] > values[from + best]) best = c;
  return best;
}

export function mean(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
