/** Sums of pairs of gates over rows, fold by fold, against the definition. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { referenceKernels } from "../../../src/convex/kernels/cpu.js";
import { wasmKernels } from "../../../src/convex/kernels/wasm/index.js";
import { isActive, packPatterns, wordsPerGate } from "../../../src/convex/linear/bits.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { dot } from "../../../src/convex/linear/vectors.js";
import { linearMoments, pairSums } from "../../../src/convex/sharded/moments/collect.js";
import { foldOf } from "../../../src/convex/sharded/moments/folds.js";
import { framed, lifted, lowered, totals } from "../../../src/convex/sharded/moments/frame.js";
import { pairsOf } from "../../../src/convex/sharded/moments/layout.js";
import { gramTimes, momentsOf, together, without } from "../../../src/convex/sharded/moments/moments.js";
import { rowsMatrix } from "../../../src/convex/sharded/rows.js";
import type { GateSet, Matrix } from "../../../src/convex/types.js";

interface Case {
  readonly n: number;
  readonly d: number;
  readonly P: number;
  readonly C: number;
  readonly folds: number;
  readonly seed: number;
}

const anyCase = fc.record({
  n: fc.integer({ min: 1, max: 70 }),
  d: fc.integer({ min: 1, max: 4 }),
  P: fc.integer({ min: 1, max: 5 }),
  C: fc.integer({ min: 1, max: 2 }),
  folds: fc.integer({ min: 1, max: 3 }),
  seed: fc.integer({ min: 0, max: 1000 }),
});

function drawn({ n, d, P, C, seed }: Case) {
  const draw = gaussianSource(seed);
  const filled = (size: number) => Float64Array.from({ length: size }, draw);
  const X: Matrix = { rows: n, cols: d, data: filled(n * d) };
  const generators = { rows: P, cols: d, data: filled(P * d) };
  const words = wordsPerGate(n);
  const bits = new Uint32Array(P * words);
  const each = (size: number, i: number, all: Float64Array) => all.subarray(i * size, (i + 1) * size);
  packPatterns(
    X,
    Array.from({ length: P }, (_, i) => each(d, i, generators.data)),
    Array.from({ length: P }, (_, i) => bits.subarray(i * words, (i + 1) * words)),
  );
  const gates: GateSet = { count: P, rows: n, bits, generators, complete: false };
  return { X, gates, Y: filled(n * C), v: filled(P * C * d) };
}

const OFFSET = 17;

async function collected(one: Case, { X, gates, Y }: ReturnType<typeof drawn>, fast: boolean) {
  const kernels = fast ? await wasmKernels(1) : referenceKernels;
  const deal = { folds: one.folds, seed: one.seed, offset: OFFSET };
  const linear = linearMoments(X, Y, one.C, gates, kernels, deal);
  const half = Math.floor(one.P / 2);
  const parts = [pairSums(X, gates, kernels, deal, 0, half), pairSums(X, gates, kernels, deal, half, one.P)];
  const frame = { means: new Float64Array(one.d - 1), offsets: new Float64Array(one.C), biasColumn: 1 };
  return momentsOf(linear, parts, { folds: one.folds, gates: one.P, width: one.d, outputs: one.C, frame });
}

/** A'(w o A v), A'(w o y) and A'w for the rows that `take` takes. */
function byDefinition({ d, P, C }: Case, { X, gates, Y, v }: ReturnType<typeof drawn>, take: (row: number) => boolean) {
  const gram = new Float64Array(P * C * d);
  const pull = new Float64Array(P * C * d);
  const sums = new Float64Array(P * d);
  let rows = 0;
  for (let j = 0; j < X.rows; j++) {
    if (!take(j)) continue;
    rows += 1;
    const x = X.data.subarray(j * d, (j + 1) * d);
    for (let c = 0; c < C; c++) {
      let z = 0;
      for (let i = 0; i < P; i++)
        if (isActive(gates, i, j)) for (let p = 0; p < d; p++) z += x[p] * v[(i * C + c) * d + p];
      for (let i = 0; i < P; i++) {
        if (!isActive(gates, i, j)) continue;
        for (let p = 0; p < d; p++) {
          gram[(i * C + c) * d + p] += x[p] * z;
          pull[(i * C + c) * d + p] += x[p] * Y[j * C + c];
          if (c === 0) sums[i * d + p] += x[p];
        }
      }
    }
  }
  return { rows, gram, pull, sums };
}

