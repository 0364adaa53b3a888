/**
 * "The relaxation f_r has the global minimum of a neuron's loss, and descent on it is never worse": docs/claims.md, 3.
 *
 * f(w) = |(X w)_+ - y|^2 and f_r(w) = |(X w)_+|^2 - 2 y' X w + |y|^2; of m neurons the last term is multiplied by the indicator that
 * all are off.
 */

import fc from "fast-check";
import { expect, test } from "vitest";
import { leastOnGrid } from "./grid.js";

type Rows = readonly (readonly number[])[];

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, k) => sum + value * b[k], 0);
const sumOver = (X: Rows, term: (z: number, k: number) => number, w: readonly number[]) =>
  X.reduce((sum, row, k) => sum + term(dot(row, w), k), 0);

const f = (X: Rows, y: readonly number[], w: readonly number[]) =>
  sumOver(X, (z, k) => (Math.max(0, z) - y[k]) ** 2, w);
const relaxed = (X: Rows, y: readonly number[], w: readonly number[]) =>
  sumOver(X, (z, k) => Math.max(0, z) ** 2 - 2 * y[k] * z + y[k] ** 2, w);

const number = fc.double({ min: -3, max: 3, noNaN: true });
const pair = fc.tuple(number, number);
const data = fc.array(pair, { minLength: 1, maxLength: 6 });

test("X = (1, -1), y = (1, 1): f_r is least at w = 0, where f is 2, and f is least at w = 1 and -1, where it is 1", () => {
  const [X, y] = [
    [[1], [-1]],
    [1, 1],
  ];
  expect(leastOnGrid((w) => relaxed(X, y, [w]), -3, 3)).toEqual({ value: 2, at: 0 });
  expect(f(X, y, [0])).toBe(2);
  expect(leastOnGrid((w) => f(X, y, [w]), -3, 3).value).toBeCloseTo(1, 9);
  expect(f(X, y, [1])).toBe(1);
  expect(f(X, y, [-1])).toBe(1);
});

test("on the same rows gradient descent on f ends at 1 from every start but 0, and on f_r at 2", () => {
  const slopes = { f: (w: number) => 2 * (Math.abs(w) - 1) * Math.sign(w), relaxed: (w: number) => 2 * w };
  const end = (slope: (w: number) => number, start: number) => {
    let w = start;
    for (let step = 0; step < 500; step++) w -= 0.05 * slope(w);
    return f([[1], [-1]], [1, 1], [w]);
  };
  for (const start of [-2, -0.1, 0.3, 1.5]) {
    expect(end(slopes.f, start)).toBeCloseTo(1, 9);
    expect(end(slopes.relaxed, start)).toBeCloseTo(2, 9);
  }
});

test("X = 1, y = -1: f_r has no lower bound", () => {
  expect(relaxed([[1]], [-1], [-1e6])).toBe(1 - 2e6);
  expect(f([[1]], [-1], [-1e6])).toBe(1);
});

test("f_r is convex, and above f by 2 sum y_k (-x_k' w)_+", () => {
  fc.assert(
    fc.property(data, fc.array(number, { minLength: 6, maxLength: 6 }), pair, pair, (X, y, v, w) => {
      const middle = [(v[0] + w[0]) / 2, (v[1] + w[1]) / 2];
      const excess = 2 * sumOver(X, (z, k) => y[k] * Math.max(0, -z), w);
      expect(relaxed(X, y, middle)).toBeLessThanOrEqual((relaxed(X, y, v) + relaxed(X, y, w)) / 2 + 1e-8);
      expect(relaxed(X, y, w) - f(X, y, w)).toBeCloseTo(excess, 8);
    }),
  );
});

test("with targets of a planted neuron, as the paper assumes, f_r is 0 there and nowhere below f", () => {
  fc.assert(
    fc.property(data, pair, pair, (X, planted, w) => {
      const y = X.map((row) => Math.max(0, dot(row, planted)));
      expect(relaxed(X, y, planted)).toBeCloseTo(0, 8);
      expect(relaxed(X, y, w)).toBeGreaterThanOrEqual(f(X, y, w) - 1e-8);
    }),
  );
});

test("with two neurons it jumps: on one row x = 1, y = 1, from 1 to 3 where the first neuron turns off beside one that is off", () => {
  const ofTwo = (a: number, b: number) => {
    const off = Number(a < 0 && b < 0);
    return (Math.max(0, a) + Math.max(0, b) - 1) ** 2 - 2 * off * (a + b);
  };
  expect(ofTwo(1e-9, -1)).toBeCloseTo(1, 6);
  expect(ofTwo(-1e-9, -1)).toBeCloseTo(3, 6);
  // Not convex: at the middle of these two it is above their mean.
  expect(ofTwo(-0.01, -1)).toBeGreaterThan((ofTwo(0.99, -1) + ofTwo(-1.01, -1)) / 2);
});
