import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { enumerateGates, gatesFrom, resolvingGates } from "../../../src/convex/arrangements/index.js";
import { packPattern, wordsPerGate } from "../../../src/convex/linear/bits.js";
import { atOnce } from "../../../src/convex/linear/pieces.js";
import type { GateSet, Matrix } from "../../../src/convex/types.js";
import { gaussianMatrix, matrixOf } from "../../helpers/problems.js";

function patternsOf(gates: GateSet): string[] {
  const words = wordsPerGate(gates.rows);
  return Array.from({ length: gates.count }, (_, i) =>
    Array.from({ length: gates.rows }, (_, j) => (gates.bits[i * words + (j >> 5)] >>> (j & 31)) & 1).join(""),
  ).sort();
}

/** +-(x_i cross x_j): every ray in which planes of the rows meet, so that every face has the sum of at most three inside. */
function raysInSpace(rows: readonly number[][]): number[][] {
  const rays: number[][] = [];
  for (const [a, b, c] of rows) {
    for (const [d, e, f] of rows) {
      const ray = [b * f - c * e, c * d - a * f, a * e - b * d];
      if (ray.some((value) => value !== 0)) rays.push(ray);
    }
  }
  return rays;
}

/** All patterns 1[X g >= 0] of small integers, by points in every face: [those on which no row lies, all]. */
function bruteForce(rows: readonly number[][], rays: readonly number[][]): [string[], string[]] {
  const inside = new Set<string>();
  const all = new Set<string>();
  const look = (g: readonly number[]) => {
    const products = rows.map((row) => row.reduce((sum, value, p) => sum + value * g[p], 0));
    const pattern = products.map((value) => (value >= 0 ? 1 : 0)).join("");
    all.add(pattern);
    if (products.every((value, j) => value !== 0 || rows[j].every((entry) => entry === 0))) inside.add(pattern);
  };
  const plus = (a: readonly number[], b: readonly number[]) => a.map((value, p) => value + b[p]);
  look(rows[0].map(() => 0));
  for (const a of rays) {
    look(a);
    for (const b of rays) {
      look(plus(a, b));
      if (a.length > 2) for (const c of rays) look(plus(plus(a, b), c));
    }
  }
  return [[...inside].sort(), [...all].sort()];
}

const entry = fc.integer({ min: -2, max: 2 });
const matrix = (rows: readonly number[][]): Matrix => matrixOf(rows.length, rows[0].length, rows.flat());

