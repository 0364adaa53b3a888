import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isActive } from "../../../src/convex/arrangements/bits.js";
import { sampleGates } from "../../../src/convex/arrangements/index.js";
import { ConeProjector } from "../../../src/convex/operators/coneProjection.js";
import { nullspace } from "../../../src/convex/operators/nullspace.js";
import type { GateSet, Matrix } from "../../../src/convex/types.js";
import { projectByDykstra } from "../../helpers/kkt.js";
import { gaussianMatrix, matrixOf } from "../../helpers/problems.js";

const norm = (a: ArrayLike<number>) => Math.sqrt(Array.from(a).reduce((sum, value) => sum + value * value, 0));

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, k) => sum + value * b[k], 0);

/** By how much u is outside the cone of the rows. */
const missed = (rows: readonly number[][], u: ArrayLike<number>) => Math.max(0, ...rows.map((row) => -dot(row, u)));

/** The rows (2 D - 1) x_j of a cone. */
function rowsOf(X: Matrix, gates: GateSet, gate: number): number[][] {
  return Array.from({ length: X.rows }, (_, j) =>
    Array.from(X.data.slice(j * X.cols, (j + 1) * X.cols), (value) => (isActive(gates, gate, j) ? value : -value)),
  );
}

describe("ConeProjector", () => {
  test("agrees with Dykstra's alternating projections, cold and from a remembered face", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9999 }),
        fc.integer({ min: 3, max: 15 }),
        fc.integer({ min: 1, max: 5 }),
        (seed, n, d) => {
          const X = gaussianMatrix(n, d, seed);
          const gates = sampleGates(X, { count: 2, seed });
          const projector = new ConeProjector(X, gates);
          for (const turn of [1, 2, 3]) {
            const z = gaussianMatrix(1, d, seed + turn).data;
            const u = z.slice();
            const { norm: length } = projector.project(0, 0, u, -1);
            const rows = rowsOf(X, gates, 0);
            expect(missed(rows, u)).toBeLessThan(1e-12);
            expect(dot(u, z) - dot(u, u)).toBeCloseTo(0, 11);
            expect(length).toBeCloseTo(norm(u), 12);
            const wanted = projectByDykstra(Array.from(z), rows);
            // In narrow cones Dykstra's projections crawl: then they are no truth to compare with.
            if (missed(rows, wanted) < 1e-11) u.forEach((value, p) => void expect(value).toBeCloseTo(wanted[p], 6));
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test("repeated, opposite and zero rows do no harm", () => {
    const X = matrixOf(6, 3, [1, 0, 0, 1, 0, 0, 0, 0, 0, -2, 0, 0, 0, 1, 1, 0, 1, 1]);
    const gates = sampleGates(X, { count: 3, seed: 1 });
    const projector = new ConeProjector(X, gates);
    for (let gate = 0; gate < gates.count; gate++) {
      const z = gaussianMatrix(1, 3, gate + 5).data;
      const u = z.slice();
      projector.project(gate, gate, u, -1);
      projectByDykstra(Array.from(z), rowsOf(X, gates, gate)).forEach(
        (value, p) => void expect(u[p]).toBeCloseTo(value, 8),
      );
    }
  });

  test("the Gram matrix changes nothing but the time", () => {
    const X = gaussianMatrix(30, 6, 1);
    const gates = sampleGates(X, { count: 5, seed: 1 });
    const gram = new Float64Array(900);
    for (let i = 0; i < 30; i++)
      for (let j = 0; j < 30; j++)
        for (let p = 0; p < 6; p++) gram[i * 30 + j] += X.data[i * 6 + p] * X.data[j * 6 + p];
    const [plain, quick] = [new ConeProjector(X, gates), new ConeProjector(X, gates, gram)];
    for (let gate = 0; gate < 5; gate++) {
      const [a, b] = [gaussianMatrix(1, 6, gate).data, gaussianMatrix(1, 6, gate).data];
      plain.project(gate, gate, a, -1);
      quick.project(gate, gate, b, -1);
      a.forEach((value, p) => void expect(b[p]).toBeCloseTo(value, 10));
    }
  });

  test("an early end is an upper bound of the norm that is below the threshold", () => {
    const X = gaussianMatrix(40, 5, 2);
    const gates = sampleGates(X, { count: 10, seed: 2 });
    const [projector, exact] = [new ConeProjector(X, gates), new ConeProjector(X, gates)];
    for (let gate = 0; gate < 10; gate++) {
      const z = gaussianMatrix(1, 5, 100 + gate).data;
      const { norm: truth } = exact.project(gate, gate, z.slice(), -1);
      const threshold = 0.5 * norm(z);
      const { norm: bound, below } = projector.project(gate, gate, z.slice(), threshold);
      expect(bound).toBeGreaterThanOrEqual(truth - 1e-10);
      expect(below).toBe(bound <= threshold);
      if (truth > threshold) expect(bound).toBeCloseTo(truth, 9);
    }
  });
});

test("nullspace gives orthonormal vectors that the rows do not see", () => {
  const X = gaussianMatrix(8, 5, 3);
  for (const rows of [[], [2], [0, 3, 7], [1, 2, 4, 5, 6]]) {
    const out = new Float64Array(25);
    const count = nullspace(X, Int32Array.from(rows), out);
    expect(count).toBe(5 - rows.length);
    for (let i = 0; i < count; i++) {
      const u = out.slice(i * 5, (i + 1) * 5);
      for (let j = 0; j < count; j++) {
        const product = u.reduce((sum, value, p) => sum + value * out[j * 5 + p], 0);
        expect(product).toBeCloseTo(i === j ? 1 : 0, 12);
      }
      for (const row of rows)
        expect(u.reduce((sum, value, p) => sum + value * X.data[row * 5 + p], 0)).toBeCloseTo(0, 12);
    }
  }
});
