import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { enumerateGates, gatesFrom } from "../../../src/convex/arrangements/index.js";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { bindLoss } from "../../../src/convex/losses/index.js";
import { predict } from "../../../src/convex/operators/blocks.js";
import { penalties } from "../../../src/convex/penalties/index.js";
import { type Constraint, solveConstrained } from "../../../src/convex/solvers/constrained.js";
import { solve, withProducts } from "../../../src/convex/solvers/solve.js";
import type { ConvexProgram, Matrix } from "../../../src/convex/types.js";
import { matrixOf, randomProgram, targetsFor } from "../../helpers/problems.js";
import stored from "../../reference/constrained.json";

const budget = { tolerance: 1e-6, maxIterations: 1000, seconds: 30 };
const penaltyFor = { interpolate: "meanAbsoluteError", "max-margin": "hinge" } as const;

function solved(
  constraint: Constraint,
  program: Omit<ConvexProgram, "loss" | "beta" | "penalty">,
  Y: Matrix,
  how = budget,
) {
  const penalised = (weight: number): ConvexProgram => ({
    ...program,
    penalty: penalties.perOutput,
    beta: 1,
    loss: bindLoss(penaltyFor[constraint], Y, new Float64Array(Y.rows).fill(weight)),
  });
  return solveConstrained(constraint, Y.data, penalised, referenceKernels, how);
}

describe.each(stored.problems)("$constraint, $formulation, bias $bias: the reference", (reference) => {
  test("the least penalty is that of an independent solver, and the bound lies at it", async () => {
    const X = matrixOf(reference.X.length, 3, reference.X.flat());
    const generators = matrixOf(reference.generators.length, 3, reference.generators.flat());
    const program = {
      X,
      gates: gatesFrom(X, generators),
      outputBias: reference.bias ? { ridge: 0 } : null,
      cones: reference.formulation === "relu",
    };
    const Y = matrixOf(X.rows, 1, reference.y);
    const { status, gap, violation } = await solved(reference.constraint as Constraint, program, Y);
    expect(status).toBe("solved");
    expect(gap.primal / reference.optimum).toBeCloseTo(1, 7);
    expect(gap.dual / reference.optimum).toBeCloseTo(1, 7);
    expect(violation).toBeLessThan(1e-8);
  });
});

test("XOR on the corners of a square: four neurons of size 1 / sqrt 2 have the largest margin", async () => {
  // Each neuron points at its own corner and sees no other label; all multipliers 1 / sqrt 2 price no direction above one.
  const X = matrixOf(4, 2, [1, 1, -1, -1, 1, -1, -1, 1]);
  const program = { X, gates: enumerateGates(X), outputBias: null, cones: true };
  const { gap, blocks } = await solved("max-margin", program, matrixOf(4, 1, [1, 1, -1, -1]));
  expect(gap.primal).toBeCloseTo(2 * Math.SQRT2, 8);
  expect(blocks.index.length).toBeGreaterThanOrEqual(4);
});

test("constraints are met, the bound never passes the penalty, and beta -> 0 comes to the interpolation", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 999 }), fc.boolean(), async (seed, cones) => {
      const random = randomProgram({ seed, cones, rows: 12, gates: 60 });
      const Y = targetsFor("meanSquaredError", random.X, 1, seed);
      const { blocks, gap, program } = await solved("interpolate", random, Y);
      const Z = new Float64Array(12);
      withProducts(program, referenceKernels, (products) => predict(program, products, blocks, Z));
      for (let k = 0; k < 12; k++) expect(Z[k]).toBeCloseTo(Y.data[k], 7);
      expect(gap.dual).toBeLessThanOrEqual(gap.primal * (1 + 1e-8));
      // The penalty of the regularized optimum rises to the interpolation's as beta falls.
      const penaltyAt = async (beta: number) => {
        const loss = bindLoss("meanSquaredError", Y);
        const { gap: small } = await solve({ ...random, loss, beta }, referenceKernels, { ...budget, tolerance: 1e-8 });
        return small.primal / beta;
      };
      const near = await penaltyAt(1e-5);
      expect(near).toBeLessThanOrEqual(gap.primal * (1 + 1e-6));
      expect(near).toBeGreaterThan(0.99 * gap.primal);
    }),
    { numRuns: 6, seed: 3 },
  );
});

test("gates too few to fit: the bound grows without end, and the status says what to do", async () => {
  const random = randomProgram({ rows: 20, gates: 3 });
  const Y = targetsFor("meanSquaredError", random.X, 1, 1);
  const { status, advice, gap } = await solved("interpolate", random, Y);
  expect(status).toBe("stalled");
  expect(advice).toContain("take more gates");
  expect(gap.primal).toBe(Number.POSITIVE_INFINITY);
  expect(gap.dual).toBeGreaterThan(1e5);
});

test("the budget holds across the stages: a callback stops, rounds are counted on", async () => {
  const random = randomProgram({ rows: 12, gates: 60, cones: true });
  const Y = targetsFor("meanSquaredError", random.X, 1, 1);
  const rounds: number[] = [];
  const onRound = ({ index }: { index: number }) => rounds.push(index) === 4;
  const stopped = await solved("interpolate", random, Y, { ...budget, onRound } as typeof budget);
  expect(stopped.status).toBe("cancelled");
  expect(rounds).toEqual([0, 1, 2, 3]);
  const short = await solved("interpolate", random, Y, { ...budget, maxIterations: 2 });
  expect(short.status).toBe("iterationLimit");
});
