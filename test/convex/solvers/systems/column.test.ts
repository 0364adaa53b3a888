import { expect, test } from "vitest";
import { bindProducts, referenceKernels, wasmKernels } from "../../../../src/convex/kernels/index.js";
import { columnSums, norm } from "../../../../src/convex/linear/vectors.js";
import { everyVector } from "../../../../src/convex/operators/blocks.js";
import { GraphSystem, hasFewColumns } from "../../../../src/convex/solvers/admm/system.js";
import { FaceSpans } from "../../../../src/convex/solvers/faceSpans.js";
import type { Setting } from "../../../../src/convex/solvers/solver.js";
import { ColumnSystem } from "../../../../src/convex/solvers/systems/column.js";
import { DENSE_ROWS } from "../../../../src/convex/solvers/systems/newton.js";
import { type Pool, randomConvProgram } from "../../../helpers/convProblems.js";
import { gaussianMatrix } from "../../../helpers/problems.js";

const gates = Int32Array.of(4, 0, 2);
const shift = 0.3;

function settingOf(pool: Pool, samples: number, over = false): Setting {
  const program = randomConvProgram({ pool, samples, gates: 6, features: 2, outputs: 2, cones: false });
  return {
    program,
    kernels: referenceKernels,
    products: bindProducts(program, referenceKernels),
    memory: { judge: null, run: null, spans: new FaceSpans() },
    tolerance: 1e-6,
    pause: async () => over,
    late: () => over,
  };
}

/** A [n x m] of these gates, gate by gate and position by position. */
function columnsOf({ program, products }: Setting): Float64Array[] {
  const { X, loss, pooling } = program;
  const unit = (p: number) => Float64Array.from({ length: X.cols }, (_, q) => Number(p === q));
  return Array.from(gates).flatMap((gate) =>
    Array.from({ length: pooling?.positions ?? 1 }, (_, a) => a).flatMap((a) =>
      Array.from({ length: X.cols }, (_, p) => {
        const column = new Float64Array(loss.rows);
        products.rows(gate, unit(p), 1, column, a);
        return column;
      }),
    ),
  );
}

test.each(["sum", "windows", "flatten"] as const)(
  "%s: what it solves is solved, and A' of that comes with it",
  async (pool) => {
    for (const [bias, tile] of [
      [0, undefined],
      [1.7, undefined],
      [1.7, 1], // each gate and position a tile of its own
    ] as const) {
      const setting = settingOf(pool, 40);
      const { rows: n, outputs: C } = setting.program.loss;
      const system = await ColumnSystem.of(setting, gates, bias, tile);
      const factor = system?.factor(shift);
      if (system == null || factor == null) throw new Error("a factor was expected");
      const b = gaussianMatrix(n, C, 3).data;
      const A = columnsOf(setting);
      const H = b.slice();
      const moves = new Float64Array(A.length * C);
      system.solve(factor, shift, H, moves);
      const expected = new Float64Array(moves.length);
      setting.products.adjoint(H, C, gates, expected);
      for (let k = 0; k < moves.length; k++) expect(moves[k]).toBeCloseTo(expected[k], 10);
      for (let c = 0; c < C; c++) {
        const h = (j: number) => H[j * C + c];
        const seen = A.map((column) => column.reduce((sum, value, j) => sum + value * h(j), 0));
        const total = Array.from({ length: n }, (_, j) => h(j)).reduce((sum, value) => sum + value, 0);
        for (let j = 0; j < n; j++) {
          const made = A.reduce((sum, column, k) => sum + column[j] * seen[k], bias ** 2 * total + shift * h(j));
          expect(made).toBeCloseTo(b[j * C + c], 10);
        }
      }
      factor.dispose();
    }
  },
);

test("a factor with another shift is made from the same matrix, and none when time is up", async () => {
  const system = await ColumnSystem.of(settingOf("sum", 30), gates, 1);
  const solved = [0.1, 5, 0.1].map((shift) => {
    const factor = system?.factor(shift);
    const b = new Float64Array(60).fill(1);
    if (factor != null) system?.solve(factor, shift, b, new Float64Array(12));
    return b;
  });
  expect(solved[2]).toEqual(solved[0]);
  expect(solved[1]).not.toEqual(solved[0]);
  expect(await ColumnSystem.of(settingOf("sum", 30, true), gates, 1)).toBeNull();
  expect(await new GraphSystem(settingOf("sum", 30, true)).prepare(gates, 1, 1)).toBe(false);
});

test.each(["sum", "windows"] as const)("%s: by the rows or by the columns, the solution is the same", async (pool) => {
  const setting = settingOf(pool, 40);
  const { X, loss } = setting.program;
  const byColumns = new GraphSystem(setting);
  expect(await byColumns.prepare(gates, shift, 2)).toBe(true);
  const H = new Float64Array(loss.rows * 2).map((_, k) => Math.sin(k));
  const b = H.slice();
  const size = gates.length * X.cols * 2 * (setting.program.pooling?.positions ?? 1);
  const [moves, others] = [new Float64Array(size), new Float64Array(size)];
  await byColumns.solve(H, new Float64Array(b.length), moves);
  const M = new Float64Array(loss.rows ** 2).fill(2);
  setting.products.addMaskedGram(M, gates, new Float64Array(gates.length).fill(1));
  for (let k = 0; k < loss.rows; k++) M[k * (loss.rows + 1)] += shift;
  const byRows = referenceKernels.cholesky(M, loss.rows);
  byRows?.solve(b, 2);
  setting.products.adjoint(b, 2, gates, others);
  for (let k = 0; k < H.length; k++) expect(H[k]).toBeCloseTo(b[k], 9);
  for (let k = 0; k < size; k++) expect(moves[k]).toBeCloseTo(others[k], 9);
  byColumns.drop();
});

test("with more samples and columns than a factor holds, products solve it, and say what is left", async () => {
  const samples = DENSE_ROWS + 20;
  const kernels = await wasmKernels();
  const wish = { pool: "flatten", patches: 2, samples, gates: 60, features: 50, cones: false, ridge: 0 } as const;
  const program = randomConvProgram(wish);
  const setting = { ...settingOf("sum", 5), program, kernels, products: bindProducts(program, kernels) };
  const all = Int32Array.from({ length: 60 }, (_, i) => i);
  expect(hasFewColumns(program, all.length)).toBe(false);
  const system = new GraphSystem(setting);
  const [large, weight] = [3000, 2];
  expect(await system.prepare(all, large, weight)).toBe(true);
  const b = gaussianMatrix(samples, 1, 3).data;
  const H = b.slice();
  const left = new Float64Array(samples);
  const moves = new Float64Array(60 * 2 * 50);
  await system.solve(H, left, moves);
  expect(norm(left)).toBeLessThan(0.3 * norm(b));
  const seen = new Float64Array(samples);
  const { gate, output, sign } = everyVector(all, 2);
  setting.products.forward(gate, output, sign, moves, 1, seen);
  const [sum] = columnSums(H, 1);
  for (let k = 0; k < samples; k++) expect(seen[k] + weight * sum + large * H[k] + left[k]).toBeCloseTo(b[k], 8);
  system.drop();
  setting.products.dispose();
});
