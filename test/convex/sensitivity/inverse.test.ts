import { describe, expect, test } from "vitest";
import { referenceKernels, wasmKernels } from "../../../src/convex/kernels/index.js";
import type { Kernels } from "../../../src/convex/kernels/types.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { Inverse } from "../../../src/convex/sensitivity/index.js";

/** Without a factor at the engine, as where its rounding says that a matrix which `factor` takes is not definite. */
const withoutHeld: Kernels = Object.assign(Object.create(referenceKernels), { cholesky: () => null });
/** Factors nothing at the first five calls, so that the shift is a thousandth of the mean diagonal. */
function balking(engine: Kernels): Kernels {
  let calls = 0;
  return Object.assign(Object.create(engine), {
    factor: (H: Float64Array, n: number) => ++calls > 5 && engine.factor(H, n),
  });
}

/** A A' + p I [p x p], and right sides [p x k]. */
function problem(p: number, k: number) {
  const draw = gaussianSource(p + k);
  const A = Float64Array.from({ length: p * p }, draw);
  const H = new Float64Array(p * p);
  referenceKernels.multiplyTransposed(A, A, H, p, p, p);
  for (let i = 0; i < p; i++) H[i * p + i] += p;
  return { H, B: Float64Array.from({ length: p * k }, draw) };
}

describe.each([
  ["the reference", async () => referenceKernels],
  ["WebAssembly", () => wasmKernels(1)],
  ["an engine without a held factor", async () => withoutHeld],
] as const)("of %s", (_, engine) => {
  test.each([
    [5, 3],
    [70, 300],
  ])(
    "solving %i equations for %i right sides at once is solving for each, to rounding, whatever the shift",
    async (p, k) => {
      const kernels = await engine();
      const { H, B } = problem(p, k);
      for (const factors of [kernels, balking(kernels)]) {
        const inverse = Inverse.of({ H, size: p }, factors);
        if (inverse === null) throw new Error("no factor");
        const all = B.slice();
        inverse.solveAll(all, k);
        const image = new Float64Array(p * k);
        referenceKernels.multiply(H, all, image, p, p, k);
        const missed = image.reduce((most, value, i) => Math.max(most, Math.abs(value - B[i])), 0);
        expect(missed).toBeLessThan(1e-8);
        for (const c of [0, k - 1]) {
          const alone = inverse.solve(Float64Array.from({ length: p }, (_, i) => B[i * k + c]));
          for (let i = 0; i < p; i++) expect(all[i * k + c]).toBeCloseTo(alone[i], 10);
        }
      }
    },
  );
});
