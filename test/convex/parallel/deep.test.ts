/** The program of parallel ReLU networks of more than three layers against an independent solver (test/reference/deepParallel.py), descents, and programs that it must be equal to. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { bindLoss } from "../../../src/convex/losses/index.js";
import { branchOutputs } from "../../../src/convex/parallel/branch.js";
import { type ParallelProblem, parallelNetworks } from "../../../src/convex/parallel/index.js";
import { type RowOption, rowOptions, type Tree, treesOf } from "../../../src/convex/parallel/pricing/index.js";
import type { LossName } from "../../../src/convex/types.js";
import stored from "../../reference/deepParallel.json";
import { descents, objectiveOf, shapeOf, weightsOf } from "./deepNetworks.js";

const solve = (problem: ParallelProblem, tolerance = 1e-5) =>
  parallelNetworks
    .build(problem)
    .solve(referenceKernels, { tolerance, maxIterations: 100, seconds: Number.POSITIVE_INFINITY });

function problemOf(
  x: readonly (readonly number[])[],
  y: readonly number[],
  hidden: readonly number[],
  more: Partial<ParallelProblem> = {},
): ParallelProblem {
  return {
    X: { rows: x.length, cols: x[0].length, data: Float64Array.from(x.flat()) },
    loss: bindLoss("meanSquaredError", { rows: y.length, cols: 1, data: Float64Array.from(y) }),
    ...{ outputBias: null, beta: 0.02, hidden, charge: "frobenius", blocks: { kind: "enumerate" }, seed: 0 },
    ...more,
  };
}

/** Small rows, some of them integers with zeros and repetitions. */
function drawn(n: number, d: number, hidden: readonly number[], seed: number, more: Partial<ParallelProblem> = {}) {
  const draw = gaussianSource(seed);
  const round = seed % 3 === 0 ? Math.round : (value: number) => value;
  const x = Array.from({ length: n }, () => Array.from({ length: d }, () => round(1.5 * draw())));
  return problemOf(x, Array.from({ length: n }, draw), hidden, more);
}

interface Stored {
  readonly loss: string;
  readonly x: readonly (readonly number[])[];
  readonly y: readonly number[];
  readonly beta: number;
  readonly hidden: readonly number[];
  readonly hiddenBias: boolean;
  readonly outputBias: boolean;
  readonly optimum: number;
}

test.each(stored as readonly Stored[])(
  "the optimum over all blocks is that of an independent solver: $loss, $x.length rows, bias $outputBias",
  async ({ loss, x, y, hidden, beta, hiddenBias, outputBias, optimum }) => {
    const rows = x.map((row) => (hiddenBias ? [...row, 1] : row));
    const bound = bindLoss(loss as LossName, { rows: y.length, cols: 1, data: Float64Array.from(y) });
    const more = { loss: bound, beta, outputBias: outputBias ? { ridge: 0 } : null };
    const solution = await solve(problemOf(rows, y, hidden, more), 3e-6);
    expect(solution.status).toBe("solved");
    expect(solution.exact).toBe(true);
    expect(Math.abs(solution.gap.primal / optimum - 1)).toBeLessThan(3e-6);
    expect(solution.gap.dual).toBeLessThanOrEqual(optimum * (1 + 1e-6));
  },
);

test.each([
  [3, [1, 2], [2]],
  [3, [2, 1], [2]],
  [3, [1, 1, 2], [2]],
  [3, [1, 2, 1], [2]],
  [4, [1, 2], [2]],
  [2, [1, 2, 2], [2, 2]],
] as const)(
  "of %d rows, branches of %j are those of %j: a ReLU behind one neuron changes nothing",
  async (n, deep, flat) => {
    for (const seed of n === 3 ? [1, 2, 3] : [1]) {
      const [more, fewer] = await Promise.all([deep, flat].map((hidden) => solve(drawn(n, 2, hidden, seed), 1e-6)));
      expect([more.status, more.exact]).toEqual(["solved", true]);
      expect(Math.abs(more.gap.primal / fewer.gap.primal - 1)).toBeLessThan(2e-6);
    }
  },
);

