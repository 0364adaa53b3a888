import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { referenceKernels } from "../../src/convex/kernels/index.js";
import { atOnce } from "../../src/convex/linear/pieces.js";
import { bindLoss } from "../../src/convex/losses/index.js";
import { independent } from "../../src/convex/operators/independent.js";
import { lossBeside } from "../../src/optimizers/pose/skip.js";
import type { NetworkSpec } from "../../src/optimizers/read/model.js";
import { gaussianMatrix } from "../helpers/problems.js";

const N = 30;
const seeds = fc.integer({ min: 1, max: 1000 });
/** Columns as rows [m x N]: Gaussian ones, and a copy, a sum, a zero one, a multiple and one that is off another by `off`. */
function columnsOf(seed: number, off: number): { readonly columns: Float64Array; readonly count: number } {
  const own = gaussianMatrix(5, N, seed).data;
  const row = (k: number) => own.subarray(k * N, (k + 1) * N);
  const rows = [
    ...[0, 1, 2, 3].map(row),
    row(0),
    row(1).map((value, j) => value + row(2)[j]),
    new Float64Array(N),
    row(3).map((value) => 1e-9 * value),
    row(2).map((value, j) => value + off * row(4)[j]),
  ];
  const columns = new Float64Array(rows.length * N);
  rows.forEach((values, k) => {
    columns.set(values, k * N);
  });
  return { columns, count: rows.length };
}

describe("free columns of a linear layer beside the hidden one", () => {
  test.each([
    [1, 5],
    [1e-2, 5],
    [1e-5, 5],
    [1e-8, 5],
    [1e-13, 4],
  ])(
    "become orthogonal ones of the same span, and one that is off the others by %f is seen where numbers can tell",
    (off, rank) => {
      fc.assert(
        fc.property(seeds, (seed) => {
          const { columns, count } = columnsOf(seed, off);
          const { vectors, turn, count: k } = atOnce(independent(columns, count, N, referenceKernels));
          expect(k).toBe(rank);
          const at = (p: number, j: number) => vectors[p * N + j];
          for (let p = 0; p < k; p++) {
            for (let q = 0; q <= p; q++) {
              let sum = 0;
              for (let j = 0; j < N; j++) sum += at(p, j) * at(q, j);
              expect(sum / N).toBeCloseTo(p === q ? 1 : 0, 12);
            }
            for (let j = 0; j < N; j++) {
              let sum = 0;
              for (let c = 0; c < count; c++) sum += turn[p * count + c] * columns[c * N + j];
              expect(Math.abs(sum - at(p, j))).toBeLessThan(1e-13 / off + 1e-11);
            }
          }
          for (let c = 0; c < count; c++) {
            const rest = columns.slice(c * N, (c + 1) * N);
            const length = Math.hypot(...rest);
            for (let p = 0; p < k; p++) {
              let share = 0;
              for (let j = 0; j < N; j++) share += (at(p, j) * rest[j]) / N;
              for (let j = 0; j < N; j++) rest[j] -= share * at(p, j);
            }
            expect(Math.hypot(...rest)).toBeLessThanOrEqual(1e-9 * length);
          }
        }),
        { numRuns: 10 },
      );
    },
  );

  test("take pauses where they are many, and a stop in one is refused by name", () => {
    const [n, d] = [600, 500];
    const X = gaussianMatrix(n, d, 1);
    const loss = bindLoss("meanSquaredError", gaussianMatrix(n, 1, 2));
    const spec = { skip: { l2: 0 }, outputBias: true, l2: { outputBias: 0 } } as unknown as NetworkSpec;
    const work = lossBeside(loss, spec, X, null, referenceKernels);
    expect(work.next(false).done).toBe(false);
    expect(() => work.next(true)).toThrow(/timeLimit or a signal that ended it before.*Raise timeLimit/);
    const few = lossBeside(
      bindLoss("meanSquaredError", gaussianMatrix(9, 1, 2)),
      spec,
      gaussianMatrix(9, 3, 1),
      null,
      referenceKernels,
    );
    expect(few.next(false).done).toBe(true);
  });

  test("are no reason to refuse where the layer is charged: a free bias is, which fits the targets of one row alone", () => {
    const spec = { skip: { l2: 0.1 }, outputBias: true, l2: { outputBias: 0 } } as unknown as NetworkSpec;
    const loss = bindLoss("meanSquaredError", gaussianMatrix(1, 1, 2));
    const work = lossBeside(loss, spec, gaussianMatrix(1, 3, 1), null, referenceKernels);
    expect(() => work.next(false)).toThrow(/biasRegularizer.*a free output bias on 1 row fits any targets/);
  });
});
