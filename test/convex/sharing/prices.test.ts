/** Prices of neurons that feed all outputs, against directions tried one by one. */

import { describe, expect, test } from "vitest";
import { enumerateGates } from "../../../src/convex/arrangements/index.js";
import { bindProducts, referenceKernels } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { norm } from "../../../src/convex/linear/vectors.js";
import { dearestAtMost } from "../../../src/convex/sharing/dearest.js";
import { SharedObjective } from "../../../src/convex/sharing/neurons.js";
import { priceShared, type SharedPrices } from "../../../src/convex/sharing/prices.js";
import type { ConvexProgram } from "../../../src/convex/types.js";
import { randomConvProgram } from "../../helpers/convProblems.js";
import { gaussianMatrix, randomProgram } from "../../helpers/problems.js";

const MANY = 1e6;

function price(
  program: ConvexProgram,
  N: Float64Array,
  tolerance: number,
  projections = MANY,
  pause = async () => false,
): Promise<SharedPrices> {
  return priceShared(program, referenceKernels, bindProducts(program, referenceKernels), N, {
    tolerance,
    projections,
    pause,
  });
}

/** |N' (X u)_+| for a unit u. */
function pull({ X, loss }: ConvexProgram, N: Float64Array, u: Float64Array): number {
  const sums = new Float64Array(loss.outputs);
  for (let j = 0; j < X.rows; j++) {
    let z = 0;
    for (let p = 0; p < X.cols; p++) z += X.data[j * X.cols + p] * u[p];
    if (z > 0) for (let c = 0; c < sums.length; c++) sums[c] += z * N[j * sums.length + c];
  }
  return Math.hypot(...sums) / Math.hypot(...u);
}

describe("priceShared", () => {
  test.each([2, 3, 4, 6, 9])(
    "over all arrangements it is the largest pull of any direction in the plane (C = %i)",
    async (outputs) => {
      for (const seed of [1, 2, 3]) {
        const wish = randomProgram({ cones: true, rows: 9, features: 2, outputs, seed });
        const program = { ...wish, gates: enumerateGates(wish.X) };
        const N = gaussianMatrix(9, outputs, seed + 10).data;
        let largest = 0;
        for (let k = 0; k < 20_000; k++) {
          const angle = (2 * Math.PI * k) / 20_000;
          largest = Math.max(largest, pull(program, N, Float64Array.of(Math.cos(angle), Math.sin(angle))));
        }
        const { upper, lower, dearest } = await price(program, N, 1e-4);
        expect(upper).toBeGreaterThanOrEqual(largest);
        expect(upper).toBeLessThanOrEqual(largest * (1 + 2e-4));
        expect(lower).toBeLessThanOrEqual(upper);
        expect(dearest[0].value).toBe(lower);
      }
    },
  );

  test.each([2, 5, 8])("no direction is dearer, however few projections are allowed (C = %i)", async (outputs) => {
    const wish = randomProgram({ cones: true, rows: 10, features: 3, outputs, seed: 4 });
    const program = { ...wish, gates: enumerateGates(wish.X) };
    const N = gaussianMatrix(10, outputs, 5).data;
    const draw = gaussianSource(6);
    const pulls = Array.from({ length: 5000 }, () => pull(program, N, Float64Array.from({ length: 3 }, draw)));
    for (const projections of [0, 30, 300]) {
      expect((await price(program, N, 1e-6, projections)).upper).toBeGreaterThanOrEqual(Math.max(...pulls));
    }
    const hurried = await price(program, N, 1e-6, MANY, async () => true);
    expect(hurried).toEqual(await price(program, N, 1e-6, 0));
  });

  test.each([0, 1, 5, 1000])("no direction is dearer where it is late after %i looks at a gate", async (looks) => {
    const program = randomProgram({ cones: true, rows: 10, features: 3, outputs: 4, gates: 12, seed: 8 });
    const N = gaussianMatrix(10, 4, 9).data;
    const products = bindProducts(program, referenceKernels);
    let asked = 0;
    const late = () => ++asked > looks;
    const budget = { tolerance: 1e-3, projections: MANY, pause: async () => asked > looks, late };
    const { upper, lower } = await priceShared(program, referenceKernels, products, N, budget);
    const exact = await price(program, N, 1e-3);
    expect(upper).toBeGreaterThanOrEqual(exact.lower);
    expect(lower).toBeLessThanOrEqual(exact.upper);
    if (looks === 0) expect(upper).toBe(dearestAtMost(program, N, referenceKernels));
  });

  test.each(["sum", "mean"] as const)("no direction is dearer than any may be, over patches too (%s)", (pool) => {
    const program = randomConvProgram({ pool, outputs: 3, cones: true, samples: 8, features: 4, seed: 3 });
    const { X, loss } = program;
    const N = gaussianMatrix(loss.rows, 3, 2).data;
    const draw = gaussianSource(5);
    const objective = new SharedObjective(program, referenceKernels);
    for (let k = 0; k < 200; k++) {
      const u = Float64Array.from({ length: X.cols }, draw);
      const size = Math.sqrt(u.reduce((sum, value) => sum + value * value, 0));
      const [worth, most] = [norm(objective.pulls(u, N)), dearestAtMost(program, N, referenceKernels) * size];
      expect(worth).toBeLessThanOrEqual(most);
    }
  });

  test("what it calls dear has that price, in the cone of its gate", async () => {
    const program = randomProgram({ cones: true, rows: 15, features: 4, outputs: 3, gates: 20 });
    const N = gaussianMatrix(15, 3, 7).data;
    const { dearest } = await price(program, N, 1e-2);
    expect(dearest.length).toBeGreaterThan(0);
    for (const { direction, outputs, value } of dearest) {
      expect(pull(program, N, direction)).toBeCloseTo(value, 8);
      expect(Math.hypot(...outputs)).toBeCloseTo(1, 10);
    }
  });

  test("one output in disguise: two equal columns are sqrt 2 times one", async () => {
    const wish = randomProgram({ cones: true, rows: 8, features: 2, outputs: 2, seed: 3 });
    const program = { ...wish, gates: enumerateGates(wish.X) };
    const one = gaussianMatrix(8, 1, 2).data;
    const twice = Float64Array.from({ length: 16 }, (_, k) => one[k >> 1]);
    const single = Float64Array.from({ length: 16 }, (_, k) => (k % 2 === 0 ? one[k >> 1] : 0));
    const [both, alone] = [await price(program, twice, 1e-6), await price(program, single, 1e-6)];
    expect(both.lower).toBeCloseTo(Math.SQRT2 * alone.lower, 6);
  });
});
