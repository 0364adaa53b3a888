import { describe, expect, test } from "vitest";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { bindLoss, lossNames, lossTraits } from "../../../src/convex/losses/index.js";
import {
  KRIVINE,
  type QuantizedProblem,
  quantizedNetworks,
  type SignUnit,
} from "../../../src/convex/matrices/index.js";
import { formMatrix, formOutputs, signForms } from "../../../src/convex/matrices/signForms.js";
import { SignOracle } from "../../../src/convex/matrices/signOracle.js";
import { gaussianMatrix, targetsFor } from "../../helpers/problems.js";
import reference from "../../reference/matrices.json" with { type: "json" };

const budget = { tolerance: 1e-7, maxIterations: 20000, seconds: 20 };
const square = { a: 1, b: 0, c: 0 };

function posed(stored: (typeof reference.quantized)[number], units: SignUnit, enumerate: boolean): QuantizedProblem {
  const n = stored.x.length;
  const X = { rows: n, cols: stored.x[0].length, data: Float64Array.from(stored.x.flat()) };
  const loss = bindLoss("meanSquaredError", { rows: n, cols: 1, data: Float64Array.from(stored.y) });
  const beta = (2 * stored.beta) / n; // stored programs have half the sum of squares
  return { X, loss, outputBias: null, beta, units, bits: 1, samples: 200, together: 8, enumerate, seed: 1 };
}

describe.each([
  ["bilinear", "bilinear" as const],
  ["quadratic", square],
] as const)("%s units with weights in {-1, 1}", (name, units) => {
  test.each(reference.quantized)("bound, optimum and network stand as the conic solver has them", async (stored) => {
    const { bound, exact } = stored[name];
    const scale = stored.x.length / 2;
    const enumerated = await quantizedNetworks.build(posed(stored, units, true)).solve(referenceKernels, budget);
    expect(enumerated.enumerated).toBe(true);
    expect((scale * enumerated.gap.primal) / exact).toBeCloseTo(1, 7);
    expect(enumerated.gap.relative).toBeLessThanOrEqual(1e-7);
    expect((scale * enumerated.bound) / bound).toBeCloseTo(1, 5);
    expect(scale * enumerated.bound).toBeLessThanOrEqual(bound * (1 + 1e-9));
    const searched = await quantizedNetworks.build(posed(stored, units, false)).solve(referenceKernels, budget);
    expect(searched.enumerated).toBe(false);
    expect(searched.gap.dual).toBe(searched.bound);
    expect((scale * searched.gap.primal) / exact).toBeCloseTo(1, 7);
  });
});

test("the relaxation is no global optimum: it lies below the best of all units, which is within 1.7823 of it", async () => {
  for (const stored of reference.quantized) {
    const { bound, exact, above } = stored.bilinear;
    expect(exact / bound).toBeGreaterThan(1.005);
    expect(exact).toBeLessThanOrEqual(above);
    expect(above).toBeLessThanOrEqual(KRIVINE * bound);
    const { gap, bound: ours } = await quantizedNetworks
      .build(posed(stored, "bilinear", true))
      .solve(referenceKernels, budget);
    expect(gap.primal / ours).toBeGreaterThan(1.005);
    expect(gap.primal / ours).toBeLessThanOrEqual(KRIVINE);
  }
});

test.each(lossNames)("every loss has a valid bound, and an optimum over all units (%s)", async (name) => {
  const X = gaussianMatrix(24, 4, 5);
  const loss = bindLoss(name, targetsFor(name, X, lossTraits[name].targets === "distribution" ? 3 : 1, 6));
  const problem = { ...posed(reference.quantized[0], "bilinear", true), X, loss, outputBias: { ridge: 0 }, beta: 0.02 };
  const { status, gap, bound } = await quantizedNetworks
    .build(problem)
    .solve(referenceKernels, { ...budget, tolerance: 1e-4 });
  expect(status).toBe("solved");
  expect(gap.relative).toBeLessThanOrEqual(1e-4);
  expect(bound).toBeLessThanOrEqual(gap.primal);
  expect(gap.primal / bound).toBeLessThan(KRIVINE);
});

describe("the dearest units", () => {
  const X = gaussianMatrix(15, 4, 8);
  const N = Float64Array.from({ length: 15 }, gaussianSource(9));

  test.each([
    ["bilinear", "bilinear" as const],
    ["polynomial", { a: 0.7, b: -1.1, c: 0.4 }],
  ] as const)("are those of all sign vectors (%s)", (_, units) => {
    const forms = signForms(units, X);
    let most = 0;
    for (let code = 0; code < 2 ** forms.size; code++) {
      const p = Float64Array.from({ length: forms.size }, (_, i) => ((code >> i) & 1 ? 1 : -1));
      const outputs = formOutputs(forms, p, 1);
      const worth = Math.abs(outputs.reduce((sum, h, k) => sum + h * N[k], 0));
      const S = formMatrix(forms, N);
      let form = 0;
      for (let i = 0; i < p.length; i++) for (let j = 0; j < p.length; j++) form += p[i] * S[i * p.length + j] * p[j];
      expect(Math.abs(form)).toBeCloseTo(worth, 9);
      most = Math.max(most, worth);
    }
    const exact = new SignOracle(forms, 1, 4, true, 1);
    const { largest, units: found } = exact.dearest(N);
    expect(largest).toBeCloseTo(most, 9);
    expect(exact.ceiling(N)).toBeGreaterThanOrEqual(most * (1 - 1e-12));
    const outputs = formOutputs(forms, found[0], 1);
    expect(Math.abs(outputs.reduce((sum, h, k) => sum + h * N[k], 0))).toBeCloseTo(most, 9);
    const searched = new SignOracle(forms, 1, 4, false, 1);
    expect(searched.ceiling(N)).toBeNull();
    expect(searched.dearest(N).largest).toBeCloseTo(most, 9);
  });
});

test("more levels are bits on wider data: kernels of odd integers, never above the optimum with fewer levels and its charge", async () => {
  const stored = reference.quantized[0];
  const problem = { ...posed(stored, "bilinear", true), bits: 2 };
  const solution = await quantizedNetworks.build(problem).solve(referenceKernels, budget);
  expect(solution.enumerated).toBe(true);
  const [hidden] = quantizedNetworks.recover(problem, solution);
  expect(Array.from(hidden.kernel.data).every((value) => [1, 3].includes(Math.abs(value)))).toBe(true);
  // u = 3 s or u = s as s: units of one bit are among those of two, 9 times as large.
  expect(solution.gap.primal * (stored.x.length / 2)).toBeLessThan(stored.bilinear.exact);
});

test("is refused without a charge, and where the relaxation would be too large", () => {
  const problem = posed(reference.quantized[0], "bilinear", true);
  expect(quantizedNetworks.refuses(problem)).toBeNull();
  expect(quantizedNetworks.refuses({ ...problem, beta: 0 })).toMatch(/beta above 0, got 0/);
  const wide = { rows: 1, cols: 400, data: new Float64Array(400) };
  expect(quantizedNetworks.refuses({ ...problem, X: wide })).toMatch(/at most 600 rows .* got 800/);
});
