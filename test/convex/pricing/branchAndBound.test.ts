import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { enumerateGates, gatesFrom } from "../../../src/convex/arrangements/index.js";
import { GapJudge } from "../../../src/convex/certificate/index.js";
import { solveGrowing } from "../../../src/convex/growth/grow.js";
import { bindProducts, referenceKernels } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { GatePricer } from "../../../src/convex/pricing/allGates.js";
import { branchAndBound } from "../../../src/convex/pricing/branchAndBound.js";
import { boundCone, coneOf, type WeightedRows } from "../../../src/convex/pricing/coneBound.js";
import { solve } from "../../../src/convex/solvers/solve.js";
import type { ConvexProgram } from "../../../src/convex/types.js";
import { type Pool, randomConvProgram } from "../../helpers/convProblems.js";
import { gaussianMatrix, matrixOf, randomProgram } from "../../helpers/problems.js";

const pause = async () => false;

/** sum_i w_i (x_i' u)_+ by its definition, u of any length above zero. */
function worth({ rows, weights, width: r }: WeightedRows, u: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    let product = 0;
    for (let p = 0; p < r; p++) product += rows[i * r + p] * u[p];
    sum += weights[i] * Math.max(0, product);
  }
  return sum / Math.hypot(...Array.from(u));
}

/** The dearest gate by projections onto the cones of every arrangement. */
function dearestOfAll(program: ConvexProgram, N: Float64Array): number {
  const all = { ...program, gates: enumerateGates(program.X) };
  const products = bindProducts(all, referenceKernels);
  const { largest } = new GapJudge(all, products).price(N, 0);
  products.dispose();
  return largest;
}

const seeds = fc.integer({ min: 1, max: 9999 });