test("under powers of norms branches of one neuron above the first layer are those of three layers, L layers equally long", async () => {
  for (const hidden of [
    [2, 1],
    [2, 1, 1],
  ]) {
    const problem = drawn(4, 2, hidden, 2, { charge: "sum" });
    const solution = await solve(problem);
    const flat = await solve({ ...problem, hidden: [2] });
    expect(Math.abs(solution.gap.primal / flat.gap.primal - 1)).toBeLessThan(2e-5);
    const shape = shapeOf("tree", 2, hidden, solution.branches.length);
    const weights = weightsOf(parallelNetworks.recover(problem, solution), shape);
    const value = objectiveOf(problem, shape)(weights, new Float64Array(shape.length));
    expect(Math.abs(value - solution.gap.primal)).toBeLessThan(1e-9);
  }
});

test("no network is below the bound, whether neurons share those below or not, and the program's has its value", async () => {
  const any = [
    fc.integer({ min: 2, max: 3 }),
    fc.integer({ min: 1, max: 2 }),
    fc.constantFrom([2, 2], [1, 2], [2, 1]),
    fc.nat(1e6),
  ] as const;
  await fc.assert(
    fc.asyncProperty(...any, async (n, d, hidden, seed) => {
      const problem = drawn(n, d, hidden, seed, { beta: 0.002 * 10 ** (seed % 3) });
      const solution = await solve(problem);
      expect(solution.status).toBe("solved");
      expect(solution.branches.length).toBeLessThanOrEqual(n);
      const outputs = new Float64Array(n);
      for (const branch of solution.branches) {
        branchOutputs(problem.X, branch).forEach((value, k) => {
          outputs[k] += value;
        });
      }
      const K = Math.max(1, solution.branches.length);
      const draw = gaussianSource(seed + 1);
      const tree = shapeOf("tree", d, hidden, K);
      const own =
        solution.branches.length === 0
          ? new Float64Array(tree.length)
          : weightsOf(parallelNetworks.recover(problem, solution), tree);
      const at = objectiveOf(problem, tree)(own, new Float64Array(tree.length));
      expect(Math.abs(at - solution.gap.primal)).toBeLessThan(1e-9 * (1 + at));
      for (const far of [1e-3, 0.03, 1]) {
        const near = own.map((value) => value + far * draw());
        expect(objectiveOf(problem, tree)(near, new Float64Array(tree.length))).toBeGreaterThanOrEqual(
          solution.gap.dual,
        );
        const shared = shapeOf("shared", d, hidden, K);
        const any = Float64Array.from({ length: shared.length }, () => far * draw());
        expect(objectiveOf(problem, shared)(any, new Float64Array(shared.length))).toBeGreaterThanOrEqual(
          solution.gap.dual,
        );
      }
    }),
    { numRuns: 12, seed: 1 },
  );
});

test("descents end at the optimum or above, the best of them near; those of branches that share neurons, too", async () => {
  const problem = drawn(4, 2, [2, 2], 1, { beta: 0.05 });
  const { gap } = await solve(problem);
  const [tree, shared] = await Promise.all(
    (["tree", "shared"] as const).map((kind) => descents(problem, shapeOf(kind, 2, problem.hidden, 6), 8)),
  );
  for (const value of [...tree, ...shared]) expect(value).toBeGreaterThan(gap.dual);
  expect(Math.min(...tree) / gap.primal).toBeLessThan(1.06);
});

/**
 * Fourth powers of norms of four layers, and beta times the sum of |z| over paths: a branch of one tail attains the charge, and is of three layers.
 * With one neuron of the first layer in a branch it is even of two.
 */
