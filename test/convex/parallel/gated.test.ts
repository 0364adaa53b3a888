/** Programs of gated branches against an independent solver (test/reference/gated_branches.py), descents of the network, and two layers. */

import { describe, expect, test } from "vitest";
import { gatesFrom } from "../../../src/convex/arrangements/index.js";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { descend } from "../../../src/convex/linear/lbfgs.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { bindLoss } from "../../../src/convex/losses/index.js";
import {
  type BranchGates,
  type BranchLayers,
  branchCount,
  branchLayerCharge,
  branchLayerOutputs,
  branchLayers,
  distinctGates,
  drawBranchGates,
  type GatedBranchProblem,
  type GatedBranchSolution,
  solveGatedBranches,
} from "../../../src/convex/parallel/gated/index.js";
import { posing } from "../../../src/convex/parallel/gated/program.js";
import { penalties } from "../../../src/convex/penalties/index.js";
import { solve } from "../../../src/convex/solvers/solve.js";
import type { LossName, Matrix } from "../../../src/convex/types.js";
import stored from "../../reference/gated_branches.json";
import { describeOpen, networkObjective, weightsOf } from "./gatedNetworks.js";

const TOLERANCE = 1e-6;
const BUDGET = { tolerance: TOLERANCE, maxIterations: 2000, seconds: Number.POSITIVE_INFINITY };

const matrix = (rows: readonly (readonly number[])[]): Matrix => ({
  rows: rows.length,
  cols: rows[0].length,
  data: Float64Array.from(rows.flat()),
});

const cases = stored.map((given) => ({
  ...given,
  title: `${given.loss}, ${given.hidden.length + 2} layers, ${given.y[0].length} outputs, ${given.charge === "sum" ? "paths" : "branches"} charged`,
}));

function problemOf({
  loss,
  x,
  y,
  beta,
  charge,
  outputBias,
  hidden,
  first,
  behind,
}: (typeof stored)[number]): GatedBranchProblem {
  const [K, d, m] = [first.length, first[0].length, first[0][0].length];
  const G = { rows: d, cols: K * m, data: new Float64Array(d * K * m) };
  first.forEach((rows, k) => {
    rows.forEach((row, p) => {
      G.data.set(row, p * K * m + k * m);
    });
  });
  return {
    X: matrix(x),
    loss: bindLoss(loss as LossName, matrix(y)),
    outputBias: outputBias ? { ridge: 0 } : null,
    beta,
    gates: { hidden, first: G, behind: behind.map((weights) => Float64Array.from(weights.flat(2))) },
    charge: charge as "sum" | "frobenius",
  };
}

function layersOf({ loss, gates, charge }: GatedBranchProblem, { branches }: GatedBranchSolution) {
  const K = Math.max(branchCount(gates), branches.length);
  return branchLayers(branches, gates, charge, loss.outputs, K);
}

function objectiveOf({ X, loss, beta, charge }: GatedBranchProblem, layers: BranchLayers, bias: Float64Array) {
  return loss.value(branchLayerOutputs(X, layers, bias)) + beta * branchLayerCharge(layers, charge);
}

test.each(cases)("the optimum is that of an independent solver, and the layers have it: $title", async (given) => {
  const problem = problemOf(given);
  const solution = await solveGatedBranches(problem, referenceKernels, BUDGET);
  expect(solution.status).toBe("solved");
  expect(solution.gap.relative).toBeLessThanOrEqual(TOLERANCE);
  expect(Math.abs(solution.gap.primal / given.optimum - 1)).toBeLessThan(2 * TOLERANCE);
  expect(solution.gap.dual).toBeLessThanOrEqual(given.optimum * (1 + 1e-7));
  expect(objectiveOf(problem, layersOf(problem, solution), solution.bias)).toBeCloseTo(solution.gap.primal, 10);
});

describe.each(cases.filter(({ loss }) => loss !== "hinge"))("descent of the network: $title", (given) => {
  test("is at the optimum where the layers are what is returned, and comes back to it from nearby", async () => {
    const problem = problemOf(given);
    const solution = await solveGatedBranches(problem, referenceKernels, BUDGET);
    const layers = layersOf(problem, solution);
    const objective = networkObjective(problem, describeOpen({ ...problem, gates: layers.gates }, 1));
    const at = weightsOf(layers, solution.bias);
    const slope = new Float64Array(at.length);
    expect(objective(at, slope)).toBeCloseTo(solution.gap.primal, 10);
    const draw = gaussianSource(7);
    const near = at.map((weight) => weight + 0.02 * draw());
    const { value } = await descend(objective, near, 2000, async () => false);
    expect(value).toBeGreaterThan(solution.gap.dual);
    expect(value / solution.gap.primal).toBeLessThan(1 + 1e-4);
  });

  test("ends at the optimum or above it, the best run near", async () => {
    const problem = problemOf(given);
    const { gap } = await solveGatedBranches(problem, referenceKernels, BUDGET);
    const { loss, gates } = problem;
    const C = loss.outputs;
    const paths = gates.hidden.reduce((all, m) => all * m, 1);
    const tails = paths / gates.hidden[0];
    // Branches behind the same gates.
    const each = C === 1 ? tails : given.charge === "sum" ? paths * C : C;
    const open = describeOpen(problem, each);
    const draw = gaussianSource(2);
    let lowest = Number.POSITIVE_INFINITY;
    for (let run = 0; run < (C === 1 ? 5 : 2); run++) {
      const start = Float64Array.from({ length: open.length }, () => 0.5 * draw());
      const { value } = await descend(networkObjective(problem, open), start, 500, async () => false);
      expect(value).toBeGreaterThan(gap.dual);
      lowest = Math.min(lowest, value);
    }
    expect(lowest / gap.primal).toBeLessThan(1.01);
  });
});

