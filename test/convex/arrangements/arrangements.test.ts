import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  arrangementBound,
  enumerateGates,
  gateSetBytes,
  gatesFrom,
  gathering,
  resolvingGates,
  sampleGates,
} from "../../../src/convex/arrangements/index.js";
import { PatternSet } from "../../../src/convex/arrangements/patternSet.js";
import { sampling } from "../../../src/convex/arrangements/sample.js";
import { packPattern, wordsPerGate } from "../../../src/convex/linear/bits.js";
import { atOnce } from "../../../src/convex/linear/pieces.js";
import { gaussianSource, logarithm } from "../../../src/convex/linear/random.js";
import type { GateSet, Matrix } from "../../../src/convex/types.js";
import { gaussianMatrix, matrixOf } from "../../helpers/problems.js";

/** The patterns of a gate set as strings of 0 and 1. */
function patternsOf(gates: GateSet): string[] {
  const words = wordsPerGate(gates.rows);
  return Array.from({ length: gates.count }, (_, i) =>
    Array.from({ length: gates.rows }, (_, j) => (gates.bits[i * words + (j >> 5)] >>> (j & 31)) & 1).join(""),
  );
}

/** Patterns of many random directions: all of them, for tiny data. */
function bruteForce(X: Matrix, draws: number): Set<string> {
  const draw = gaussianSource(99);
  const found = new Set<string>();
  for (let k = 0; k < draws; k++) {
    const g = Float64Array.from({ length: X.cols }, draw);
    let pattern = "";
    for (let j = 0; j < X.rows; j++) {
      let product = 0;
      for (let p = 0; p < X.cols; p++) product += X.data[j * X.cols + p] * g[p];
      pattern += product >= 0 ? "1" : "0";
    }
    found.add(pattern);
  }
  return found;
}

describe("enumerateGates", () => {
  test.each([
    [5, 3, 22],
    [10, 3, 92],
    [6, 2, 12],
    [8, 3, 58],
    [10, 4, 260],
    [7, 1, 2],
    [4, 6, 16],
  ])("finds every arrangement of %i points in %i dimensions: %i", (n, d, count) => {
    const gates = enumerateGates(gaussianMatrix(n, d, n + d));
    expect(gates.count).toBe(count);
    expect(gates.count).toBe(arrangementBound(n, Math.min(n, d)));
    expect(new Set(patternsOf(gates)).size).toBe(count);
    expect(gates.complete).toBe(true);
  });

  test.each([
    ["repeated rows", matrixOf(5, 2, [1, 2, 1, 2, 3, -1, 1, 2, -2, 2])],
    ["zero rows", matrixOf(5, 3, [1, 0, 2, 0, 0, 0, 0, 1, 1, 2, 1, 0, 0, 0, 0])],
    ["opposite and scaled rows", matrixOf(5, 2, [1, 1, -2, -2, 3, 3, 0, 1, 1, 0])],
    ["collinear points", matrixOf(6, 2, [1, 1, 2, 1, 3, 1, 4, 1, 5, 1, 6, 1])],
    ["three rows in a plane", matrixOf(4, 3, [1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 1])],
    ["rank 2 in 4 dimensions", matrixOf(5, 4, [1, 0, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 2, -1, 2, -1, -1, 3, -1, 3])],
  ])("agrees with brute force on %s", (_, X) => {
    expect(new Set(patternsOf(enumerateGates(X)))).toEqual(bruteForce(X, 20000));
  });

  test("refuses a count that would not fit, with the number, before any work", () => {
    expect(() => enumerateGates(gaussianMatrix(100, 20, 1))).toThrow(/gates over 100 rows.*bytes.*Ask for fewer gates/);
  });

  test("rows may be scaled by positive numbers: the patterns stay", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.array(fc.double({ min: 0.1, max: 9, noNaN: true }), { minLength: 6, maxLength: 6 }),
        (seed, scales) => {
          const X = gaussianMatrix(6, 3, seed);
          const scaled = matrixOf(
            6,
            3,
            X.data.map((value, k) => value * scales[Math.floor(k / 3)]),
          );
          expect(new Set(patternsOf(enumerateGates(scaled)))).toEqual(new Set(patternsOf(enumerateGates(X))));
        },
      ),
      { numRuns: 20 },
    );
  });
});

