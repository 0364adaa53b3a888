import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  eigenInPieces,
  eigenSymmetric,
  type SymmetricEigen,
  singularVectors,
} from "../../../../src/convex/linear/eigen/index.js";
import { atOnce, inTurns } from "../../../../src/convex/linear/pieces.js";
import { gaussianSource } from "../../../../src/convex/linear/random.js";

/** B [rows x cols] of a given rank, of size about `scale`. */
function drawn(rows: number, cols: number, rank: number, scale: number, seed: number): Float64Array {
  const draw = gaussianSource(seed);
  const B = new Float64Array(rows * cols);
  for (let r = 0; r < rank; r++) {
    const u = Float64Array.from({ length: rows }, draw);
    const v = Float64Array.from({ length: cols }, draw);
    for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) B[i * cols + j] += scale * u[i] * v[j];
  }
  return B;
}

/** Sum_k s_k u_k v_k' - A, and how far the rows of u are from orthonormal: both largest entries. */
function errors(
  A: Float64Array,
  s: Float64Array,
  u: { rows: number; cols: number; data: Float64Array },
  v: { rows: number; cols: number; data: Float64Array },
) {
  let rebuilt = 0;
  for (let i = 0; i < u.cols; i++) {
    for (let j = 0; j < v.cols; j++) {
      let sum = -A[i * v.cols + j];
      for (let k = 0; k < s.length; k++) sum += s[k] * u.data[k * u.cols + i] * v.data[k * v.cols + j];
      rebuilt = Math.max(rebuilt, Math.abs(sum));
    }
  }
  let orthonormal = 0;
  for (const { rows, cols, data } of [u, v]) {
    for (let k = 0; k < rows; k++) {
      for (let l = 0; l < rows; l++) {
        let sum = k === l ? -1 : 0;
        for (let p = 0; p < cols; p++) sum += data[k * cols + p] * data[l * cols + p];
        orthonormal = Math.max(orthonormal, Math.abs(sum));
      }
    }
  }
  return { rebuilt, orthonormal };
}

const sizes = fc.record({
  rows: fc.integer({ min: 1, max: 24 }),
  cols: fc.integer({ min: 1, max: 24 }),
  rank: fc.integer({ min: 0, max: 24 }),
  scale: fc.constantFrom(1e-8, 1, 1e8),
  seed: fc.integer({ min: 1, max: 1e6 }),
});

describe("eigenSymmetric", () => {
  test("gives orthonormal vectors that rebuild the matrix, of any rank and scale, values increasing", () => {
    fc.assert(
      fc.property(sizes, ({ rows: d, rank, scale, seed }) => {
        const B = drawn(d, d, rank, scale, seed);
        const A = B.map((_, k) => (B[k] + B[(k % d) * d + Math.floor(k / d)]) / 2);
        const size = A.reduce((most, value) => Math.max(most, Math.abs(value)), Number.MIN_VALUE);
        const { values, vectors } = eigenSymmetric(A, d);
        const { rebuilt, orthonormal } = errors(A, values, vectors, vectors);
        expect(rebuilt / size).toBeLessThan(1e-12);
        expect(orthonormal).toBeLessThan(1e-12);
        for (let k = 1; k < d; k++) expect(values[k]).toBeGreaterThanOrEqual(values[k - 1]);
      }),
      { numRuns: 60 },
    );
  });

  test("finds the eigenvalues 2 - 2 cos(k pi / (d + 1)) of the second difference", () => {
    const d = 60;
    const A = new Float64Array(d * d);
    for (let i = 0; i < d; i++) {
      A[i * d + i] = 2;
      if (i > 0) A[i * d + i - 1] = -1; // the upper half is not read
    }
    const { values } = eigenSymmetric(A, d);
    for (let k = 0; k < d; k++) expect(values[k]).toBeCloseTo(2 - 2 * Math.cos(((k + 1) * Math.PI) / (d + 1)), 12);
  });

  test("ends on what is not finite", () => {
    const { values } = eigenSymmetric(new Float64Array(9).fill(Number.NaN), 3);
    expect(Array.from(values).every(Number.isNaN)).toBe(true);
  });
});

