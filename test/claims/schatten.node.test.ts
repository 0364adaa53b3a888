/**
 * Strong duality of deep linear networks without the condition gamma <= sigma_min: docs/claims.md, 7. X = I, Y = diag(3, 1), three
 * layers of 2 x 2, charge gamma / 3 times the sum of all singular values to the third power.
 */

import fc from "fast-check";
import { expect, test } from "vitest";
import { leastOnGrid } from "./grid.js";

const SIGMA = [3, 1];
const GAMMA = 2; // above the least singular value

type Square = readonly [number, number, number, number];

const product = ([a, b, c, d]: Square, [e, f, g, h]: Square): Square => [
  a * e + b * g,
  a * f + b * h,
  c * e + d * g,
  c * f + d * h,
];

/** Sum of the cubes of the singular values: roots of s^2 - |M|^2 s + det^2. */
function cubes([a, b, c, d]: Square): number {
  const sum = a * a + b * b + c * c + d * d;
  const root = Math.sqrt(Math.max(0, sum * sum - 4 * (a * d - b * c) ** 2));
  return ((sum + root) / 2) ** 1.5 + Math.max(0, (sum - root) / 2) ** 1.5;
}

function objective(layers: readonly Square[], gamma: number): number {
  const [a, b, c, d] = layers.reduce(product);
  const loss = 0.5 * ((a - SIGMA[0]) ** 2 + b * b + c * c + (d - SIGMA[1]) ** 2);
  return loss + (gamma / layers.length) * layers.reduce((sum, layer) => sum + cubes(layer), 0);
}

/** Of Lambda = diag(min(sigma, gamma)) and networks of rank r: 1/2 |Y|^2 - 1/2 the r largest (sigma - min(sigma, gamma))^2. */
const dual = (gamma: number, rank: number) =>
  0.5 *
  (SIGMA.reduce((sum, s) => sum + s * s, 0) -
    SIGMA.slice(0, rank).reduce((sum, s) => sum + (s - Math.min(s, gamma)) ** 2, 0));
const primal = (gamma: number, rank: number) =>
  SIGMA.reduce(
    (sum, s, k) => sum + (k < rank ? leastOnGrid((t) => 0.5 * (t - s) ** 2 + gamma * t, 0, s).value : 0.5 * s * s),
    0,
  );

test.each([
  { gamma: 0.5, rank: 2 },
  { gamma: GAMMA, rank: 2 },
  { gamma: GAMMA, rank: 1 },
  { gamma: 4, rank: 2 },
])("gamma = $gamma, rank at most $rank: primal and dual are equal", ({ gamma, rank }) => {
  expect(primal(gamma, rank)).toBeCloseTo(dual(gamma, rank), 6);
});

test("gamma = 2: the network of layers diag(1, 0) has the dual's 4.5, and no network is below", () => {
  expect(dual(GAMMA, 2)).toBe(4.5);
  expect(
    objective(
      Array.from({ length: 3 }, (): Square => [1, 0, 0, 0]),
      GAMMA,
    ),
  ).toBe(4.5);
  const number = fc.double({ min: -2, max: 2, noNaN: true });
  const square = fc.tuple(number, number, number, number);
  fc.assert(
    fc.property(square, square, square, (...layers) => objective(layers, GAMMA) >= 4.5 - 1e-9),
    { numRuns: 2000 },
  );
});