describe("arrangements in exact arithmetic", () => {
  test("small integers, with zero, equal, opposite and dependent rows: every cell, and every face (plane)", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(entry, entry), { minLength: 1, maxLength: 7 }), (rows) => {
        const rays = rows.flatMap(([a, b]) =>
          a === 0 && b === 0
            ? []
            : [
                [-b, a],
                [b, -a],
                [a, b],
                [-a, -b],
              ],
        );
        const [inside, all] = bruteForce(rows, rays.length > 0 ? rays : [[1, 0]]);
        expect(patternsOf(enumerateGates(matrix(rows)))).toEqual(inside);
        expect(patternsOf(enumerateGates(matrix(rows), { boundary: true }))).toEqual(all);
      }),
      { numRuns: 200 },
    );
  });

  test("the same in space", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(entry, entry, entry), { minLength: 0, maxLength: 3 }), (more) => {
        const rows = [[1, 0, 1], [0, 1, -1], [-1, 1, 1], ...more];
        const [inside, all] = bruteForce(rows, raysInSpace(rows));
        const gates = enumerateGates(matrix(rows), { boundary: true });
        expect(patternsOf(enumerateGates(matrix(rows)))).toEqual(inside);
        expect(patternsOf(gates)).toEqual(all);
        expect(gates.complete).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test.each([1e8, 1e12, 1.7e12, 1e100])("a column of %d beside one near 1 takes no arrangement away", (big) => {
    const values = [-2, -1, -0.5, 0.5, 1, 2];
    const gates = enumerateGates(matrix(values.map((value) => [big, value])));
    expect(gates.count).toBe(12);
    expect(gates.complete).toBe(true);
  });

  test("scaling columns by powers of ten changes no count", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 999 }),
        fc.tuple(...[1, 2, 3].map(() => fc.integer({ min: -12, max: 12 }))),
        (seed, powers) => {
          const X = gaussianMatrix(7, 3, seed);
          const scaled = matrixOf(
            7,
            3,
            X.data.map((value, k) => value * 10 ** powers[k % 3]),
          );
          expect(enumerateGates(scaled).count).toBe(44);
          expect(enumerateGates(scaled).complete).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  test("nearly parallel rows are two hyperplanes, exact multiples one; what float64 cannot tell apart is no complete set", () => {
    const near = (by: number) => enumerateGates(matrixOf(2, 2, [1, 1, 1, 1 + by]));
    expect(near(2 ** -45)).toMatchObject({ count: 4, complete: true });
    expect(near(2 ** -52)).toMatchObject({ count: 3, complete: false });
    expect(enumerateGates(matrixOf(2, 2, [0.1, 0.3, 0.2, 0.6]))).toMatchObject({ count: 2, complete: true });
  });

  test("masks are those of the generators, as floats multiply, also when these are rounded to float32", () => {
    for (const boundary of [false, true]) {
      const X = gaussianMatrix(20, 3, 5);
      const gates = enumerateGates(X, { boundary, written: (g) => g.map(Math.fround) });
      const pattern = new Uint32Array(1);
      for (let i = 0; i < gates.count; i++) {
        packPattern(X, gates.generators.data.subarray(3 * i, 3 * i + 3), pattern);
        expect(pattern[0]).toBe(gates.bits[i]);
      }
      expect(gates.generators.data).toEqual(gates.generators.data.map(Math.fround));
      expect(gates.count).toBe(382 + Number(boundary)); // the zero gate is on everywhere
    }
  });

  test("a pattern that no direction at hand has is left out, and the set does not call itself complete", () => {
    const coarse = (g: Float64Array) => g.map(Math.round);
    const gates = enumerateGates(gaussianMatrix(20, 3, 5), { written: coarse });
    expect(gates.count).toBeLessThan(382);
    expect(gates.complete).toBe(false);
  });
});

describe("a set that calls itself complete", () => {
  const checkGateSet = (gates: GateSet, X: Matrix, boundary = false) =>
    atOnce(resolvingGates(X, gates, 0, undefined, undefined, boundary));
  const A = matrixOf(3, 2, [1, 0, 1, 0, 0, 1]);
  const B = matrixOf(3, 2, [1, 0.3, 1, -0.3, 0, 1]); // equal rows moved apart: the masks of A's gates agree

  test("is so for the rows that it was made for, and taken as incomplete for others", () => {
    const gates = enumerateGates(A);
    expect(checkGateSet(gates, A)).toBe(gates);
    expect(checkGateSet(structuredClone(gates), A).complete).toBe(true);
    expect(checkGateSet(gates, B)).toMatchObject({ count: 4, complete: false });
    expect(checkGateSet({ ...gatesFrom(B, matrixOf(2, 2, [1, 0, 0, 1])), complete: true }, B).complete).toBe(false);
  });

  test("for ReLU networks is not so for gated ones, where no direction is on for all rows", () => {
    const X = matrixOf(3, 2, [1, 0, -1, 1, 0, -1]);
    const gates = enumerateGates(X);
    expect(checkGateSet(gates, X).complete).toBe(true);
    expect(checkGateSet(gates, X, true).complete).toBe(false);
    expect(checkGateSet(enumerateGates(X, { boundary: true }), X, true).complete).toBe(true);
  });
});

test("as many rows in general position as dimensions have every pattern, in as many dimensions as are enumerated", () => {
  for (const [d, seed] of [
    [7, 1],
    [8, 1],
    [8, 2],
  ]) {
    const X = gaussianMatrix(d, d, seed);
    const gates = enumerateGates(X);
    expect(gates.count).toBe(2 ** d);
    expect(gates.complete).toBe(true);
    expect(new Set(patternsOf(gates)).size).toBe(2 ** d);
  }
});
