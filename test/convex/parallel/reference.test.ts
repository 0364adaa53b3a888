/** The program of parallel three-layer networks against an independent solver over every block (test/reference/parallel.py), and against descent. */

import { describe, expect, test } from "vitest";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { descend } from "../../../src/convex/linear/lbfgs.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { bindLoss } from "../../../src/convex/losses/index.js";
import { type ParallelProblem, type ParallelSolution, parallelNetworks } from "../../../src/convex/parallel/index.js";
import type { LossName, Matrix } from "../../../src/convex/types.js";
import stored from "../../reference/parallel.json";
import { objectiveOf, viewsOf } from "./networks.js";

const TOLERANCE = 1e-7;

interface Stored {
  readonly loss: string;
  readonly x: readonly (readonly number[])[];
  readonly y: readonly number[];
  readonly beta: number;
  readonly hidden: number;
  readonly charge: string;
  readonly hiddenBias: boolean;
  readonly outputBias: boolean;
  readonly blocks: number;
  readonly optimum: number;
}

const cases = (stored as readonly Stored[]).map((problem) => ({
  ...problem,
  title: `${problem.loss}, ${problem.x.length} rows, ${problem.x[0].length} columns${problem.hiddenBias ? " and ones" : ""}, ${problem.hidden} neurons, ${problem.charge}${problem.outputBias ? ", output bias" : ""}`,
}));

function problemOf({ loss, x, y, beta, hidden, charge, hiddenBias, outputBias }: Stored): ParallelProblem {
  const rows = x.map((row) => (hiddenBias ? [...row, 1] : row));
  const X: Matrix = { rows: rows.length, cols: rows[0].length, data: Float64Array.from(rows.flat()) };
  const Y: Matrix = { rows: y.length, cols: 1, data: Float64Array.from(y) };
  return {
    X,
    loss: bindLoss(loss as LossName, Y),
    outputBias: outputBias ? { ridge: 0 } : null,
    beta,
    hidden: [hidden],
    charge: charge as "sum" | "frobenius",
    blocks: { kind: "enumerate" },
    seed: 0,
  };
}

const solve = (problem: ParallelProblem): Promise<ParallelSolution> =>
  parallelNetworks
    .build(problem)
    .solve(referenceKernels, { tolerance: TOLERANCE, maxIterations: 100, seconds: Number.POSITIVE_INFINITY });

test.each(cases)("the optimum over all blocks is that of an independent solver: $title", async (given) => {
  const solution = await solve(problemOf(given));
  expect(solution.status).toBe("solved");
  expect(solution.exact).toBe(true);
  expect(solution.blocks).toBe(given.blocks);
  expect(solution.gap.relative).toBeLessThanOrEqual(TOLERANCE);
  expect(Math.abs(solution.gap.primal / given.optimum - 1)).toBeLessThan(1e-6);
  expect(solution.gap.dual).toBeLessThanOrEqual(given.optimum * (1 + 1e-8));
  expect(solution.branches.length).toBeLessThanOrEqual(given.x.length);
});

/** The objective of the recovered layers as a network of K branches, by the definition of its regularization. */
function networkOf(problem: ParallelProblem, solution: ParallelSolution): number {
  const [first, second, third] = parallelNetworks.recover(problem, solution).map(({ kernel }) => kernel);
  const { X, loss, beta, hidden, charge } = problem;
  const [m] = hidden;
  const K = second.cols;
  const weights = viewsOf(new Float64Array(K * m * X.cols + K * m + K), K, m, X.cols);
  for (let i = 0; i < K * m; i++) {
    for (let p = 0; p < X.cols; p++) weights.first[i * X.cols + p] = first.data[p * K * m + i];
    weights.second[i] = second.data[i * K + Math.floor(i / m)];
  }
  weights.third.set(third.data);
  return objectiveOf(X, loss, beta, charge === "sum" ? "power" : "path", m, weights);
}

describe.each([
  ["third powers", cases[0], "power", 1.296541],
  ["path regularization", cases[1], "path", 1.182957],
] as const)("three rows, two columns, two neurons a branch: %s", (_, given, charge, printed) => {
  const problem = problemOf(given);

  test("the program over its 630 blocks and the network from it have the printed value", async () => {
    const solution = await solve(problem);
    const half = 1.5; // the printed loss is half a sum of squares, not their mean
    expect(solution.blocks).toBe(630);
    expect(Math.abs(half * solution.gap.primal - printed)).toBeLessThan(1e-6);
    expect(networkOf(problem, solution)).toBeCloseTo(solution.gap.primal, 10);
  });

  test("25 descents from random weights end at it or above, the best of them near", async () => {
    const { X, loss, beta, hidden } = problem;
    const [m] = hidden;
    const { gap } = await solve(problem);
    const K = 6;
    const draw = gaussianSource(1);
    const length = K * m * X.cols + K * m + K;
    let lowest = Number.POSITIVE_INFINITY;
    for (let run = 0; run < 25; run++) {
      const start = Float64Array.from({ length }, () => 0.8 * draw());
      const { value } = await descend(
        (all, gradient) => {
          gradient.fill(0);
          const [at, out] = [all, gradient].map((vector) => viewsOf(vector, K, m, X.cols));
          return objectiveOf(X, loss, beta, charge, m, at, out);
        },
        start,
        400,
        async () => false,
      );
      expect(value).toBeGreaterThan(gap.dual);
      lowest = Math.min(lowest, value);
    }
    expect(lowest / gap.primal).toBeLessThan(1.02);
  });
});
