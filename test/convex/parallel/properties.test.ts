/** What holds of the program of parallel networks on any data: its bound, its network, and more of what there is to choose from. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { bindLoss } from "../../../src/convex/losses/index.js";
import { branchOutputs } from "../../../src/convex/parallel/branch.js";
import { type ParallelProblem, parallelNetworks } from "../../../src/convex/parallel/index.js";
import { objectiveOf, viewsOf } from "./networks.js";

const BUDGET = { tolerance: 1e-5, maxIterations: 100, seconds: Number.POSITIVE_INFINITY };

/** Small rows, some of them integers with zeros and repetitions. */
function problemOf(n: number, d: number, hidden: number, charge: "sum" | "frobenius", seed: number): ParallelProblem {
  const draw = gaussianSource(seed);
  const round = seed % 3 === 0 ? Math.round : (value: number) => value;
  return {
    X: { rows: n, cols: d, data: Float64Array.from({ length: n * d }, () => round(1.5 * draw())) },
    loss: bindLoss("meanSquaredError", { rows: n, cols: 1, data: Float64Array.from({ length: n }, draw) }),
    outputBias: null,
    beta: 0.002 * 10 ** Math.abs(draw()),
    hidden: [hidden],
    charge,
    blocks: { kind: "enumerate" },
    seed: 0,
  };
}

const solve = (problem: ParallelProblem) => parallelNetworks.build(problem).solve(referenceKernels, BUDGET);

const any = [
  fc.integer({ min: 2, max: 5 }),
  fc.integer({ min: 1, max: 2 }),
  fc.integer({ min: 1, max: 3 }),
  fc.constantFrom("sum" as const, "frobenius" as const),
  fc.nat(1e6),
] as const;

test("no network is below the bound, the program's has its value, and its branches are at most as many as rows", async () => {
  await fc.assert(
    fc.asyncProperty(...any, async (n, d, m, charge, seed) => {
      const problem = problemOf(n, d, m, charge, seed);
      const { X, loss, beta } = problem;
      const solution = await solve(problem);
      expect(solution.status).toBe("solved");
      expect(solution.gap.relative).toBeLessThanOrEqual(BUDGET.tolerance);
      expect(solution.branches.length).toBeLessThanOrEqual(n);
      const outputs = new Float64Array(n);
      for (const branch of solution.branches) {
        branchOutputs(X, branch).forEach((value, k) => {
          outputs[k] += value;
        });
      }
      const kind = charge === "sum" ? "power" : "path";
      const draw = gaussianSource(seed + 1);
      const K = Math.max(1, solution.branches.length);
      const length = K * m * d + K * m + K;
      // The network of the recovered layers, and others near it and far from it.
      const own = new Float64Array(length);
      const views = viewsOf(own, K, m, d);
      const [first, second, third] = parallelNetworks.recover(problem, solution).map(({ kernel }) => kernel);
      if (solution.branches.length > 0) {
        for (let i = 0; i < K * m; i++) {
          for (let p = 0; p < d; p++) views.first[i * d + p] = first.data[p * K * m + i];
          views.second[i] = second.data[i * K + Math.floor(i / m)];
        }
        views.third.set(third.data);
      }
      const at = objectiveOf(X, loss, beta, kind, m, views);
      expect(Math.abs(at - solution.gap.primal)).toBeLessThan(1e-9 * (1 + at));
      for (const far of [1e-3, 0.03, 1]) {
        const other = own.map((value) => value + far * draw());
        const value = objectiveOf(X, loss, beta, kind, m, viewsOf(other, K, m, d));
        expect(value).toBeGreaterThanOrEqual(solution.gap.dual * (1 - 1e-12));
      }
    }),
    { numRuns: 25, seed: 1 },
  );
});

test("the program over sampled blocks is never below that over all, and never rises with more of them", async () => {
  await fc.assert(
    fc.asyncProperty(...any, async (n, d, m, charge, seed) => {
      const problem = problemOf(n, d, m, charge, seed);
      const all = await solve(problem);
      let before = Number.POSITIVE_INFINITY;
      for (const count of [2, 8, 32]) {
        const some = await solve({ ...problem, blocks: { kind: "sample", count } });
        expect(some.exact).toBe(false);
        expect(some.status).toBe("solved");
        expect(some.gap.primal).toBeGreaterThanOrEqual(all.gap.dual * (1 - 1e-12));
        expect(some.gap.dual).toBeLessThanOrEqual(before);
        before = some.gap.primal;
      }
    }),
    { numRuns: 8, seed: 2 },
  );
});