function expectClose(got: Float64Array, wanted: Float64Array): void {
  expect(got).toHaveLength(wanted.length);
  got.forEach((value, k) => {
    expect(value).toBeCloseTo(wanted[k], 9);
  });
}

test("moments of each fold, of all and of all but one are those of their rows, on both engines", async () => {
  await fc.assert(
    fc.asyncProperty(anyCase, fc.boolean(), async (one, fast) => {
      const data = drawn(one);
      const folds = await collected(one, data, fast);
      const all = together(folds);
      const held = (fold: number) => (row: number) => foldOf(OFFSET + row, one.folds, one.seed) === fold;
      const wanted = [
        [all, () => true] as const,
        ...folds.map((fold, f) => [fold, held(f)] as const),
        ...folds.map((fold, f) => [without(all, fold), (row: number) => !held(f)(row)] as const),
      ];
      for (const [moments, take] of wanted) {
        const { rows, gram, pull, sums } = byDefinition(one, data, take);
        expect(moments.rows).toBe(rows);
        expect(moments.pairs).toHaveLength((pairsOf(one.P) * one.d * (one.d + 1)) / 2);
        expectClose(gramTimes(moments, data.v), gram);
        expectClose(moments.pull, pull);
        expectClose(moments.sums, sums);
      }
    }),
    { numRuns: 40 },
  );
});

test("more rows than are summed at a time are the sum of their parts", async () => {
  const one = { n: 2500, d: 3, P: 4, C: 1, folds: 2, seed: 5 };
  const data = drawn(one);
  const all = together(await collected(one, data, true));
  const wanted = byDefinition(one, data, () => true);
  expectClose(gramTimes(all, data.v), wanted.gram);
  expectClose(all.pull, wanted.pull);
});

test("what vectors make of rows, and rows of residuals, is the same in the frame, with a bias column and without", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom(0, 1, 2.5),
      fc.integer(),
      (inputs, biasColumn, seed) => {
        const draw = gaussianSource(seed);
        const filled = (size: number) => Float64Array.from({ length: size }, draw);
        const [n, vectors] = [6, 3];
        const rows = { count: n, x: Float32Array.from(filled(n * inputs), (value) => 100 + value), y: filled(n) };
        const sums = totals(rows, inputs, 1);
        const frame = { means: sums.slice(0, inputs).map((sum) => sum / n), offsets: new Float64Array(1), biasColumn };
        const [X, F] = [rowsMatrix(rows, inputs, biasColumn), framed(rows, frame.means)];
        const v = filled(vectors * X.cols);
        const r = filled(n);
        const products = (of: Matrix, w: Float64Array) =>
          Array.from({ length: vectors * n }, (_, at) => {
            const [k, j] = [Math.floor(at / n), at % n];
            return dot(of.data.subarray(j * of.cols, (j + 1) * of.cols), w.subarray(k * of.cols, (k + 1) * of.cols));
          });
        const adjoint = (of: Matrix) => {
          const out = new Float64Array(of.cols);
          r.forEach((value, j) => {
            for (let p = 0; p < of.cols; p++) out[p] += value * of.data[j * of.cols + p];
          });
          return out;
        };
        expectClose(Float64Array.from(products(F, lifted(frame, v))), Float64Array.from(products(X, v)));
        expectClose(lowered(frame, adjoint(F)), adjoint(X));
        expect(Math.max(...F.data)).toBeLessThan(10);
      },
    ),
    { numRuns: 40 },
  );
});

test("folds are of about the same size, and other seeds deal otherwise", () => {
  const sizes = (seed: number) => {
    const count = new Int32Array(5);
    for (let row = 0; row < 1e5; row++) count[foldOf(row, 5, seed)] += 1;
    return [...count];
  };
  for (const seed of [0, 1, 77]) for (const size of sizes(seed)) expect(Math.abs(size - 2e4)).toBeLessThan(600);
  expect(sizes(0)).not.toEqual(sizes(1));
});
