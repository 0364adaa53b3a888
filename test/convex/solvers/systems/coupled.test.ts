import { describe, expect, test } from "vitest";
import { type Kernels, referenceKernels, wasmKernels } from "../../../../src/convex/kernels/index.js";
import { conjugateGradients } from "../../../../src/convex/linear/conjugateGradients.js";
import { gaussianSource } from "../../../../src/convex/linear/random.js";
import { lossNames, lossTraits } from "../../../../src/convex/losses/index.js";
import { solve } from "../../../../src/convex/solvers/solve.js";
import { prefersProducts } from "../../../../src/convex/solvers/systems/coupled.js";
import { hiddenCurvature, partialCholesky } from "../../../../src/convex/solvers/systems/partialCholesky.js";
import type { ConvexProgram, LossName } from "../../../../src/convex/types.js";
import { gaussianMatrix, randomProgram, unitsProgram } from "../../../helpers/problems.js";

const budget = { tolerance: 1e-7, maxIterations: 200, seconds: 60, solver: "proximal-newton" };
const rows = 420;

/** One patch a sample: the same program, whose Newton systems are solved by an n x n factor. */
const dense = (program: ConvexProgram): ConvexProgram => ({
  ...program,
  pooling: { patches: 1, positions: 1, scale: 1 },
});

test("the sizes below are solved by products", () => {
  const curvature = { n: rows, gates: new Int32Array(40), rows: { count: 40, make: () => new Float64Array(0) } };
  expect(prefersProducts({ ...curvature, vectors: 40 }, 3)).toBe(true);
  expect(prefersProducts({ ...curvature, n: 60, vectors: 40 }, 3)).toBe(false);
});

describe("Newton systems by products have the optimum of those by a factor", () => {
  // A loss with kinks or coupled outputs has no such systems.
  const smooth = lossNames.filter(
    (name) => lossTraits[name].activation !== "softmax" && bound(name) < Number.POSITIVE_INFINITY,
  );

  test.each(smooth)("%s", async (loss) => {
    const kernels = await wasmKernels();
    for (const ridge of [null, 0, 0.1]) {
      await expectSameOptimum(
        randomProgram({ loss, rows, features: 3, gates: 40, cones: false, ridge, beta: 5e-3 }),
        kernels,
      );
    }
  });

  test("several outputs with the nuclear norm", async () => {
    const wish = { outputs: 2, rows, features: 3, gates: 20, cones: false, beta: 2e-2, ridge: 0 } as const;
    await expectSameOptimum(randomProgram({ ...wish, penalty: "nuclear" }), await wasmKernels());
  });
});

async function expectSameOptimum(program: ConvexProgram, kernels: Kernels): Promise<void> {
  const products = await solve(program, kernels, budget);
  const factor = await solve(dense(program), kernels, budget);
  expect([products.status, factor.status]).toEqual(["solved", "solved"]);
  expect(Math.abs(products.gap.primal / factor.gap.primal - 1)).toBeLessThan(1e-6);
  expect(products.gap.dual).toBeLessThanOrEqual(factor.gap.primal * (1 + 1e-12));
  expect(factor.gap.dual).toBeLessThanOrEqual(products.gap.primal * (1 + 1e-12));
}

function bound(loss: LossName): number {
  return randomProgram({ loss }).loss.curvature;
}

test("conjugate gradients solve to the residual asked for, in fewer steps with the inverse as preconditioner", async () => {
  const n = 40;
  const A = gaussianMatrix(n, n, 3).data;
  const H = new Float64Array(n * n);
  referenceKernels.addOuter(H, A, n, n, 1);
  for (let i = 0; i < n; i++) H[i * n + i] += 0.1;
  const multiply = (x: Float64Array, out: Float64Array) => {
    for (let i = 0; i < n; i++) {
      out[i] = 0;
      for (let j = 0; j < n; j++) out[i] += H[Math.max(i, j) * n + Math.min(i, j)] * x[j];
    }
  };
  const b = Float64Array.from({ length: n }, gaussianSource(1));
  const error = (x: Float64Array) => {
    const product = new Float64Array(n);
    multiply(x, product);
    return Math.hypot(...product.map((value, k) => value - b[k])) / Math.hypot(...b);
  };
  const pause = async () => false;
  const x = b.slice();
  const steps = await conjugateGradients(x, 1e-8, pause, { multiply, precondition: () => undefined });
  expect(error(x)).toBeLessThan(1e-7);
  const factor = referenceKernels.cholesky(H, n);
  const y = b.slice();
  const fewer = await conjugateGradients(y, 1e-8, pause, { multiply, precondition: (z) => factor?.solve(z, 1) });
  expect(error(y)).toBeLessThan(1e-7);
  expect(fewer).toBeLessThan(3);
  expect(steps).toBeGreaterThan(fewer);
});