describe("sampleGates", () => {
  const X = gaussianMatrix(40, 5, 3);

  test("many rows are read off for a few draws at a time, and the gates are those of drawing one by one", () => {
    const large = gaussianMatrix(4000, 40, 4);
    const work = sampling(large, { count: 120, seed: 5 });
    let pieces = 0;
    let gates: GateSet | null = null;
    while (gates === null) {
      const { done, value } = work.next(false);
      if (done) gates = value;
      else pieces += 1;
    }
    expect(pieces).toBeGreaterThanOrEqual(2);
    const draw = gaussianSource(5);
    const generators = { rows: 120, cols: 40, data: Float64Array.from({ length: 120 * 40 }, draw) };
    const alone = gatesFrom(large, generators);
    expect(gates.bits).toEqual(alone.bits);
    expect(gates.generators.data).toEqual(alone.generators.data);
  });

  test("every generator makes its mask, no mask comes twice, none is empty", () => {
    const gates = sampleGates(X, { count: 200, seed: 7 });
    const words = new Uint32Array(wordsPerGate(X.rows));
    expect(gates.count).toBe(200);
    expect(new Set(patternsOf(gates)).size).toBe(200);
    for (let i = 0; i < gates.count; i++) {
      packPattern(X, gates.generators.data.subarray(i * 5, (i + 1) * 5), words);
      expect(words).toEqual(gates.bits.slice(i * words.length, (i + 1) * words.length));
      expect(words.some((word) => word !== 0)).toBe(true);
    }
  });

  test("the same seed gives the same gates on every engine", () => {
    const { bits } = sampleGates(X, { count: 64, seed: 5 });
    let hash = 0x811c9dc5;
    for (const word of bits) hash = Math.imul(hash ^ word, 0x01000193) >>> 0;
    expect(hash).toBe(FINGERPRINT);
    expect(sampleGates(X, { count: 64, seed: 6 }).bits).not.toEqual(bits);
  });

  test("a larger count extends a smaller one", () => {
    const few = sampleGates(X, { count: 10, seed: 1 });
    const many = sampleGates(X, { count: 50, seed: 1 });
    expect(many.bits.slice(0, few.bits.length)).toEqual(few.bits);
  });

  test("draws are written before their masks are made: coarse ones are the gates that their generators have", () => {
    const coarse = (g: Float64Array) => g.map((value) => Math.round(2 * value) / 2);
    const drawn = sampleGates(X, { count: 30, seed: 2 });
    const gates = sampleGates(X, { count: 30, seed: 2, written: coarse });
    expect(gates.generators.data).toEqual(coarse(gates.generators.data));
    expect(gates.bits).toEqual(gatesFrom(X, gates.generators).bits);
    expect(gates.bits).not.toEqual(drawn.bits);
    const fine = sampleGates(X, { count: 30, seed: 2, written: (g) => g.map(Math.fround) });
    expect(fine.generators.data).toEqual(drawn.generators.data.map(Math.fround));
  });

  test("small data have fewer patterns than asked: those that there are come back", () => {
    const small = gaussianMatrix(4, 2, 1);
    const all = patternsOf(enumerateGates(small)).filter((pattern) => pattern.includes("1"));
    expect(new Set(patternsOf(sampleGates(small, { count: 100 })))).toEqual(new Set(all));
  });

  test("the Gaussian source has mean 0, variance 1 and kurtosis 3", () => {
    const draw = gaussianSource(1);
    const values = Array.from({ length: 50000 }, draw);
    const moment = (power: number) => values.reduce((sum, value) => sum + value ** power, 0) / values.length;
    expect(moment(1)).toBeCloseTo(0, 1);
    expect(moment(2)).toBeCloseTo(1, 1);
    expect(moment(4)).toBeCloseTo(3, 0);
  });

  test("our own logarithm agrees with the engine's to the last digits", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-300, max: 1, maxExcluded: true, noNaN: true }), (x) => {
        expect(Math.abs(logarithm(x) - Math.log(x))).toBeLessThanOrEqual(
          4e-16 * Math.max(1e-16, Math.abs(Math.log(x))) + 1e-16,
        );
      }),
    );
  });
});

