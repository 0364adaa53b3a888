import { expect, test } from "vitest";
import { wasmKernels } from "../../../../src/convex/kernels/index.js";
import { norm } from "../../../../src/convex/linear/vectors.js";
import { GraphSystem } from "../../../../src/convex/solvers/admm/system.js";
import { DENSE_ROWS } from "../../../../src/convex/solvers/systems/newton.js";
import { Workbench } from "../../../../src/convex/solvers/workbench.js";
import type { ConvexProgram } from "../../../../src/convex/types.js";
import { gaussianMatrix, randomProgram, unitsProgram } from "../../../helpers/problems.js";

const rows = DENSE_ROWS + 1;
const host = await wasmKernels();
const units = unitsProgram({ units: 40, rows, kernels: host });
const gated = randomProgram({ rows, features: 1, gates: 2, ridge: 0 });

test.each([
  { of: "hidden units", program: units.program, kernels: units.kernels },
  { of: "gates of one feature", program: gated, kernels: host },
])("beyond the rows that a factor holds, a partial one of all $of solves a system at once", async (how) => {
  const program: ConvexProgram = how.program;
  const { kernels } = how;
  const bench = new Workbench(program, kernels);
  const { products } = bench;
  let asked = 0;
  const pause = async () => ++asked < 0; // once a step of the conjugate gradients
  const memory = bench.part(0, program);
  const system = new GraphSystem({ program, kernels, products, memory, tolerance: 1e-6, pause, late: () => false });
  const gates = Int32Array.from({ length: program.gates.count }, (_, i) => i);
  expect(await system.prepare(gates, 1, 0.5)).toBe(true);
  const b = gaussianMatrix(rows, 1, 4).data;
  const left = new Float64Array(rows);
  await system.solve(b.slice(), left, new Float64Array(gates.length));
  expect(asked).toBeLessThanOrEqual(1);
  expect(norm(left)).toBeLessThan(1e-3 * norm(b));
  system.dispose();
  bench.dispose();
});