describe("under powers of norms four layers are not the program over paths", () => {
  const x = [0, 1, 2, 3].map((value) => [value, 1]);
  const problem = problemOf(x, [0, 1, 0, 0], [1], { beta: 0.01, charge: "sum" });

  test("whose value networks of four layers do not reach: their optimum is that of two layers", async () => {
    const [two, three] = await Promise.all([[1], [2]].map((hidden) => solve({ ...problem, hidden }, 1e-7)));
    expect(two.gap.dual).toBeGreaterThan(0.0456);
    // Paths of two second-layer neurons, each of a direction of its own, are a branch of three layers.
    expect(three.gap.primal).toBeLessThan(0.0338);
    const shared = await descents(problem, shapeOf("shared", 2, [1, 2], 6), 12);
    for (const value of shared) expect(value).toBeGreaterThan(two.gap.dual);
    expect(Math.min(...shared) / two.gap.primal).toBeLessThan(1.05);
  });

  test("nor where no neuron is shared: two halves of a branch are the root of two dearer than their paths", async () => {
    const three = await solve({ ...problem, hidden: [2] }, 1e-7);
    for (const value of await descents(problem, shapeOf("tree", 2, [1, 2], 6), 12)) {
      expect(value).toBeGreaterThan(1.05 * three.gap.primal);
    }
  });

  test("and it is refused", () => {
    expect(parallelNetworks.refuses({ ...problem, hidden: [1, 2] })).toMatch(
      /one neuron a branch above the first layer/,
    );
  });
});

test("the program over sampled blocks is never below that over all, and never rises with more of them", async () => {
  for (const [hidden, seed] of [
    [[2, 2], 4],
    [[2, 1], 5],
  ] as const) {
    const problem = drawn(3, 2, hidden, seed);
    const all = await solve(problem);
    let before = Number.POSITIVE_INFINITY;
    for (const count of [4, 20]) {
      const some = await solve({ ...problem, blocks: { kind: "sample", count } });
      expect([some.status, some.exact]).toEqual(["solved", false]);
      expect(some.gap.primal).toBeGreaterThanOrEqual(all.gap.dual);
      expect(some.gap.dual).toBeLessThanOrEqual(before);
      before = some.gap.primal;
    }
  }
});

/** What a tree's ReLUs make of the numbers of the second layer. */
function outputOf(tree: Tree, h: readonly number[]): number {
  const left = h.slice();
  const of = ({ children }: Tree): number => {
    if (children.length === 0) return Math.max(0, left.shift() as number);
    return Math.max(
      0,
      children.reduce((sum, child) => sum + child.sign * of(child), 0),
    );
  };
  return of(tree);
}

/** The least of an option's maps; minus infinity beyond its walls. */
function leastOf({ base, moves }: RowOption, h: readonly number[]): number {
  const along = (factors: readonly number[]) => factors.reduce((sum, factor, i) => sum + factor * h[i], 0);
  return moves.reduce((value, { factors, upper }) => {
    const slope = along(factors);
    return slope < 0 ? value + upper * slope : value;
  }, along(base));
}

test("of the options of a row one is what the ReLUs make of it, and none is more", () => {
  const trees = [[2], [2, 2], [1, 3], [1, 2, 2], [1, 1, 2], [1, 3, 2], [1, 2, 2, 1]].flatMap((hidden) =>
    treesOf(hidden),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...trees),
      fc.constantFrom(1 as const, -1 as const),
      fc.nat(1e6),
      (tree, sign, seed) => {
        const draw = gaussianSource(seed);
        const options = rowOptions(tree, sign);
        // Walls meet at integers.
        const h = options[0].base.map(() => (seed % 2 === 0 ? draw() : Math.round(2 * draw())));
        const values = options.map((option) => leastOf(option, h));
        expect(Math.max(...values)).toBeCloseTo(sign * outputOf(tree, h), 12);
      },
    ),
    { numRuns: 2000, seed: 1 },
  );
});