test("branches of one neuron whose second gate is always open are a gated network of two layers", async () => {
  const draw = gaussianSource(3);
  const X = { rows: 20, cols: 3, data: Float64Array.from({ length: 60 }, draw) };
  const loss = bindLoss("meanSquaredError", { rows: 20, cols: 2, data: Float64Array.from({ length: 40 }, draw) });
  const { hidden, first, behind } = drawBranchGates(3, [1], 8, 4);
  const gates: BranchGates = { hidden, first, behind: behind.map((weights) => weights.map(Math.abs)) };
  const generators = {
    rows: 8,
    cols: 3,
    data: Float64Array.from({ length: 24 }, (_, k) => first.data[(k % 3) * 8 + Math.floor(k / 3)]),
  };
  const common = { X, loss, beta: 0.03, outputBias: { ridge: 0 } };
  const two = { ...common, gates: gatesFrom(X, generators), penalty: penalties.nuclear, cones: false };
  const { gap } = await solve(two, referenceKernels, BUDGET);
  for (const charge of ["sum", "frobenius"] as const) {
    const three = await solveGatedBranches({ ...common, gates, charge }, referenceKernels, BUDGET);
    expect(Math.abs(three.gap.primal / gap.primal - 1)).toBeLessThan(2 * TOLERANCE);
  }
});

test("more branches never raise the optimum, and a charge that nothing pays leaves none", async () => {
  const draw = gaussianSource(5);
  const X = { rows: 16, cols: 3, data: Float64Array.from({ length: 48 }, draw) };
  const loss = bindLoss("meanSquaredError", { rows: 16, cols: 1, data: Float64Array.from({ length: 16 }, draw) });
  const common = { X, loss, outputBias: { ridge: 0 } };
  for (const charge of ["sum", "frobenius"] as const) {
    let before = Number.POSITIVE_INFINITY;
    for (const K of [2, 4, 8]) {
      const gates = drawBranchGates(3, [2], K, 6);
      const { gap } = await solveGatedBranches({ ...common, beta: 0.05, gates, charge }, referenceKernels, BUDGET);
      expect(gap.dual).toBeLessThanOrEqual(before);
      before = gap.primal;
    }
    const gates = drawBranchGates(3, [2], 4, 6);
    const { branches, status } = await solveGatedBranches(
      { ...common, beta: 100, gates, charge },
      referenceKernels,
      BUDGET,
    );
    expect([status, branches.length]).toEqual(["solved", 0]);
  }
});

test("masks and the judge's outputs are made in pieces, each of few products, and equal gates are found whatever their number", () => {
  const draw = gaussianSource(6);
  const [n, d, m, K] = [64, 64, 16, 256];
  const X = { rows: n, cols: d, data: Float64Array.from({ length: n * d }, draw) };
  const loss = bindLoss("meanSquaredError", { rows: n, cols: 1, data: Float64Array.from({ length: n }, draw) });
  const gates = drawBranchGates(d, [m], K, 1);
  const work = posing({ X, loss, outputBias: null, beta: 1, gates, charge: "sum" });
  let pieces = 0;
  while (work.next(false).done !== true) pieces += 1;
  expect(pieces).toBeGreaterThanOrEqual((n * d * m * K) / 2 ** 24);
  const some = drawBranchGates(2, [1], 20_000, 1);
  const twice = {
    hidden: [1],
    first: { ...some.first, cols: 40_000, data: new Float64Array(80_000) },
    behind: [new Float64Array(40_000)],
  };
  for (let k = 0; k < 40_000; k++) {
    const from = k % 20_000;
    twice.behind[0][k] = some.behind[0][from];
    for (const p of [0, 1]) twice.first.data[p * 40_000 + k] = some.first.data[p * 20_000 + from];
  }
  const { distinct, branches } = distinctGates(twice);
  expect(distinct).toEqual(some);
  expect(branches.every((all, k) => all.length === 2 && all[0] === k && all[1] === k + 20_000)).toBe(true);
});

test("a solve that is told to end among the gates has no branches, and a bound below its bias alone", async () => {
  const draw = gaussianSource(8);
  const matrixOf = (cols: number) => ({ rows: 700, cols, data: Float64Array.from({ length: 700 * cols }, draw) });
  const loss = bindLoss("meanSquaredError", matrixOf(2));
  const given = { X: matrixOf(3), loss, outputBias: { ridge: 0 }, beta: 0.05, gates: drawBranchGates(3, [2], 4, 1) };
  for (const charge of ["sum", "frobenius"] as const) {
    const whole = await solveGatedBranches({ ...given, charge }, referenceKernels, { ...BUDGET, tolerance: 1e-3 });
    expect(whole.status).toBe("solved");
    for (const [seconds, stopped, status] of [
      [0, false, "timeLimit"],
      [9, true, "cancelled"],
    ] as const) {
      const budget = { ...BUDGET, seconds, stopped: () => stopped };
      const solution = await solveGatedBranches({ ...given, charge }, referenceKernels, budget);
      expect(solution).toMatchObject({ status, branches: [] });
      const Z = Float64Array.from({ length: 1400 }, (_, k) => solution.bias[k % 2]);
      const { primal, dual, relative } = solution.gap;
      expect(primal).toBeCloseTo(loss.value(Z), 12);
      expect(primal).toBeGreaterThan(whole.gap.dual);
      expect(dual).toBeLessThan(whole.gap.primal);
      expect(relative).toBeGreaterThan(0);
    }
  }
});
