/** What holds of gated branches of any number of layers on any data: the judge, the bound, the returned network, and gates. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { descend } from "../../../src/convex/linear/lbfgs.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { bindLoss } from "../../../src/convex/losses/index.js";
import {
  branchLayerCharge,
  branchLayerOutputs,
  branchLayers,
  distinctGates,
  drawBranchGates,
  type GatedBranchProblem,
  refusesGated,
  solveGatedBranches,
} from "../../../src/convex/parallel/gated/index.js";
import { describeOpen, layersFrom, networkObjective, weightsOf } from "./gatedNetworks.js";

const BUDGET = { tolerance: 1e-5, maxIterations: 2000, seconds: Number.POSITIVE_INFINITY };

const any = [
  fc.record({
    hidden: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }),
    n: fc.integer({ min: 2, max: 40 }),
    d: fc.integer({ min: 1, max: 3 }),
    C: fc.integer({ min: 1, max: 2 }),
    K: fc.integer({ min: 1, max: 4 }),
    seed: fc.nat(1e6),
  }),
] as const;

type Shape = typeof any extends readonly [fc.Arbitrary<infer S>] ? S : never;

/** Rows that are integers with zeros and repetitions for one seed of three. */
function problemOf({ hidden, n, d, C, K, seed }: Shape): GatedBranchProblem {
  const draw = gaussianSource(seed);
  const round = seed % 3 === 0 ? Math.round : (value: number) => value;
  return {
    X: { rows: n, cols: d, data: Float64Array.from({ length: n * d }, () => round(1.5 * draw())) },
    loss: bindLoss("meanSquaredError", { rows: n, cols: C, data: Float64Array.from({ length: n * C }, draw) }),
    outputBias: seed % 2 === 0 ? { ridge: 0 } : null,
    beta: 0.002 * 10 ** Math.abs(draw()),
    gates: drawBranchGates(d, hidden, K, seed + 1),
    charge: "sum",
  };
}

test("the judge's objective is the network's by its definition, also where weights are zero", () => {
  fc.assert(
    fc.property(...any, (shape) => {
      const problem = problemOf(shape);
      const open = describeOpen(problem, 1);
      const draw = gaussianSource(shape.seed + 2);
      const at = Float64Array.from({ length: open.length }, () => (draw() > 0.7 ? 0 : draw()));
      if (problem.outputBias === null) at.fill(0, at.length - shape.C);
      const { layers, bias } = layersFrom(problem, at);
      expect(weightsOf(layers, bias)).toEqual(at);
      const { X, loss, beta } = problem;
      const judged = loss.value(branchLayerOutputs(X, layers, bias)) + beta * branchLayerCharge(layers, "sum");
      const defined = networkObjective(problem, open)(at, new Float64Array(at.length));
      expect(Math.abs(judged / defined - 1)).toBeLessThan(1e-12);
    }),
    { numRuns: 100 },
  );
});

test("no network of any weights is below the bound, and that of the program has its value", async () => {
  await fc.assert(
    fc.asyncProperty(...any, async (shape) => {
      const problem = problemOf(shape);
      const { loss, gates, charge } = problem;
      const { status, gap, branches, bias } = await solveGatedBranches(problem, referenceKernels, BUDGET);
      expect(status).toBe("solved");
      const own = branchLayers(branches, gates, charge, loss.outputs, Math.max(shape.K, branches.length));
      const objective = networkObjective(problem, describeOpen({ ...problem, gates: own.gates }, 1));
      const at = weightsOf(own, bias);
      const slope = new Float64Array(at.length);
      expect(Math.abs(objective(at, slope) / gap.primal - 1)).toBeLessThan(1e-9);
      const draw = gaussianSource(shape.seed + 2);
      for (const size of [0.05, 0.5, 2]) {
        const start = at.map((weight) => weight + size * draw());
        const { value } = await descend(objective, start, 60, async () => false);
        expect(value).toBeGreaterThan(gap.dual - 1e-12 * Math.abs(gap.dual));
      }
    }),
    { numRuns: 40 },
  );
});

test("a layer of one neuron whose gate and the next are always open changes no optimum", async () => {
  await fc.assert(
    fc.asyncProperty(...any, async (shape) => {
      const problem = problemOf(shape);
      const { hidden, first, behind } = problem.gates;
      const ones = Float64Array.from({ length: shape.K }, () => 1);
      // The last neuron's sum is h >= 0, then the ReLU of it, whose gate is open everywhere.
      const deeper = { hidden: [...hidden, 1], first, behind: [...behind, ones] };
      const [less, more] = [problem, { ...problem, gates: deeper }];
      const [a, b] = await Promise.all([less, more].map((each) => solveGatedBranches(each, referenceKernels, BUDGET)));
      expect(b.masks).toBe(a.masks);
      expect(b.gap.primal).toBe(a.gap.primal);
      expect(b.gap.dual).toBe(a.gap.dual);
    }),
    { numRuns: 20 },
  );
});

test("more branches are drawn behind those of fewer, and equal ones are found", () => {
  fc.assert(
    fc.property(...any, ({ hidden, d, K, seed }) => {
      const [few, many] = [drawBranchGates(d, hidden, K, seed), drawBranchGates(d, hidden, K + 2, seed)];
      few.behind.forEach((weights, l) => {
        expect(many.behind[l].subarray(0, weights.length)).toEqual(weights);
      });
      const twice = {
        ...few,
        first: { rows: d, cols: 2 * few.first.cols, data: new Float64Array(2 * few.first.data.length) },
        behind: few.behind.map((weights) => Float64Array.from([...weights, ...weights])),
      };
      for (let p = 0; p < d; p++) {
        const row = few.first.data.subarray(p * few.first.cols, (p + 1) * few.first.cols);
        expect(many.first.data.subarray(p * many.first.cols, p * many.first.cols + row.length)).toEqual(row);
        for (const half of [0, 1]) twice.first.data.set(row, (2 * p + half) * row.length);
      }
      const { distinct, branches } = distinctGates(twice);
      expect(distinct).toEqual(few);
      expect(branches).toEqual(Array.from({ length: K }, (_, k) => [k, K + k]));
    }),
  );
});

test("a branch of more than three layers that is charged as a whole is refused in words", () => {
  const problem = problemOf({ hidden: [2, 2], n: 3, d: 1, C: 1, K: 1, seed: 0 });
  expect(refusesGated({ ...problem, charge: "frobenius" })).toMatch(/three layers, got 4/);
  expect(refusesGated(problem)).toBeNull();
});
