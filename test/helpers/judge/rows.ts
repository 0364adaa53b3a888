/** Rows of odd kinds: what real tables have, and what breaks arithmetic. */

import type { Dice } from "./dice.js";

type Change = (X: Float64Array, n: number, d: number, dice: Dice) => void;

/** x [n x d] in float32, and what it is in words. */
export function drawRows(dice: Dice, n: number, d: number): { X: number[]; what: string } {
  const X = Float64Array.from({ length: n * d }, () => dice.gauss());
  const names: string[] = [];
  const changes = dice.weighted([
    [0, 35],
    [1, 45],
    [2, 20],
  ]);
  for (let k = 0; k < changes; k++) {
    const [name, change] = dice.pick(CHANGES);
    names.push(name);
    change(X, n, d, dice);
  }
  return { X: Array.from(X, Math.fround), what: names.length === 0 ? "gaussian" : names.join(", ") };
}

const CHANGES: readonly (readonly [string, Change])[] = [
  ["equal rows", (X, n, d, dice) => repeat(dice, n, (to, from) => copyRow(X, d, to, from, () => 1))],
  ["nearly equal rows", (X, n, d, dice) => repeat(dice, n, (to, from) => copyRow(X, d, to, from, () => near(dice)))],
  [
    "parallel rows",
    (X, n, d, dice) =>
      repeat(dice, n, (to, from) => {
        const factor = dice.pick([-1, 2, -2, 0.5, 3, -0.25]);
        copyRow(X, d, to, from, () => factor);
      }),
  ],
  ["rows of zeros", (X, n, d, dice) => repeat(dice, n, (to) => copyRow(X, d, to, to, () => 0))],
  ["integers", (X) => each(X, (value) => Math.round(2 * value))],
  ["zeros and ones", (X) => each(X, (value) => (value > 0 ? 1 : 0))],
  ["signs", (X) => each(X, (value) => (value > 0 ? 1 : -1))],
  [
    "columns of other scales",
    (X, n, d, dice) => {
      const scales = Array.from({ length: d }, () => dice.power(-6, dice.pick([2, 6, 12])));
      for (let k = 0; k < n * d; k++) X[k] *= scales[k % d];
    },
  ],
  ["one large column", (X, n, d, dice) => column(X, n, d, dice, (value, scale) => scale * (1 + 1e-3 * value))],
  ["an offset", (X, n, d, dice) => column(X, n, d, dice, (value, scale) => Math.min(scale, 1e4) + value)],
  ["a constant column", (X, n, d, dice) => column(X, n, d, dice, () => 1)],
  ["a column of zeros", (X, n, d, dice) => column(X, n, d, dice, () => 0)],
  [
    "equal columns",
    (X, n, d) => {
      for (let k = 0; k < n; k++) X[k * d + d - 1] = X[k * d];
    },
  ],
  [
    "a sum of columns",
    (X, n, d) => {
      for (let k = 0; k < n; k++) X[k * d + d - 1] = X[k * d] + (d > 2 ? X[k * d + 1] : X[k * d]);
    },
  ],
  [
    "all small or large",
    (X, _n, _d, dice) => {
      const scale = dice.power(-6, 6);
      each(X, (value) => scale * value);
    },
  ],
  ["one far row", (X, n, d, dice) => copyRow(X, d, dice.whole(0, n - 1), 0, () => 1e3)],
  ["sparse", (X, _n, _d, dice) => each(X, (value) => (dice.chance(0.5) ? 0 : value))],
];

function repeat(dice: Dice, n: number, change: (to: number, from: number) => void): void {
  const times = dice.whole(1, Math.max(1, n >> 1));
  for (let k = 0; k < times; k++) change(dice.whole(0, n - 1), dice.whole(0, n - 1));
}

function copyRow(X: Float64Array, d: number, to: number, from: number, factor: () => number): void {
  for (let p = 0; p < d; p++) X[to * d + p] = X[from * d + p] * factor();
}

function near(dice: Dice): number {
  return 1 + dice.power(-7, -3) * dice.gauss();
}

function each(X: Float64Array, change: (value: number) => number): void {
  for (let k = 0; k < X.length; k++) X[k] = change(X[k]);
}

function column(
  X: Float64Array,
  n: number,
  d: number,
  dice: Dice,
  change: (value: number, scale: number) => number,
): void {
  const at = dice.whole(0, d - 1);
  const scale = dice.power(1, 12);
  for (let k = 0; k < n; k++) X[k * d + at] = change(X[k * d + at], scale);
}
