import { describe, expect, test } from "vitest";
import { smallestTrivialBeta } from "../../../../src/convex/certificate/index.js";
import { type Kernels, referenceKernels } from "../../../../src/convex/kernels/index.js";
import { proximalNewton } from "../../../../src/convex/solvers/newton/index.js";
import { SupportRun } from "../../../../src/convex/solvers/newton/supportNewton.js";
import { solve, withProducts } from "../../../../src/convex/solvers/solve.js";
import type { Point, Setting } from "../../../../src/convex/solvers/solver.js";
import { Workbench } from "../../../../src/convex/solvers/workbench.js";
import type { ConvexProgram, LossName, SparseBlocks } from "../../../../src/convex/types.js";
import { randomProgram, unitsProgram } from "../../../helpers/problems.js";

const TIGHT = { tolerance: 1e-9, maxIterations: 500, seconds: 30 };

function makeProgram(loss: LossName, ridge: number | null): ConvexProgram {
  const program = randomProgram({ loss, cones: false, ridge, rows: 40, features: 6, gates: 30, seed: 8 });
  const largest = withProducts(program, referenceKernels, (products) => smallestTrivialBeta(program, products));
  return { ...program, beta: 0.05 * largest };
}

const solved = (program: ConvexProgram, start?: SparseBlocks, kernels: Kernels = referenceKernels) =>
  solve(program, kernels, TIGHT, start);

/** The points of a run without help, until it hands over. */
async function stepsFrom(program: ConvexProgram, from: SparseBlocks, tolerance: number, kernels = referenceKernels) {
  const bench = new Workbench(program, kernels);
  const setting: Setting = {
    program,
    kernels,
    products: bench.products,
    memory: bench.part(0, program),
    tolerance,
    pause: () => Promise.resolve(false),
    late: () => false,
  };
  expect(SupportRun.fits(setting, from)).toBe(true);
  let over = false;
  const run = new SupportRun(setting, from, (blocks) => {
    over = true;
    return proximalNewton.start(setting, blocks);
  });
  const points: Point[] = [];
  while (!over && points.length < 30) {
    points.push(await run.round());
    if (points[points.length - 1].gap.relative <= tolerance) break;
  }
  run.dispose();
  bench.dispose();
  return { points, over };
}

const cases = [
  ["meanSquaredError", null],
  ["meanSquaredError", 0],
  ["meanSquaredError", 0.1],
  ["binaryCrossentropy", 0],
  ["binaryCrossentropy", 0.1],
  ["squaredHinge", null],
  ["huberLoss", 0],
] as const;

describe.each(cases)("from the optimum at a larger beta, %s, ridge %s", (loss, ridge) => {
  test("steps converge quadratically, to the optimum that a cold solve finds", async () => {
    const program = makeProgram(loss, ridge);
    const before = await solved({ ...program, beta: 1.1 * program.beta });
    const { points, over } = await stepsFrom(program, before.blocks, 1e-9);
    expect(over).toBe(false);
    expect(points.length).toBeLessThanOrEqual(6);
    const cold = await solved(program);
    const last = points[points.length - 1].gap;
    expect(Math.abs(last.primal / cold.gap.primal - 1)).toBeLessThanOrEqual(3e-9);
    expect(last.relative).toBeLessThanOrEqual(1e-9);
  });

  test("blocks leave and enter as they do in a cold solve", async () => {
    const program = makeProgram(loss, ridge);
    const before = await solved({ ...program, beta: 2 * program.beta });
    const after = await solved(program, before.blocks);
    const cold = await solved(program);
    const opened = new Set(cold.blocks.index);
    expect(before.blocks.index.some((gate) => !opened.has(gate)) || before.blocks.index.length < opened.size).toBe(
      true,
    );
    const sizes = (blocks: SparseBlocks) => {
      const all = new Float64Array(program.gates.count);
      blocks.index.forEach((gate, k) => {
        const d = program.X.cols;
        all[gate] = Math.hypot(...blocks.vectors.subarray(k * d, (k + 1) * d));
      });
      return all;
    };
    const [a, b] = [sizes(after.blocks), sizes(cold.blocks)];
    const largest = Math.max(...b);
    a.forEach((size, gate) => {
      expect(Math.abs(size - b[gate])).toBeLessThanOrEqual(2e-3 * largest);
    });
  });
});

test("steps on hidden units, which have no masks, converge quadratically too", async () => {
  const { program, kernels } = unitsProgram({ units: 30, rows: 60, beta: 5e-3 });
  const before = await solved({ ...program, beta: 1.1 * program.beta }, undefined, kernels);
  const { points, over } = await stepsFrom(program, before.blocks, 1e-9, kernels);
  expect(over).toBe(false);
  expect(points.length).toBeLessThanOrEqual(6);
  expect(points[points.length - 1].gap.relative).toBeLessThanOrEqual(1e-9);
});

test("from the zero network blocks enter", async () => {
  const program = makeProgram("meanSquaredError", 0);
  const beta = 18 * program.beta; // 0.9 of what keeps all blocks at zero
  const zero = await solved({ ...program, beta: 21 * program.beta });
  expect(zero.blocks.index).toHaveLength(0);
  const { points, over } = await stepsFrom({ ...program, beta }, zero.blocks, 1e-9);
  expect(over).toBe(false);
  const cold = await solved({ ...program, beta });
  expect(cold.blocks.index.length).toBeGreaterThan(0);
  expect(points[points.length - 1].gap.primal / cold.gap.primal).toBeCloseTo(1, 8);
});

test("a point that is good enough stays as it is", async () => {
  const program = makeProgram("meanSquaredError", null);
  const { blocks } = await solved(program);
  const { points } = await stepsFrom(program, blocks, 1e-3);
  expect(points).toHaveLength(1);
  expect(points[0].blocks).toBe(blocks);
});

test("from a start that is far away another run takes over at the best point, and the end is the same", async () => {
  const program = makeProgram("binaryCrossentropy", 0.1);
  const { blocks, gap } = await solved(program);
  const far = { ...blocks, vectors: blocks.vectors.map((value, k) => (k % 2 === 0 ? -30 : 40) * value) };
  const again = await solved(program, far);
  expect(again.status).toBe("solved");
  expect(again.gap.primal / gap.primal).toBeCloseTo(1, 8);
  const broken: Kernels = Object.assign(Object.create(referenceKernels) as Kernels, { cholesky: () => null });
  const before = await solved({ ...program, beta: 1.1 * program.beta });
  const other = await solved(program, before.blocks, broken);
  expect(other.gap.primal).toBeLessThanOrEqual(before.gap.primal);
});

test("programs with cones, patches, several outputs or kinks are for other runs", () => {
  const setting = (program: ConvexProgram) => ({ program }) as Setting;
  const from: SparseBlocks = { index: new Int32Array(0), vectors: new Float64Array(0), bias: new Float64Array(1) };
  const fits = (program: ConvexProgram) => SupportRun.fits(setting(program), from);
  const program = makeProgram("meanSquaredError", null);
  expect(fits(program)).toBe(true);
  expect(fits({ ...program, cones: true })).toBe(false);
  expect(fits({ ...program, pooling: { patches: 4, positions: 1, scale: 1 } })).toBe(false);
  expect(fits(makeProgram("meanAbsoluteError", null))).toBe(false);
});
