import { describe, expect, test } from "vitest";
import { referenceKernels, wasmKernels } from "../../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../../src/convex/linear/random.js";
import { RankOneTerms, woodbury } from "../../../../src/convex/solvers/systems/woodbury.js";
import { failingKernels } from "../../../helpers/failingKernels.js";
import { gaussianMatrix } from "../../../helpers/problems.js";

/** b := (diag(T) + Y'Y)^-1 b by a factor of the matrix itself. */
function solveWhole(T: Float64Array, Y: Float64Array, m: number, b: Float64Array, k: number): void {
  const n = T.length;
  const H = new Float64Array(n * n);
  referenceKernels.addOuter(H, Y, n, m, 1);
  for (let j = 0; j < n; j++) H[j * n + j] += T[j];
  referenceKernels.cholesky(H, n)?.solve(b, k);
}

function distance(a: Float64Array, b: Float64Array): number {
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at])), 0);
}

const engines = [
  ["cpu", async () => referenceKernels],
  ["wasm", () => wasmKernels(1)],
] as const;

describe.each(engines)("on %s", (_, open) => {
  const sizes = [
    [1, 1, 1],
    [0, 5, 1],
    [0, 5, 3],
    [1, 33, 1],
    [7, 90, 1],
    [40, 90, 3],
    [130, 90, 2], // more terms than rows
    [96, 301, 10],
  ];

  test.each(sizes)(
    "%i terms, %i rows, %i columns: solves as the whole matrix does, and multiplies back",
    async (m, n, k) => {
      const kernels = await open();
      const uniform = gaussianSource(m + n + k);
      const T = Float64Array.from({ length: n }, () => 0.1 + uniform() ** 2);
      const Y = gaussianMatrix(m, n, 2).data;
      const b = Float64Array.from({ length: n * k }, uniform);
      const [x, y] = [b.slice(), b.slice()];
      const factor = woodbury(T, Y, m, n, kernels);
      factor?.solve(x, k);
      solveWhole(T, Y, m, y, k);
      expect(distance(x, y)).toBeLessThan(1e-9);
      factor?.multiply(x, k);
      expect(distance(x, b)).toBeLessThan(1e-9);
      factor?.dispose();
    },
  );

  test("the same terms serve several shifts", async () => {
    const [m, n] = [20, 70];
    const kernels = await open();
    const Y = gaussianMatrix(m, n, 4).data;
    const terms = new RankOneTerms(Y, m, n, kernels);
    const b = Float64Array.from({ length: n }, gaussianSource(1));
    for (const shift of [10, 0.1, 1e-3]) {
      const factor = terms.factor(shift);
      const [x, y] = [b.slice(), b.slice()];
      factor?.solve(x, 1);
      solveWhole(new Float64Array(n).fill(shift), Y, m, y, 1);
      expect(distance(x, y) * shift).toBeLessThan(1e-9);
      factor?.dispose();
    }
    terms.dispose();
  });

  test("terms that are no numbers have no factor", async () => {
    const Y = gaussianMatrix(8, 30, 4).data;
    Y[3] = Number.NaN;
    expect(woodbury(new Float64Array(30).fill(1), Y, 8, 30, await open())).toBeNull();
  });
});

test.each(["gram", "cholesky"] as const)("where %s throws, no products stay with the engine", (what) => {
  const { kernels, living } = failingKernels(what);
  expect(() => woodbury(new Float64Array(5).fill(1), new Float64Array(10), 2, 5, kernels)).toThrow(RangeError);
  expect(living()).toBe(0);
});
