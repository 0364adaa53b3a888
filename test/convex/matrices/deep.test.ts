import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { bindLoss } from "../../../src/convex/losses/index.js";
import { leastAlongPower, shrinkByPower } from "../../../src/convex/matrices/deep/leastAlongPower.js";
import {
  type DeepFormulation,
  type DeepProblem,
  deepOneHot,
  deepOutputs,
  deepRankOne,
  deepScalar,
  deepSchatten,
  deepWhitened,
  meanCharge,
} from "../../../src/convex/matrices/index.js";
import type { Matrix } from "../../../src/convex/types.js";
import { gaussianMatrix } from "../../helpers/problems.js";
import reference from "../../reference/deep.json" with { type: "json" };

const budget = { tolerance: 1e-9, maxIterations: 1, seconds: 10 };
const forms: Record<string, DeepFormulation> = {
  scalar: deepScalar,
  whitened: deepWhitened,
  "rank one": deepRankOne,
  "one-hot": deepOneHot,
};

function matrixOf(rows: readonly (readonly number[])[]): Matrix {
  return { rows: rows.length, cols: rows[0].length, data: Float64Array.from(rows.flat()) };
}

function posed(X: Matrix, Y: Matrix, charges: readonly number[], widths: readonly number[], bias = false): DeepProblem {
  const loss = bindLoss("meanSquaredError", Y);
  return { X, Y, loss, charges, widths, beta: meanCharge(charges), outputBias: bias ? { ridge: 0 } : null };
}

describe("closed forms of deep networks", () => {
  test.each(reference.networks.map((stored, k) => ({ ...stored, k, layers: stored.charges.length })))(
    "$kind, $layers layers ($k): the value is the conic solver's, no descent is below the bound, and the layers have it",
    async ({ kind, x, y, charges, widths, optimum, lowest, relu }) => {
      const problem = posed(matrixOf(x), matrixOf(y), charges, widths);
      expect(forms[kind].refuses(problem)).toBeNull();
      // Stored numbers are float32: rows are whitened, or along one direction, to that.
      const solution = await forms[kind].build(problem).solve(referenceKernels, { ...budget, tolerance: 2e-6 });
      const { gap, kernels, bias } = solution;
      if (optimum !== null) expect(gap.primal / optimum).toBeCloseTo(1, 7);
      expect(gap.dual).toBeLessThanOrEqual(lowest * (1 + 1e-9));
      expect(lowest / gap.primal).toBeGreaterThan(1 - 1e-8);
      expect(lowest / gap.primal).toBeLessThan(1 + 1e-6);
      const Z = deepOutputs(problem.X, kernels, bias, relu ? "relu" : "linear");
      const charge = kernels.reduce((sum, { data }, l) => sum + charges[l] * data.reduce((s, w) => s + w * w, 0), 0);
      expect(problem.loss.value(Z) + charge).toBeCloseTo(gap.primal, 12);
      const open = kind === "one-hot" && charges.length > 2 && y[0].length > 1;
      expect(solution.status).toBe(open ? "stalled" : "solved");
    },
  );

  test.each(reference.schatten)(
    "Schatten charge $gamma: primal and dual are the conic solver's optimum",
    async (stored) => {
      const { x, y, gamma, optimum } = stored;
      for (const widths of [[5, 4], [4]]) {
        const charges = [...widths, 0].map(() => gamma);
        const { gap, status } = await deepSchatten
          .build(posed(matrixOf(x), matrixOf(y), charges, widths))
          .solve(referenceKernels, budget);
        expect(status).toBe("solved");
        expect(gap.primal / optimum).toBeCloseTo(1, 8);
        expect(gap.dual / optimum).toBeCloseTo(1, 8);
      }
    },
  );

  test("a Schatten charge above the least singular value, and a bound on the rank, leave no gap either", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 1000 }),
        fc.double({ min: 1e-4, max: 0.5, noNaN: true }),
        fc.integer({ min: 1, max: 4 }),
        async (seed, gamma, width) => {
          const problem = posed(
            gaussianMatrix(9, 4, seed),
            gaussianMatrix(9, 3, seed + 1),
            [gamma, gamma, gamma],
            [4, width],
          );
          const { gap } = await deepSchatten.build(problem).solve(referenceKernels, budget);
          expect(gap.relative).toBeLessThan(1e-9);
          expect(gap.relative).toBeGreaterThanOrEqual(0);
        },
      ),
      { numRuns: 40 },
    ));
});

