import { describe, expect, test } from "vitest";
import { smallestTrivialBeta } from "../../../src/convex/certificate/index.js";
import { type Kernels, referenceKernels } from "../../../src/convex/kernels/index.js";
import { extrapolate, type PathStop } from "../../../src/convex/solvers/extrapolate.js";
import { solve, withProducts } from "../../../src/convex/solvers/solve.js";
import { Workbench } from "../../../src/convex/solvers/workbench.js";
import type { LossName, SparseBlocks } from "../../../src/convex/types.js";
import { randomProgram } from "../../helpers/problems.js";

const COUNT = 50;
const ROWS = 40;

/** The reference kernels, with a count of the factors of n x n matrices that they make: one a Newton step. */
function counted(): { kernels: Kernels; factors: () => number } {
  let count = 0;
  const kernels = Object.create(referenceKernels) as { -readonly [K in keyof Kernels]: Kernels[K] };
  kernels.cholesky = (H, n) => {
    count += n === ROWS ? 1 : 0;
    return referenceKernels.cholesky(H, n);
  };
  kernels.factor = (H, n) => {
    count += n === ROWS ? 1 : 0;
    return referenceKernels.factor(H, n);
  };
  return { kernels, factors: () => count };
}

async function follow(loss: LossName, ridge: number | null, tolerance: number, onLine: boolean) {
  const program = randomProgram({ loss, cones: false, ridge, rows: ROWS, features: 6, gates: 30, seed: 8 });
  const largest = withProducts(program, referenceKernels, (products) => smallestTrivialBeta(program, products));
  const { kernels, factors } = counted();
  const bench = new Workbench(program, kernels);
  const stops: PathStop[] = [];
  const primals: number[] = [];
  for (let k = 0; k < COUNT; k++) {
    const beta = largest * 1e-3 ** ((k + 1) / COUNT);
    const [before, last] = [stops[k - 2], stops[k - 1]];
    const start = onLine && before !== undefined ? extrapolate(before, last, beta, program.X.cols) : last?.blocks;
    const budget = { tolerance, maxIterations: 500, seconds: 30 };
    const { status, gap, blocks } = await solve({ ...program, beta }, kernels, budget, start, bench);
    expect(status).toBe("solved");
    primals.push(gap.primal);
    stops.push({ beta, blocks });
  }
  const whole = factors();
  const budget = { tolerance, maxIterations: 500, seconds: 30 };
  await solve({ ...program, beta: 1e-3 * largest }, kernels, budget, undefined, bench);
  bench.dispose();
  return { primals, factors: whole, cold: factors() - whole };
}

describe.each([
  ["meanSquaredError", null],
  ["meanSquaredError", 0],
  ["binaryCrossentropy", 0.1],
  ["squaredHinge", null],
] as const)("a gated path, %s, ridge %s", (loss, ridge) => {
  test("from the line through the last two solutions the same optima are found", async () => {
    const tolerance = 1e-5;
    const plain = await follow(loss, ridge, tolerance, false);
    const line = await follow(loss, ridge, tolerance, true);
    line.primals.forEach((primal, k) => {
      expect(Math.abs(primal / plain.primals[k] - 1)).toBeLessThanOrEqual(2 * tolerance);
    });
    // Where the curvature of the loss jumps, the last solution is as good a start.
    if (loss === "binaryCrossentropy") expect(line.factors).toBeLessThan(plain.factors);
  });

  test.each([1e-3, 1e-5])(
    "50 betas take fewer Newton steps than five solves at the smallest, gap %s",
    async (tolerance) => {
      const { factors, cold } = await follow(loss, ridge, tolerance, true);
      expect(factors).toBeLessThan(5 * cold);
    },
  );
});

test("a block that is zero at the last solution stays zero, and so does one that the line turns around", () => {
  const at = (entries: readonly (readonly [number, number, number])[], bias: number): SparseBlocks => ({
    index: Int32Array.from(entries, ([index]) => index),
    vectors: Float64Array.from(entries.flatMap(([, a, b]) => [a, b])),
    bias: Float64Array.of(bias),
  });
  const before = { beta: 4, blocks: at([[0, 1, 0], [1, 5, 5], [3, 3, 3]], 1) }; // biome-ignore format: rows of a table
  const last = { beta: 3, blocks: at([[0, 2, 1], [2, 1, 1], [3, 1, 1]], 2) }; // biome-ignore format: rows of a table
  const next = extrapolate(before, last, 2, 2);
  expect(Array.from(next.index)).toEqual([0, 2]);
  expect(Array.from(next.vectors)).toEqual([3, 2, 2, 2]);
  expect(Array.from(next.bias)).toEqual([3]);
});
