/**
 * "On whitened one-hot data the optimum of a deep ReLU network has a unit a layer for each class": docs/claims.md, 9. Rows X = I,
 * targets Y = I, six classes, weight decay on five layers; classes are the edges of a complete graph of four nodes.
 */

import fc from "fast-check";
import { expect, test } from "vitest";
import { referenceKernels } from "../../src/convex/kernels/index.js";
import { bindLoss } from "../../src/convex/losses/index.js";
import { deepOneHot } from "../../src/convex/matrices/index.js";
import { leastOnGrid } from "./grid.js";

type Rows = readonly (readonly number[])[];

const times = (A: Rows, B: Rows) => A.map((row) => B[0].map((_, c) => row.reduce((sum, a, k) => sum + a * B[k][c], 0)));
const relu = (A: Rows) => A.map((row) => row.map((value) => Math.max(0, value)));
const squares = (A: Rows) => A.flat().reduce((sum, value) => sum + value * value, 0);
const identity = (size: number) =>
  Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) => Number(i === j)));

const NODES = 4;
const edges = Array.from({ length: NODES }, (_, i) => i).flatMap((i) =>
  Array.from({ length: NODES - 1 - i }, (_, k) => [i, i + 1 + k] as const),
);
const K = edges.length; // 6
const ends = edges.map((edge) => Array.from({ length: NODES }, (_, p) => Number(edge.includes(p))));
const apart = Array.from({ length: NODES }, (_, p) => edges.map((edge) => (edge.includes(p) ? 0.5 : -0.5)));
const shared = [ends, identity(NODES), identity(NODES), apart, identity(K)];

/** Layers of equal squares whose product is `t` times that of the given ones. */
function balanced(layers: readonly Rows[], t: number): Rows[] {
  const sizes = layers.map(squares);
  const each = sizes.reduce((product, size) => product * size, t * t) ** (1 / layers.length);
  return layers.map((layer, l) => layer.map((row) => row.map((value) => value * Math.sqrt(each / sizes[l]))));
}

function objective(layers: readonly Rows[], beta: number): number {
  const F = layers.reduce((H, W, l) => (l === layers.length - 1 ? times(H, W) : relu(times(H, W))), identity(K));
  const loss = 0.5 * squares(F.map((row, i) => row.map((value, j) => value - Number(i === j))));
  return loss + (beta / 2) * layers.reduce((sum, layer) => sum + squares(layer), 0);
}

const ofClasses = (t: number, beta: number) => K * (0.5 * (1 - t) ** 2 + 2.5 * beta * t ** 0.4);
const BETA = 0.05;

test("edges tell themselves apart by four numbers: the outputs are the targets, at 5.86 where six units cost 6", () => {
  expect(relu(times(ends, apart))).toEqual(identity(K).map((row) => row.map((value) => value + 0)));
  expect(shared.map(squares)).toEqual([12, 4, 4, 6, 6]);
  expect(6912 ** 0.2).toBeCloseTo(5.86, 2);
});

test("the network that shares units is below the best that has a unit a layer for each class", () => {
  const { value, at } = leastOnGrid((t) => ofClasses(t, BETA), 0, 1);
  expect(at).toBeGreaterThan(0.5);
  const own = Array.from({ length: 5 }, () => identity(K));
  expect(objective(balanced(own, at), BETA)).toBeCloseTo(value, 9);
  expect(objective(balanced(shared, at), BETA)).toBeLessThan(value - 0.015);
});

test("the library's bound is below both, and its network is the one of own units", async () => {
  const I = { rows: K, cols: K, data: Float64Array.from(identity(K).flat()) };
  const g = BETA / 2 / (0.5 * K * K); // the mean over K^2 entries in place of half the sum
  const charges = new Array(5).fill(g);
  const problem = {
    X: I,
    Y: I,
    loss: bindLoss("meanSquaredError", I),
    charges,
    widths: [6, 6, 6, 6],
    beta: g,
    outputBias: null,
  };
  const budget = { tolerance: 1e-6, maxIterations: 1, seconds: 1 };
  const { gap, status, advice } = await deepOneHot.build(problem).solve(referenceKernels, budget);
  const { value, at } = leastOnGrid((t) => ofClasses(t, BETA), 0, 1);
  expect(0.5 * K * K * gap.primal).toBeCloseTo(value, 7);
  expect(0.5 * K * K * gap.dual).toBeLessThan(objective(balanced(shared, at), BETA));
  expect(status).toBe("stalled");
  expect(advice).toMatch(/share/);
});

test("no network that shares units is below the bound", async () => {
  const I = { rows: K, cols: K, data: Float64Array.from(identity(K).flat()) };
  const loss = bindLoss("meanSquaredError", I);
  await fc.assert(
    fc.asyncProperty(
      fc.double({ min: 0.001, max: 0.5, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (beta, t) => {
        const g = beta / (K * K);
        const charges = new Array(5).fill(g);
        const problem = { X: I, Y: I, loss, charges, widths: [6, 6, 6, 6], beta: g, outputBias: null };
        const budget = { tolerance: 1e-6, maxIterations: 1, seconds: 1 };
        const { gap } = await deepOneHot.build(problem).solve(referenceKernels, budget);
        expect(0.5 * K * K * gap.dual).toBeLessThanOrEqual(objective(balanced(shared, t), beta) * (1 + 1e-9));
      },
    ),
    { numRuns: 30 },
  );
});