describe("of random data", () => {
  const seeds = fc.integer({ min: 1, max: 10000 });
  const depths = fc.integer({ min: 2, max: 6 });
  const sizes = fc.double({ min: -4, max: 1, noNaN: true }).map((e) => 10 ** e);

  test("one output: the gap closes at every depth and charge, more decay never lowers the value, and no layer costs more than another", () =>
    fc.assert(
      fc.asyncProperty(seeds, depths, sizes, fc.boolean(), async (seed, L, g, bias) => {
        const [X, Y] = [gaussianMatrix(12, 5, seed), gaussianMatrix(12, 1, seed + 1)];
        const widths = new Array(L - 1).fill(2);
        const solve = (beta: number) =>
          deepScalar.build(posed(X, Y, new Array(L).fill(beta), widths, bias)).solve(referenceKernels, budget);
        const { gap, status, kernels } = await solve(g);
        expect(status).toBe("solved");
        expect(gap.dual).toBeLessThanOrEqual(gap.primal);
        expect((await solve(1.1 * g)).gap.primal).toBeGreaterThanOrEqual(gap.primal * (1 - 1e-9));
        // Layers in balance: none could give weight to another.
        const squares = kernels.map(({ data }) => data.reduce((sum, w) => sum + w * w, 0));
        for (const square of squares) expect(square).toBeCloseTo(squares[0], 6);
      }),
      { numRuns: 60 },
    ));

  test("nearly whitened rows: the gap is of the order of what they lack, and never negative", () =>
    fc.assert(
      fc.asyncProperty(seeds, depths, async (seed, L) => {
        const X = whitened(gaussianMatrix(10, 4, seed));
        const noise = gaussianMatrix(10, 4, seed + 2).data;
        const near = { ...X, data: X.data.map((value, k) => value + 1e-5 * noise[k]) };
        const problem = posed(near, gaussianMatrix(10, 3, seed + 1), new Array(L).fill(0.01), new Array(L - 1).fill(4));
        expect(deepWhitened.refuses(problem)).toBeNull();
        const { gap } = await deepWhitened.build(problem).solve(referenceKernels, budget);
        expect(gap.relative).toBeGreaterThanOrEqual(0);
        expect(gap.relative).toBeLessThan(1e-3);
      }),
      { numRuns: 40 },
    ));

  test("the shrinkage of one number has no better point on a grid", () =>
    fc.assert(
      fc.property(sizes, fc.double({ min: 0, max: 5, noNaN: true }), sizes, depths, (a, s, c, L) => {
        const p = 2 / L;
        const f = (t: number) => a * (t - s) ** 2 + (t > 0 ? c * t ** p : 0);
        const t = shrinkByPower(a, s, c, p);
        const least = Math.min(...Array.from({ length: 2001 }, (_, k) => f((1.2 * s * k) / 2000)));
        expect(f(t)).toBeLessThanOrEqual(least * (1 + 1e-9) + 1e-300);
      }),
    ));

  test("branch and bound over one number ends at the value that its bound is", () =>
    fc.assert(
      fc.property(sizes, fc.double({ min: 0.1, max: 5, noNaN: true }), sizes, depths, (a, s, c, L) => {
        const p = 2 / L;
        const t = shrinkByPower(a, s, c, p);
        const exact = a * (t - s) ** 2 + (t > 0 ? c * t ** p : 0);
        const g = (r: number) => ({ value: a * (r - s) ** 2, slope: 2 * a * (r - s) });
        const { value, bound } = leastAlongPower(g, 2 * s, c, p, 1e-10);
        expect(value).toBeLessThanOrEqual(exact * (1 + 1e-9));
        expect(bound).toBeLessThanOrEqual(exact * (1 + 1e-12));
        expect(bound).toBeGreaterThanOrEqual(exact * (1 - 1e-8));
      }),
    ));
});

/** Columns made orthogonal (Gram and Schmidt), of length 2. */
function whitened({ rows, cols, data }: Matrix): Matrix {
  const out = data.slice();
  for (let p = 0; p < cols; p++) {
    for (let pass = 0; pass < 2; pass++) {
      for (let q = 0; q < p; q++) {
        let along = 0;
        for (let i = 0; i < rows; i++) along += (out[i * cols + p] * out[i * cols + q]) / 4;
        for (let i = 0; i < rows; i++) out[i * cols + p] -= along * out[i * cols + q];
      }
    }
    let square = 0;
    for (let i = 0; i < rows; i++) square += out[i * cols + p] ** 2;
    for (let i = 0; i < rows; i++) out[i * cols + p] *= 2 / Math.sqrt(square);
  }
  return { rows, cols, data: out };
}

const ten = gaussianMatrix(10, 4, 1);
const wrong: [name: string, form: DeepFormulation, problem: DeepProblem, says: RegExp][] = [
  ["several outputs", deepScalar, posed(ten, gaussianMatrix(10, 2, 2), [1, 1], [2]), /one output, got 2/],
  ["no decay", deepScalar, posed(ten, gaussianMatrix(10, 1, 2), [1, 0], [2]), /decay on every layer.*got factors 1, 0/],
  ["one layer", deepScalar, posed(ten, gaussianMatrix(10, 1, 2), [1], []), /at least two layers, got 1/],
  ["other data", deepWhitened, posed(ten, gaussianMatrix(10, 2, 2), [1, 1], [2]), /whitened rows.*within 0.001, got/],
  ["a bias", deepSchatten, posed(ten, gaussianMatrix(10, 2, 2), [1, 1], [2], true), /no biases.*got an output bias/],
  ["two directions", deepRankOne, posed(ten, gaussianMatrix(10, 2, 2), [1, 1], [2]), /rows c_i a along one direction/],
  [
    "both signs",
    deepRankOne,
    posed(
      matrixOf([
        [1, 2],
        [-2, -4],
      ]),
      matrixOf([[1], [1]]),
      [1, 1],
      [2],
    ),
    /c_i of one sign, got both.*ConvexReLUTrainer/,
  ],
  ["other targets", deepOneHot, posed(ten, gaussianMatrix(10, 2, 2), [1, 1], [2]), /one-hot targets, got .* in row 0/],
  [
    "rows that are not orthogonal",
    deepOneHot,
    posed(
      matrixOf([
        [1, 0],
        [1, 1],
      ]),
      matrixOf([
        [1, 0],
        [0, 1],
      ]),
      [1, 1],
      [2],
    ),
    /orthogonal rows of one length/,
  ],
  [
    "more rows than columns",
    deepOneHot,
    posed(
      matrixOf([
        [1, 0],
        [0, 1],
        [1, 1],
      ]),
      matrixOf([
        [1, 0],
        [0, 1],
        [1, 0],
      ]),
      [1, 1],
      [2],
    ),
    /got 3 rows of rank 2/,
  ],
];
test.each(wrong)("is refused: %s", (_, form, problem, says) => {
  expect(form.refuses(problem)).toMatch(says);
});