describe("gate sets of one's own", () => {
  const X = gaussianMatrix(10, 3, 2);

  test("gatesFrom keeps the first of equal patterns", () => {
    const gates = gatesFrom(X, matrixOf(3, 3, [1, 0, 0, 2, 0, 0, 0, 1, 0]));
    expect(gates.count).toBe(2);
    expect(gates.complete).toBe(false);
  });

  test("gates of given generators, and the check of a set, are made with turns for the host between, and told to end they do not", () => {
    const rows = gaussianMatrix(40, 3, 2);
    const drawn = gaussianMatrix(400, 3, 3);
    for (const [work, ended] of [
      [gathering(rows, drawn), gatesFrom(rows, drawn)],
      [resolvingGates(rows, gatesFrom(rows, drawn), 0), gatesFrom(rows, drawn)],
    ] as const) {
      let turns = 0;
      let step = work.next(false);
      for (; step.done !== true; step = work.next(true)) turns++;
      expect(turns).toBeGreaterThan(1);
      expect(step.value).toEqual(ended);
    }
  });

  test("a set for other data is refused, by size and by mask", () => {
    const gates = sampleGates(X, { count: 5 });
    expect(() => atOnce(resolvingGates(gaussianMatrix(11, 3, 2), gates, 0))).toThrow(/expected a gate set for 11 rows/);
    expect(() => atOnce(resolvingGates(gaussianMatrix(10, 3, 9), gates, 0))).toThrow(/expected the mask of gate \d/);
    expect(() => gatesFrom(X, matrixOf(1, 2, [1, 1]))).toThrow(/expected generators of 3 entries/);
  });

  test("data that are not numbers have no gates, however they are made", () => {
    const bad = matrixOf(2, 2, [1, Number.NaN, 0, 1]);
    const says = /expected finite entries, got NaN at row 0, column 1/;
    expect(() => enumerateGates(bad)).toThrow(says);
    expect(() => sampleGates(bad, { count: 3 })).toThrow(says);
    expect(() => gatesFrom(bad, matrixOf(1, 2, [1, 1]))).toThrow(says);
    expect(() => gatesFrom(X, matrixOf(1, 3, [1, Number.POSITIVE_INFINITY, 0]))).toThrow(
      /finite generators, got Infinity/,
    );
    expect(() => enumerateGates({ rows: 2, cols: 2, data: new Float64Array(3) })).toThrow(
      /2 x 2 entries.*got 3 entries/,
    );
    expect(() => enumerateGates(matrixOf(0, 2, []))).toThrow(/at least one row/);
  });

  test("counts that are none are refused", () => {
    expect(() => sampleGates(X, { count: 2.5 })).toThrow(/count: expected an integer of at least 1, got 2\.5/);
    expect(() => sampleGates(X, { count: 5, seed: 0.5 })).toThrow(/seed: expected an integer, got 0\.5/);
  });

  test("a pattern is found where it was put, among thousands", () => {
    const set = new PatternSet();
    const words = gaussianMatrix(5000, 2, 3).data.map((value) => Math.floor(value * 1e6));
    const pattern = (k: number) => Uint32Array.from(words.subarray(2 * k, 2 * k + 2));
    for (let k = 0; k < 5000; k++) expect(set.add(pattern(k))).toBe(true);
    for (let k = 0; k < 5000; k += 7) {
      expect(set.add(pattern(k))).toBe(false);
      expect(set.find(pattern(k))).toBe(k);
    }
    expect(set.count).toBe(5000);
  });

  test("data of zeros have a gate, the one that is open everywhere", () => {
    expect(patternsOf(enumerateGates(matrixOf(2, 2, [0, 0, 0, 0])))).toEqual(["11"]);
  });

  test("masks take n P / 8 bytes, rounded up to words", () => {
    expect(gateSetBytes(1000, 64, 0)).toBe((1000 * 64) / 8);
  });
});

const FINGERPRINT = 3747293664;