describe("singularVectors", () => {
  test("is a thin decomposition of matrices of any shape, rank and scale", () => {
    fc.assert(
      fc.property(sizes, ({ rows, cols, rank, scale, seed }) => {
        const A = drawn(rows, cols, rank, scale, seed);
        const size = A.reduce((most, value) => Math.max(most, Math.abs(value)), Number.MIN_VALUE);
        const { values, left, right } = singularVectors({ rows, cols, data: A });
        const r = Math.min(rows, cols);
        expect([values.length, left.rows, left.cols, right.rows, right.cols]).toEqual([r, r, rows, r, cols]);
        const { rebuilt, orthonormal } = errors(A, values, left, right);
        expect(rebuilt / size).toBeLessThan(1e-12);
        expect(orthonormal).toBeLessThan(1e-9);
        for (let k = 0; k < r; k++) {
          expect(values[k]).toBeGreaterThanOrEqual(0);
          if (k > 0) expect(values[k]).toBeLessThanOrEqual(values[k - 1]);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe("eigenInPieces", () => {
  test.each([
    ["of full rank", 70, 70],
    ["of rank 3", 64, 3],
    ["of rank 40, an odd size", 97, 40],
    ["zero", 66, 0],
    ["small", 5, 4],
  ])("gives what one piece gives: %s", (_name, d, rank) => {
    for (const scale of [1e-120, 1, 1e120]) {
      const B = drawn(d, d, rank, Math.sqrt(scale), rank + 1);
      const A = new Float64Array(d * d);
      for (let i = 0; i < d; i++) {
        for (let j = 0; j <= i; j++) for (let p = 0; p < d; p++) A[i * d + j] += B[i * d + p] * B[j * d + p];
      }
      const { values, vectors } = atOnce(eigenInPieces(A, d)) as SymmetricEigen;
      const whole = eigenSymmetric(A, d);
      const size = Math.max(Number.MIN_VALUE, whole.values[d - 1]);
      values.forEach((value, k) => void expect(Math.abs(value - whole.values[k]) / size).toBeLessThan(1e-13));
      const full = A.map((_, at) => A[Math.max(Math.floor(at / d), at % d) * d + Math.min(Math.floor(at / d), at % d)]);
      const { rebuilt, orthonormal } = errors(full, values, vectors, vectors);
      expect(rebuilt / size).toBeLessThan(1e-12);
      expect(orthonormal).toBeLessThan(1e-12);
    }
  });

  test("blocks beside one another, equal values, and a diagonal alone are taken apart", () => {
    const d = 72;
    for (const entry of [
      (i: number, j: number) => (i === j ? 2 : 0),
      (i: number, j: number) => (i === j ? i % 3 : 0),
      (i: number, j: number) => (Math.floor(i / 9) === Math.floor(j / 9) ? 1 : 0),
      (i: number, j: number) => (Math.abs(i - j) === 1 ? -1 : i === j ? 2 : 0),
    ]) {
      const A = Float64Array.from({ length: d * d }, (_, at) => entry(Math.floor(at / d), at % d));
      const { values, vectors } = atOnce(eigenInPieces(A, d)) as SymmetricEigen;
      const { rebuilt, orthonormal } = errors(A, values, vectors, vectors);
      expect(Math.max(rebuilt, orthonormal)).toBeLessThan(1e-12);
    }
  });

  test("it ends when it is told to, and says NaN of NaN", async () => {
    const A = drawn(80, 80, 80, 1, 1);
    let pieces = 0;
    expect(await inTurns(eigenInPieces(A, 80), async () => ++pieces > 5)).toBeNull();
    expect(pieces).toBe(6);
    expect(atOnce(eigenInPieces(A.fill(Number.NaN), 80))?.values.every(Number.isNaN)).toBe(true);
  });
});
