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

/** A program of gates, its bench and a system over all of them, with pauses that are counted; the `last` says that time is up. */
function factored(rows: number, count: number, last = Number.POSITIVE_INFINITY) {
  const program = randomProgram({ rows, features: 6, gates: count, ridge: 0 });
  const bench = new Workbench(program, host);
  const { products } = bench;
  const asked = { times: 0 };
  const pause = async () => ++asked.times >= last;
  const memory = bench.part(0, program);
  const setting = { program, kernels: host, products, memory, tolerance: 1e-6, pause, late: () => false };
  const gates = Int32Array.from({ length: program.gates.count }, (_, i) => i);
  return { program, bench, system: new GraphSystem(setting), gates, asked };
}

test.each([
  { what: "solves nearly all of a system", shift: 1, drifts: true },
  { what: "that would leave too much of it gives way to one in float64", shift: 1e-7, drifts: false },
])("a factor in float32 $what", async ({ shift, drifts }) => {
  const rows = 300;
  const { program, bench, system, gates } = factored(rows, 4); // of a rank far below the rows
  expect(await system.prepare(gates, shift, 0.5)).toBe(true);
  expect(system.drifts).toBe(drifts);
  expect(system.wantsDigits).toBe(!drifts);
  const b = gaussianMatrix(rows, 1, 4).data;
  const x = b.slice();
  const moves = new Float64Array(gates.length * program.X.cols);
  await system.solve(x, new Float64Array(rows), moves);
  const image = new Float64Array(rows);
  bench.products.forward(
    gates,
    gates.map(() => 0),
    new Float64Array(gates.length).fill(1),
    moves,
    1,
    image,
  );
  const sum = 0.5 * x.reduce((all, value) => all + value, 0);
  expect(norm(image.map((value, k) => value + shift * x[k] + sum - b[k]))).toBeLessThan(1e-3 * norm(b));
  system.dispose();
  bench.dispose();
});

test("a factor is made in pieces, and left where time is up", async () => {
  const whole = factored(1500, 90);
  expect(await whole.system.prepare(whole.gates, 1, 0.5)).toBe(true);
  whole.system.dispose();
  whole.bench.dispose();
  expect(whole.asked.times).toBeGreaterThan(5);
  const cut = factored(1500, 90, 3);
  expect(await cut.system.prepare(cut.gates, 1, 0.5)).toBe(false);
  expect(cut.asked.times).toBeLessThan(6);
  cut.bench.dispose();
});