const units = unitsProgram({ units: 12, rows: 90 });
describe.each([
  { of: "gates", ...randomProgram({ rows: 90, features: 4, gates: 12, cones: false }), kernels: referenceKernels },
  { of: "gates of one feature", ...randomProgram({ rows: 90, features: 1, gates: 12 }), kernels: referenceKernels },
  { of: "hidden units, which have no masks", ...units.program, kernels: units.kernels },
])("the partial factor of $of", ({ X, gates, kernels }) => {
  const list = Int32Array.of(0, 3, 7, 11).map((gate) => gate % gates.count);
  const weights = Float64Array.of(1, 0.5, 2, 0);
  const Y = gaussianMatrix(2, 90, 5).data;
  const curvature = { X, gates, list, weights, rows: Y, rowCount: 2 };
  const T = new Float64Array(90).fill(1e-3);

  /** Largest entry, and diagonal, of S - F F'. */
  function rest(rank: number): { largest: number; least: number; trace: number; count: number } {
    const n = 90;
    const S = new Float64Array(n * n);
    const products = kernels.bind(X, gates);
    products.addMaskedGram(S, list, weights);
    kernels.addOuter(S, Y, n, 2, 1);
    const F = partialCholesky(hiddenCurvature(curvature, n, { kernels, products }), T, rank, kernels);
    products.dispose();
    referenceKernels.addOuter(S, F.rows, n, F.rowCount, -1);
    const diagonal = Array.from({ length: n }, (_, k) => S[k * n + k]);
    return {
      largest: Math.max(...S.map(Math.abs)),
      least: Math.min(...diagonal),
      trace: diagonal.reduce((sum, value) => sum + value, 0),
      count: F.rowCount,
    };
  }

  test("is the matrix itself once it has its rank", () => {
    const all = rest(90);
    expect(all.count).toBeLessThanOrEqual(90);
    expect(all.largest).toBeLessThan(1e-3);
  });

  test("is never above it, and nearer with more columns", () => {
    const [few, more] = [rest(2), rest(4)];
    expect(few.count).toBeLessThanOrEqual(2);
    for (const { least } of [few, more]) expect(least).toBeGreaterThan(-1e-9);
    expect(more.trace).toBeLessThan(few.trace);
  });
});

test.each([
  { about: "in float32, which T allows", T: 1 },
  { about: "in float64 where float32 would not do", T: 1e-9 },
])("a partial factor is one of the matrix to a part of T, $about", async ({ T }) => {
  const n = 300;
  const wasm = await wasmKernels(1);
  const A = gaussianMatrix(n, n, 3).data.map((value, at) => value * 1e-4 ** ((at % n) / n));
  const S = new Float64Array(n * n);
  referenceKernels.multiplyTransposed(A, A, S, n, n, n);
  const hidden = {
    diagonal: Float64Array.from({ length: n }, (_, j) => S[j * n + j]),
    columns: (pivots: readonly number[], out: Float64Array) => {
      pivots.forEach((j, s) => {
        out.set(S.subarray(j * n, (j + 1) * n), s * n);
      });
    },
  };
  const [mine, truth] = [wasm, referenceKernels].map((kernels) => {
    const { rows, rowCount } = partialCholesky(hidden, new Float64Array(n).fill(T), 200, kernels);
    const product = new Float64Array(n * n);
    referenceKernels.addOuter(product, rows, n, rowCount, 1);
    return { product, rowCount };
  });
  expect(mine.rowCount).toBe(truth.rowCount);
  const off = Math.max(...mine.product.map((value, at) => Math.abs(value - truth.product[at])));
  expect(off / T).toBeLessThan(1e-3);
  expect(off).toBeGreaterThan(0);
});
