import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { orthogonaliseRows } from "../../../src/convex/linear/eigen/index.js";
import { penalties } from "../../../src/convex/penalties/index.js";
import { rowFactor } from "../../../src/convex/penalties/rowFactor.js";
import { shrinkBlock } from "../../../src/convex/solvers/nuclearShrink.js";
import { gaussianMatrix } from "../../helpers/problems.js";

const sizes = fc.record({
  C: fc.integer({ min: 1, max: 5 }),
  d: fc.integer({ min: 1, max: 7 }),
  seed: fc.integer({ min: 1, max: 9999 }),
});
const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, k) => sum + value * b[k], 0);

const norms = [penalties.perOutput, penalties.nuclear];

describe.each(norms)("$name", (penalty) => {
  test("its prox is optimal: what was taken off is a subgradient", () => {
    fc.assert(
      fc.property(sizes, fc.double({ min: 0.01, max: 3, noNaN: true }), ({ C, d, seed }, threshold) => {
        const Z = gaussianMatrix(C, d, seed).data;
        const U = Z.slice();
        const value = penalty.prox(U, C, d, threshold);
        const G = Z.map((entry, k) => (entry - U[k]) / threshold);
        expect(value).toBeCloseTo(penalty.value(U, C, d), 10);
        expect(penalty.dualNorm(G, C, d)).toBeLessThanOrEqual(1 + 1e-10);
        expect(dot(G, U)).toBeCloseTo(value, 9);
      }),
    );
  });

  test("its prox brings no two blocks further apart", () => {
    fc.assert(
      fc.property(sizes, fc.double({ min: 0.01, max: 3, noNaN: true }), ({ C, d, seed }, threshold) => {
        const [A, B] = [gaussianMatrix(C, d, seed).data, gaussianMatrix(C, d, seed + 1).data];
        const before = Math.hypot(...A.map((value, k) => value - B[k]));
        penalty.prox(A, C, d, threshold);
        penalty.prox(B, C, d, threshold);
        expect(Math.hypot(...A.map((value, k) => value - B[k]))).toBeLessThanOrEqual(before * (1 + 1e-12));
      }),
    );
  });

  test("its dual norm bounds every product, and some product attains it", () => {
    fc.assert(
      fc.property(sizes, ({ C, d, seed }) => {
        const [U, G] = [gaussianMatrix(C, d, seed).data, gaussianMatrix(C, d, seed + 1).data];
        const bound = penalty.dualNorm(G, C, d);
        expect(dot(U, G)).toBeLessThanOrEqual(penalty.value(U, C, d) * bound * (1 + 1e-12));
        // The prox just below the dual norm leaves the direction in which it is attained.
        const top = G.slice();
        const value = penalty.prox(top, C, d, bound * (1 - 1e-9));
        expect(dot(top, G)).toBeCloseTo(value * bound, 12);
      }),
    );
  });

  test("a block of zeros stays", () => {
    const Z = new Float64Array(6);
    expect(penalty.prox(Z, 2, 3, 0.5)).toBe(0);
    expect(Z).toEqual(new Float64Array(6));
    expect(penalty.dualNorm(Z, 2, 3)).toBe(0);
  });
});

test("with one output both are the Euclidean norm", () => {
  const Z = Float64Array.of(3, 4);
  for (const penalty of norms) {
    expect(penalty.value(Z, 1, 2)).toBeCloseTo(5, 14);
    expect(penalty.dualNorm(Z, 1, 2)).toBeCloseTo(5, 14);
  }
});

test("the squared length shrinks every vector by one factor", () => {
  const Z = Float64Array.of(3, 4);
  expect(penalties.ridge.value(Z, 1, 2)).toBe(12.5);
  expect(penalties.ridge.prox(Z, 1, 2, 1)).toBe(3.125);
  expect(Z).toEqual(Float64Array.of(1.5, 2));
});

test("the nuclear norm of known matrices", () => {
  const value = (rows: number[][]) =>
    penalties.nuclear.value(Float64Array.from(rows.flat()), rows.length, rows[0].length);
  expect(
    value([
      [3, 0],
      [0, -2],
    ]),
  ).toBeCloseTo(5, 14);
  expect(
    value([
      [1, 1],
      [1, 1],
    ]),
  ).toBeCloseTo(2, 14);
  expect(value([[1, 2, 3]])).toBeCloseTo(Math.sqrt(14), 14);
  expect(value([[1], [2], [2]])).toBeCloseTo(3, 14);
});

