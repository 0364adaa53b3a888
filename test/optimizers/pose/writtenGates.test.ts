import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { roundedAsWritten } from "../../../src/convex/network.js";
import type { Matrix } from "../../../src/convex/types.js";
import { clearOfRows } from "../../../src/optimizers/pose/writtenGates.js";
import { matrixOf } from "../../helpers/problems.js";

const T = 0.915; // that stands in every row for the bias
const written = (gate: Float64Array) => roundedAsWritten(gate, T);

function products({ rows, cols: d, data }: Matrix, gate: Float64Array): number[] {
  return Array.from({ length: rows }, (_, k) => {
    let sum = Math.fround(gate[d - 1] * T);
    for (let p = 0; p < d - 1; p++) sum += data[k * d + p] * gate[p];
    return sum;
  });
}

/** Rows of small whole numbers and T, and a gate whose boundary goes through the first of them. */
const problems = fc
  .tuple(
    fc.array(fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -3, max: 3 })), {
      minLength: 1,
      maxLength: 12,
    }),
    fc.tuple(fc.integer({ min: -4, max: 4 }), fc.integer({ min: 1, max: 4 })),
  )
  .map(([points, [a, b]]) => ({
    X: matrixOf(
      points.length,
      3,
      points.flatMap(([u, v]) => [u, v, T]),
    ),
    gate: Float64Array.of(a, b, -(a * points[0][0] + b * points[0][1]) / T),
  }));

describe("gates whose boundary goes through rows", () => {
  test("keep their pattern, with every row on a side that float32 cannot mistake", () => {
    fc.assert(
      fc.property(problems, ({ X, gate }) => {
        const before = products(X, gate); // exact: whole numbers
        const after = products(X, clearOfRows(X, gate, T, true, written));
        expect(after.map((value) => value >= 0)).toEqual(before.map((value) => value >= 0));
        for (const value of after) expect(Math.abs(value)).toBeGreaterThan(1e-3);
      }),
    );
  });

  test("are as they were once they are clear of all rows", () => {
    fc.assert(
      fc.property(problems, ({ X, gate }) => {
        const once = clearOfRows(X, gate, T, true, written);
        expect(clearOfRows(X, once, T, true, written)).toEqual(once);
      }),
    );
  });

  test("take in rows that only rounding holds apart, where rows have been turned", () => {
    const X = matrixOf(3, 2, [1, T, 1 - 2 ** -50, T, -1, T]);
    const torn = Float64Array.of(1, -1 / T);
    const on = (turned: boolean) => products(X, clearOfRows(X, torn, T, turned, written)).map((value) => value >= 0);
    expect(on(true)).toEqual([true, true, false]);
    expect(on(false)).toEqual([true, false, false]);
  });

  test("have nothing to move without a bias", () => {
    const X = matrixOf(2, 2, [1, -1, 1, 1]);
    expect(clearOfRows(X, Float64Array.of(1, 1), 0, true, (gate) => gate)).toEqual(Float64Array.of(1, 1));
  });
});
