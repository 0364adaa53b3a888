import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { referenceKernels } from "../../../../src/convex/kernels/index.js";
import { atOnce, inTurns } from "../../../../src/convex/linear/pieces.js";
import { norm } from "../../../../src/convex/linear/vectors.js";
import {
  findingSpan,
  leadingAxes,
  lessMean,
  meanOf,
  ROUNDING,
  type RowSpace,
  reducedRows,
  rowSpaceOf,
  rowsInAxes,
} from "../../../../src/convex/operators/axes/index.js";
import type { Matrix } from "../../../../src/convex/types.js";
import { gaussianMatrix, matrixOf } from "../../../helpers/problems.js";

/** n rows of a given rank, column p times scale(p), plus an offset. */
function rowsOf(n: number, d: number, rank: number, scale: (p: number) => number, offset = 0, seed = 1): Matrix {
  const [A, B] = [gaussianMatrix(n, rank, seed), gaussianMatrix(rank, d, seed + 1)];
  const data = new Float64Array(n * d).fill(offset);
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < rank; i++) {
      for (let p = 0; p < d; p++) data[k * d + p] += A.data[k * rank + i] * scale(i) * B.data[i * d + p];
    }
  }
  return matrixOf(n, d, data);
}

/** The same with its first column so many times as large. */
function withLarge({ rows, cols, data }: Matrix, times: number): Matrix {
  return matrixOf(
    rows,
    cols,
    data.map((value, at) => (at % cols === 0 ? times * value : value)),
  );
}

/** The largest entry of V'V - I. */
function offOrthonormal({ rows: d, cols: r, data }: Matrix): number {
  let most = 0;
  for (let i = 0; i < r; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = i === j ? -1 : 0;
      for (let p = 0; p < d; p++) sum += data[p * r + i] * data[p * r + j];
      most = Math.max(most, Math.abs(sum));
    }
  }
  return most;
}

/** The Frobenius norm of X - mean - (X - mean) V V'. */
function leftBy(X: Matrix, space: RowSpace): number {
  const { basis, mean } = space;
  const inside = reducedRows(X, space);
  let square = 0;
  for (let k = 0; k < X.rows; k++) {
    for (let p = 0; p < X.cols; p++) {
      let value = X.data[k * X.cols + p] - (mean?.[p] ?? 0);
      for (let i = 0; i < basis.cols; i++) value -= inside.data[k * basis.cols + i] * basis.data[p * basis.cols + i];
      square += value * value;
    }
  }
  return Math.sqrt(square);
}

describe("findingSpan", () => {
  test("an orthonormal basis of as many axes as the rank, and what it leaves is its tail", () => {
    const sizes = fc.record({
      n: fc.integer({ min: 1, max: 60 }),
      d: fc.integer({ min: 1, max: 60 }),
      rank: fc.integer({ min: 0, max: 60 }),
      decay: fc.constantFrom(1, 0.7),
      seed: fc.integer({ min: 1, max: 1e6 }),
    });
    fc.assert(
      fc.property(sizes, ({ n, d, rank, decay, seed }) => {
        const X = rowsOf(n, d, rank, (i) => decay ** i, 0, seed);
        const space = atOnce(findingSpan(X, 2 ** -45, referenceKernels)) as RowSpace;
        expect(space.basis.cols).toBe(Math.min(n, d, rank));
        expect(offOrthonormal(space.basis)).toBeLessThan(1e-13);
        const left = leftBy(X, space);
        expect(left).toBeLessThanOrEqual(space.tail + 1e-14 * space.largest);
      }),
      {
        numRuns: 60,
        // Rows that came before longer ones, and handed their rounding on as one axis more.
        examples: [
          [{ n: 57, d: 57, rank: 8, decay: 1, seed: 1084 }],
          [{ n: 60, d: 30, rank: 18, decay: 0.7, seed: 121 }],
          [{ n: 14, d: 44, rank: 11, decay: 0.7, seed: 3107 }],
          [{ n: 30, d: 60, rank: 29, decay: 0.7, seed: 5851 }],
        ],
      },
    );
  });

  test("it ends when it is told to", async () => {
    expect(
      await inTurns(findingSpan(gaussianMatrix(50, 90, 1), ROUNDING, referenceKernels), async () => true),
    ).toBeNull();
  });
});

