import * as fc from "fast-check";
import { expect, test } from "vitest";
import { gatesFrom } from "../../../../src/convex/arrangements/index.js";
import { bindProducts, referenceKernels } from "../../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../../src/convex/linear/random.js";
import { bindLoss } from "../../../../src/convex/losses/index.js";
import { jointWoodbury } from "../../../../src/convex/solvers/systems/jointWoodbury.js";
import type { ConvexProgram } from "../../../../src/convex/types.js";
import { gaussianMatrix } from "../../../helpers/problems.js";

/** A system whose outputs have so many rows and whole gates each, the machinery that it needs, and its matrix [nC x nC]. */
function systemOf(n: number, d: number, outputs: number, rows: readonly number[], gates: number, seed: number) {
  const draw = gaussianSource(seed);
  const X = gaussianMatrix(n, d, seed + 1);
  const set = gatesFrom(X, gaussianMatrix(3, d, seed + 2));
  const y = gaussianMatrix(n, outputs, seed + 3);
  const program: ConvexProgram = {
    ...{ X, gates: set, loss: bindLoss("meanSquaredError", y, null), beta: 1, outputBias: null, cones: true },
    ...{ penalty: { name: "perOutput", separable: true } as ConvexProgram["penalty"], pooling: null },
  };
  const curvature = rows.map((rowCount, c) => ({
    rows: Float64Array.from({ length: rowCount * n }, draw),
    rowCount,
    gates: Int32Array.from({ length: gates }, (_, i) => (i + c) % set.count),
    weights: Float64Array.from({ length: gates }, () => draw() ** 2),
  }));
  const diagonal = Float64Array.from({ length: n * outputs }, () => 0.05 + draw() ** 2);
  const spread = Float64Array.from({ length: n * outputs }, () => 3 * draw());
  const size = n * outputs;
  const H = new Float64Array(size * size);
  const products = bindProducts(program, referenceKernels);
  for (let c = 0; c < outputs; c++) {
    const own = new Float64Array(n * n);
    products.addMaskedGram(own, curvature[c].gates, curvature[c].weights);
    referenceKernels.addOuter(own, curvature[c].rows, n, curvature[c].rowCount, 1);
    for (let j = 0; j < n; j++) {
      for (let k = 0; k <= j; k++) {
        H[(j * outputs + c) * size + k * outputs + c] += own[j * n + k];
        if (k < j) H[(k * outputs + c) * size + j * outputs + c] += own[j * n + k];
      }
    }
  }
  for (let k = 0; k < n; k++) {
    for (let a = k * outputs; a < (k + 1) * outputs; a++) {
      H[a * size + a] += diagonal[a];
      for (let b = k * outputs; b < (k + 1) * outputs; b++) H[a * size + b] += spread[a] * spread[b];
    }
  }
  return {
    system: { n, outputs, diagonal, spread, curvature },
    machinery: { program, kernels: referenceKernels, products },
    H,
  };
}

test("rows and whole gates of outputs that a loss couples: multiplies as the whole matrix does, and takes that back", () => {
  const sizes = fc.record({
    n: fc.integer({ min: 1, max: 20 }),
    d: fc.integer({ min: 1, max: 4 }),
    rows: fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 4 }),
    gates: fc.integer({ min: 0, max: 3 }),
    seed: fc.integer({ min: 0, max: 1000 }),
  });
  fc.assert(
    fc.property(sizes, ({ n, d, rows, gates, seed }) => {
      fc.pre(gates > 0 || rows.some((count) => count > 0));
      const { system, machinery, H } = systemOf(n, d, rows.length, rows, gates, seed);
      const size = n * rows.length;
      const x = Float64Array.from({ length: size }, gaussianSource(seed + 9));
      const wanted = new Float64Array(size);
      referenceKernels.multiply(H, x, wanted, size, size, 1);
      const joint = jointWoodbury(system, machinery);
      const made = new Float64Array(size);
      joint?.multiply(x, made);
      const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      made.forEach((value, k) => void expect(Math.abs(value - wanted[k])).toBeLessThan(1e-11 * largest));
      joint?.precondition(made);
      made.forEach((value, k) => void expect(value).toBeCloseTo(x[k], 6));
      joint?.dispose();
      machinery.products.dispose();
    }),
  );
});

test("many rows, or none, are left to others", () => {
  const { system, machinery } = systemOf(4, 2, 2, [300, 300], 0, 1);
  expect(jointWoodbury(system, machinery)).toBeNull();
  const none = systemOf(4, 2, 2, [0, 0], 0, 1);
  expect(jointWoodbury(none.system, none.machinery)).toBeNull();
});