test("a block of rank one has one singular value, and its prox shortens it", () => {
  fc.assert(
    fc.property(sizes, ({ C, d, seed }) => {
      const [u, v] = [gaussianMatrix(1, C, seed).data, gaussianMatrix(1, d, seed + 1).data];
      const block = Float64Array.from({ length: C * d }, (_, k) => u[Math.floor(k / d)] * v[k % d]);
      const length = Math.hypot(...u) * Math.hypot(...v);
      const { nuclear } = penalties;
      expect(Math.abs(nuclear.value(block, C, d) / length - 1)).toBeLessThan(1e-13);
      expect(Math.abs(nuclear.dualNorm(block, C, d) / length - 1)).toBeLessThan(1e-13);
      const left = block.slice();
      expect(Math.abs(nuclear.prox(left, C, d, length / 4) / length - 0.75)).toBeLessThan(1e-13);
      for (let k = 0; k < block.length; k++) expect(Math.abs(left[k] - 0.75 * block[k])).toBeLessThan(1e-13 * length);
      expect(nuclear.prox(block, C, d, length * (1 + 1e-12))).toBe(0);
    }),
  );
});

test("one-sided Jacobi gives orthogonal rows and an orthogonal U with B = U rows, also at rank 1 and tiny scales", () => {
  for (const scale of [1, 1e-150]) {
    const B = gaussianMatrix(4, 6, 2).data.map((value) => scale * value);
    B.copyWithin(6, 0, 6); // a repeated row
    const rows = B.slice();
    const U = new Float64Array(16);
    const values = orthogonaliseRows(rows, 4, 6, U);
    for (let i = 0; i < 4; i++) {
      for (let j = 0; j < 4; j++) {
        let column = 0;
        let row = 0;
        for (let k = 0; k < 4; k++) column += U[k * 4 + i] * U[k * 4 + j];
        for (let p = 0; p < 6; p++) row += rows[i * 6 + p] * rows[j * 6 + p];
        expect(column).toBeCloseTo(i === j ? 1 : 0, 12);
        if (i !== j) expect(Math.abs(row)).toBeLessThan(1e-12 * Math.max(...values) ** 2 + Number.MIN_VALUE);
      }
      for (let p = 0; p < 6; p++) {
        let sum = 0;
        for (let k = 0; k < 4; k++) sum += U[i * 4 + k] * rows[k * 6 + p];
        expect(sum / scale).toBeCloseTo(B[i * 6 + p] / scale, 12);
      }
    }
  }
});

test.each([
  [4, 6, 1],
  [4, 4, 1e-150],
  [1, 3, 1e150],
])(
  "reflections give L and orthonormal rows of Q with B = L Q, also with a repeated row and a zero row (%i x %i, scale %f)",
  (r, w, scale) => {
    const B = gaussianMatrix(r, w, 5).data.map((value) => scale * value);
    if (r > 2) B.copyWithin(w, 0, w).fill(0, 2 * w, 3 * w);
    const { lower, timesQ } = rowFactor(B.slice(), r, w);
    for (let i = 0; i < r; i++) {
      for (let j = i + 1; j < r; j++) expect(lower[i * r + j]).toBe(0);
      const row = timesQ(lower.subarray(i * r, (i + 1) * r));
      for (let p = 0; p < w; p++) expect(row[p] / scale).toBeCloseTo(B[i * w + p] / scale, 13);
      const [left, norm] = [
        timesQ(Float64Array.from({ length: r }, (_, k) => Number(k === i))),
        (a: number, b: number) => a + b * b,
      ];
      expect(left.reduce(norm, 0)).toBeCloseTo(1, 13);
    }
  },
);

test("the derivative of singular value shrinkage agrees with differences, wide and tall", () => {
  for (const [C, d] of [
    [3, 5],
    [5, 3],
    [2, 2],
    [1, 4],
  ]) {
    const Z = gaussianMatrix(C, d, 3).data;
    const H = gaussianMatrix(C, d, 4).data;
    const threshold = 0.7;
    const at = (t: number) => {
      const moved = Z.map((value, k) => value + t * H[k]);
      penalties.nuclear.prox(moved, C, d, threshold);
      return moved;
    };
    const [above, below] = [at(1e-6), at(-1e-6)];
    const shrunk = shrinkBlock(Z.slice(), C, d, threshold);
    const out = new Float64Array(C * d);
    shrunk?.derivative(H, out);
    out.forEach((value, k) => void expect(value).toBeCloseTo((above[k] - below[k]) / 2e-6, 6));
    shrunk?.result.forEach((value, k) => void expect(value).toBeCloseTo(at(0)[k], 12));
  }
});