describe("boundCone", () => {
  test("no vector of the cone is worth more than the bound, and one is worth what it says was found", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 2, max: 4 }), fc.constantFrom(0.05, 0.5, 2), (seed, r, spread) => {
        const weighted = {
          rows: gaussianMatrix(20, r, seed).data,
          weights: gaussianMatrix(20, 1, seed + 1).data,
          width: r,
        };
        const draw = gaussianSource(seed + 2);
        const middle = Float64Array.from({ length: r }, draw);
        const vertices = Float64Array.from({ length: r * r }, (_, k) => middle[k % r] + spread * draw());
        for (let k = 0; k < r; k++) {
          const length = Math.hypot(...vertices.subarray(k * r, (k + 1) * r));
          for (let p = 0; p < r; p++) vertices[k * r + p] /= length;
        }
        const all = Int32Array.from({ length: 20 }, (_, i) => i);
        const cone = coneOf(weighted, vertices, inverseOf(vertices, r), all, new Float64Array(r));
        const { upper, lower, direction } = boundCone(weighted, cone, 0);
        expect(worth(weighted, direction)).toBeCloseTo(lower, 8);
        expect(lower).toBeLessThanOrEqual(upper * (1 + 1e-9) + 1e-12);
        for (let k = 0; k < 100; k++) {
          const u = new Float64Array(r);
          for (let j = 0; j < r; j++) {
            const lambda = Math.abs(draw()) ** 3;
            for (let p = 0; p < r; p++) u[p] += lambda * vertices[j * r + p];
          }
          expect(worth(weighted, u)).toBeLessThanOrEqual(upper * (1 + 1e-9) + 1e-12);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe("branchAndBound", () => {
  test("ends at the dearest gate that projections onto all cones find", async () => {
    await fc.assert(
      fc.asyncProperty(seeds, fc.integer({ min: 2, max: 4 }), async (seed, r) => {
        const program = randomProgram({ rows: r === 4 ? 9 : 14, features: r, cones: true, seed });
        const N = gaussianMatrix(program.X.rows, 1, seed + 1).data;
        const dearest = dearestOfAll(program, N);
        const functions = [-1, 1].map((sign) => ({
          rows: program.X.data,
          weights: N.map((value) => sign * value),
          width: r,
        }));
        const { upper, best, finished } = await branchAndBound(functions, {
          cones: 100_000,
          tolerance: 1e-6,
          floor: 0,
          pause,
        });
        expect(finished).toBe(true);
        expect(upper).toBeGreaterThanOrEqual(dearest * (1 - 1e-9));
        expect(best.value).toBeLessThanOrEqual(dearest * (1 + 1e-9));
        expect(upper).toBeLessThanOrEqual(best.value * (1 + 1e-6) * (1 + 1e-9));
        expect(worth(functions[best.index], best.direction)).toBeCloseTo(best.value, 9);
      }),
      { numRuns: 25 },
    );
  });

  test("when the cones or the time run out the bound still holds, and more cones never loosen it", async () => {
    const program = randomProgram({ rows: 12, features: 4, cones: true, seed: 3 });
    const N = gaussianMatrix(12, 1, 4).data;
    const dearest = dearestOfAll(program, N);
    const functions = [-1, 1].map((sign) => ({
      rows: program.X.data,
      weights: N.map((value) => sign * value),
      width: 4,
    }));
    let before = Number.POSITIVE_INFINITY;
    for (const cones of [1, 36, 44, 60]) {
      const { upper, finished } = await branchAndBound(functions, { cones, tolerance: 1e-9, floor: 0, pause });
      expect(finished).toBe(false);
      expect(upper).toBeGreaterThanOrEqual(dearest);
      expect(upper).toBeLessThanOrEqual(before);
      before = upper;
    }
    const hurried = await branchAndBound(functions, {
      cones: 1e6,
      tolerance: 1e-9,
      floor: 0,
      pause: async () => true,
    });
    expect(hurried.finished).toBe(false);
    expect(hurried.upper).toBeGreaterThanOrEqual(dearest);
    const wide = { rows: gaussianMatrix(12, 7, 5).data, weights: N, width: 7 };
    const uncovered = await branchAndBound([wide], { cones: 1e6, tolerance: 1e-9, floor: 0, pause: async () => true });
    expect(uncovered).toMatchObject({ upper: Number.POSITIVE_INFINITY, finished: false, cones: 64 });
  });

  test("weights of one sign need no cut: a sum of convex functions is largest on a ray, one of concave ones nowhere", async () => {
    const rows = Float64Array.of(1, 0, 0, 1);
    const convex = { rows, weights: Float64Array.of(3, 4), width: 2 };
    const concave = { rows, weights: Float64Array.of(-3, -4), width: 2 };
    const budget = { cones: 1000, tolerance: 1e-9, floor: 0, pause };
    expect((await branchAndBound([convex], budget)).upper).toBeCloseTo(5, 8);
    expect((await branchAndBound([concave], { ...budget, floor: 1 })).upper).toBeLessThanOrEqual(1);
  });
});

describe("GatePricer", () => {
  test.each([null, 0, 0.1])("its dual bound lies below the optimum over all arrangements (ridge %s)", async (ridge) => {
    const program = randomProgram({ rows: 12, features: 3, gates: 4, cones: true, ridge, loss: "huberLoss" });
    const over = (gates: ConvexProgram["gates"]) =>
      solve({ ...program, gates }, referenceKernels, { tolerance: 1e-8, maxIterations: 1000, seconds: 20 });
    const few = await over(program.gates);
    const all = await over(enumerateGates(program.X));
    const pricer = new GatePricer(program);
    const budget = { cones: 100_000, tolerance: 1e-7, pause };
    const loose = (await pricer.bound(few.dualPoint, few.gap.primal, budget)).bound;
    expect(loose.ratio).toBeGreaterThan(1.01);
    expect(loose.dual).toBeLessThan(all.gap.primal);
    const { bound, dear } = await pricer.bound(all.dualPoint, all.gap.primal, budget);
    expect(dear).toEqual([]);
    expect(bound.ratio).toBeCloseTo(1, 5);
    expect(bound.dual).toBeLessThanOrEqual(all.gap.primal);
    expect(bound.dual / all.gap.primal).toBeCloseTo(1, 5);
  });

  test("data of rank 2 in five dimensions are priced in the plane, with directions in all five", async () => {
    const [A, B] = [gaussianMatrix(15, 2, 1), gaussianMatrix(2, 5, 2)];
    const X = new Float64Array(75);
    referenceKernels.multiply(A.data, B.data, X, 15, 2, 5);
    const program = { ...randomProgram({ rows: 15, features: 5, cones: true }), X: matrixOf(15, 5, X) };
    const N = gaussianMatrix(15, 1, 3).data;
    const { bound, dear } = await new GatePricer(program).bound(N, 1, { cones: 10_000, tolerance: 1e-6, pause });
    const dearest = dearestOfAll(program, N);
    expect((bound.ratio * program.beta) / dearest).toBeCloseTo(1, 5);
    expect(bound.cones).toBeLessThan(500);
    const { direction, sign, value } = dear.reduce((best, gate) => (gate.value > best.value ? gate : best));
    expect(worth({ rows: X, weights: N.map((v) => -sign * v), width: 5 }, direction)).toBeCloseTo(value, 9);
    expect(value / dearest).toBeCloseTo(1, 5);
  });

  test.each<Pool>(["sum", "mean", "flatten", "windows"])(
    "over patches no direction is worth more at any position and output (%s)",
    async (pool) => {
      const program = randomConvProgram({ pool, cones: true, outputs: 2, samples: 8, patches: 6, features: 2 });
      const { X, loss, pooling, beta } = program;
      const { patches: K, positions: A, scale } = pooling ?? { patches: 1, positions: 1, scale: 1 };
      const N = gaussianMatrix(loss.rows, 2, 5).data;
      const { bound } = await new GatePricer(program).bound(N, 1, { cones: 10_000, tolerance: 1e-6, pause });
      expect(bound.finished).toBe(true);
      let most = 0;
      for (let step = 0; step < 2000; step++) {
        const angle = (2 * Math.PI * step) / 2000;
        const worths = new Float64Array(A * 2);
        for (let row = 0; row < X.rows; row++) {
          const z = X.data[2 * row] * Math.cos(angle) + X.data[2 * row + 1] * Math.sin(angle);
          const [sample, position] = [Math.floor(row / K), (row % K) % A];
          for (let c = 0; c < 2; c++) worths[position * 2 + c] += scale * N[sample * 2 + c] * Math.max(0, z);
        }
        most = worths.reduce((largest, value) => Math.max(largest, Math.abs(value)), most);
      }
      expect((bound.ratio * beta) / most).toBeGreaterThanOrEqual(1 - 1e-9);
      expect((bound.ratio * beta) / most).toBeLessThan(1 + 1e-4);
    },
  );

  test("in many dimensions singular values bound all gates: loosely in general, closely where rows are orthogonal", async () => {
    const budget = { cones: 1000, tolerance: 1e-3, pause };
    const program = randomProgram({ rows: 15, features: 20, gates: 10, cones: true, beta: 0.05 });
    const solved = await solve(program, referenceKernels, { tolerance: 1e-6, maxIterations: 1000, seconds: 20 });
    const loose = (await new GatePricer(program).bound(solved.dualPoint, solved.gap.primal, budget)).bound;
    expect(loose.finished).toBe(false);
    expect(loose.cones).toBe(0);
    expect(loose.dual).toBeLessThan(solved.gap.primal);
    expect(loose.dual).toBeGreaterThan(0);
    // Orthonormal rows: the optimum has one neuron for the positive targets and one for the negative ones.
    const data = new Float64Array(12 * 14);
    for (let k = 0; k < 12; k++) data[k * 14 + k] = 1;
    const whitened = { ...program, X: matrixOf(12, 14, data), loss: randomProgram({ rows: 12, features: 14 }).loss };
    const first = gatesFrom(whitened.X, gaussianMatrix(3, 14, 1));
    const proving = { tolerance: 1e-3, maxIterations: 1000, seconds: 20, cones: 1000 };
    const grown = await solveGrowing({ ...whitened, gates: first }, referenceKernels, proving, { starts: 30, seed: 1 });
    expect(grown.allGates?.finished).toBe(true);
    expect(grown.allGates?.relativeGap).toBeLessThanOrEqual(1e-3);
  });
});

/** The inverse of the transpose: rows b_k with b_k' v_j = 1 for j = k, else 0, by Gauss and Jordan. */
function inverseOf(V: Float64Array, r: number): Float64Array {
  const A = Array.from({ length: r }, (_, i) => [
    ...Array.from({ length: r }, (_, j) => V[j * r + i]),
    ...Array.from({ length: r }, (_, j) => (i === j ? 1 : 0)),
  ]);
  for (let i = 0; i < r; i++) {
    const pivot = A.slice(i).reduce((best, row, k) => (Math.abs(row[i]) > Math.abs(A[best][i]) ? i + k : best), i);
    [A[i], A[pivot]] = [A[pivot], A[i]];
    const scale = A[i][i];
    A[i] = A[i].map((value) => value / scale);
    for (let k = 0; k < r; k++) if (k !== i) A[k] = A[k].map((value, j) => value - A[k][i] * A[i][j]);
  }
  return Float64Array.from(A.flatMap((row) => row.slice(r)));
}
