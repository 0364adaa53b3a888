import fc from "fast-check";
import { expect, test } from "vitest";
import {
  eigenSymmetric,
  eigenvaluesOf,
  stepped,
  tridiagonalise,
  turnedBy,
} from "../../../../src/convex/linear/eigen/index.js";
import { atOnce } from "../../../../src/convex/linear/pieces.js";
import { gaussianSource } from "../../../../src/convex/linear/random.js";

const matrices = fc.record({
  n: fc.integer({ min: 1, max: 40 }),
  rank: fc.integer({ min: 0, max: 40 }),
  exponent: fc.integer({ min: -100, max: 100 }), // of ten, the size
  repeated: fc.boolean(), // eigenvalues 1 and -1 alone
  seed: fc.nat(10_000),
});

/** B S B' with signs S, or a reflection times the size: symmetric, of any rank. */
function drawn({ n, rank, exponent, repeated, seed }: Parameters<Parameters<typeof matrices.map>[0]>[0]): Float64Array {
  const draw = gaussianSource(seed);
  const B = Array.from({ length: Math.max(1, rank) }, () => Float64Array.from({ length: n }, draw));
  const size = 10 ** exponent;
  const A = new Float64Array(n * n);
  const length = B[0].reduce((sum, value) => sum + value * value, 0);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      if (repeated) sum = Number(i === j) - (2 * B[0][i] * B[0][j]) / length;
      else for (let k = 0; k < rank; k++) sum += (k % 3 === 0 ? -1 : 1) * B[k][i] * B[k][j];
      A[i * n + j] = size * sum;
    }
  }
  return A;
}

const largest = (values: Float64Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

test("the eigenvalues are those of the decomposition with vectors, whatever rank, size and repetition", () => {
  fc.assert(
    fc.property(matrices, (wish) => {
      const A = drawn(wish);
      const values = atOnce(eigenvaluesOf(atOnce(tridiagonalise(A, wish.n))));
      const wanted = eigenSymmetric(A, wish.n).values;
      values.forEach((value, k) => {
        expect(Math.abs(value - wanted[k])).toBeLessThanOrEqual(1e-13 * largest(wanted));
      });
    }),
    { numRuns: 60, seed: 1 },
  );
});

test("steps by the tridiagonal form have the lengths of steps by the matrix", () => {
  fc.assert(
    fc.property(matrices, (wish) => {
      const { n } = wish;
      const A = drawn(wish);
      const form = atOnce(tridiagonalise(A, n));
      const step = 0.4 / (largest(A) || 1);
      let r = Float64Array.from({ length: n }, gaussianSource(wish.seed + 1));
      let turned = turnedBy(form, r);
      const length = (v: Float64Array) => Math.sqrt(v.reduce((sum, value) => sum + value * value, 0));
      for (let k = 0; k < 5; k++) {
        expect(Math.abs(length(turned) - length(r))).toBeLessThanOrEqual(1e-12 * length(r));
        const before = r;
        r = r.map((value, i) => value - step * before.reduce((sum, other, j) => sum + A[i * n + j] * other, 0));
        turned = stepped(form, step, turned);
      }
    }),
    { numRuns: 30, seed: 2 },
  );
});

test("the work is a piece a column, so that the host has its turns", () => {
  const pieces = tridiagonalise(
    Float64Array.from({ length: 900 }, (_, k) => 1 / (1 + Math.floor(k / 30) + (k % 30))),
    30,
  );
  let turns = 0;
  while (!pieces.next().done) turns++;
  expect(turns).toBe(29);
});