describe("leadingAxes", () => {
  const shapes: readonly [string, Matrix, number][] = [
    ["few columns", rowsOf(60, 12, 12, () => 1, 3), 4],
    ["more columns than rows", rowsOf(40, 90, 40, () => 1, 3), 7],
    ["a long flat spectrum", rowsOf(400, 180, 180, () => 1, 3), 10],
    ["a spectrum that falls", rowsOf(300, 180, 180, (i) => 1 / (1 + i), 3), 10],
    ["a spectrum that falls fast", rowsOf(300, 180, 60, (i) => 10 ** (-i / 6), 3), 10],
    [
      "one column that is far larger",
      withLarge(
        rowsOf(400, 180, 180, () => 1, 3),
        1e5,
      ),
      10,
    ],
    [
      "two scales",
      withLarge(
        rowsOf(400, 180, 180, (i) => (i < 4 ? 1e3 : 1), 3),
        10,
      ),
      10,
    ],
    ["a rank below what is asked for", rowsOf(300, 180, 5, () => 1, 3), 10],
    ["many rows that are few beside their columns", rowsOf(180, 400, 180, (i) => 0.98 ** i, 3), 10],
  ];

  test.each(shapes)("what a singular value decomposition gives: %s", (_name, X, rank) => {
    const mean = meanOf(X);
    const truth = { ...rowSpaceOf(lessMean(X, mean), rank), mean };
    const space = atOnce(leadingAxes(X, rank, true, referenceKernels));
    expect(space.share).toBeNull();
    expect(space.basis.cols).toBe(truth.basis.cols);
    expect(space.largest / truth.largest).toBeCloseTo(1, 10);
    expect(offOrthonormal(space.basis)).toBeLessThan(1e-12);
    // The same span, whatever the signs: the best of that dimension.
    expect(leftBy(X, space) - leftBy(X, truth)).toBeLessThan(1e-7 * leftBy(X, truth) + 1e-13 * truth.largest);
    expect(space.tail).toBeGreaterThanOrEqual(leftBy(X, space) * (1 - 1e-9));
    const rows = atOnce(rowsInAxes(X, space, referenceKernels));
    reducedRows(X, space).data.forEach((value, at) => void expect(rows.data[at]).toBeCloseTo(value, 9));
  });

  test.each([
    [400, 200, 1],
    [400, 200, 3],
    [400, 200, 8],
    [3200, 150, 4], // the Gram matrix has seen some of the rows
    [150, 300, 1],
  ])("%i x %i, told to end after %i pieces: orthonormal axes, which say what they hold", async (n, d, pieces) => {
    const X = rowsOf(n, d, 20, (i) => 0.9 ** i, 3);
    let count = 0;
    const space = await inTurns(leadingAxes(X, 10, true, referenceKernels), async () => ++count >= pieces);
    expect(space.basis.cols).toBe(10);
    expect(offOrthonormal(space.basis)).toBeLessThan(1e-12);
    expect(space.tail).toBeGreaterThanOrEqual(leftBy(X, space) * (1 - 1e-9));
    const whole = norm(X.data.map((value, at) => value - (space.mean?.[at % d] ?? 0)));
    expect(space.share).toBeCloseTo(1 - (leftBy(X, space) / whole) ** 2, 9);
    expect(space.share).toBeGreaterThan(0.3); // ten random axes hold far less
    expect(space.largest).toBeGreaterThanOrEqual(rowSpaceOf(lessMean(X, meanOf(X)), 1).largest * (1 - 1e-12));
  });
});
