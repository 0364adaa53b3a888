import { expect, test } from "vitest";
import { GapJudge } from "../../../../src/convex/certificate/index.js";
import { referenceKernels } from "../../../../src/convex/kernels/index.js";
import { dualPointAtZero } from "../../../../src/convex/operators/dualPoint.js";
import { lowerPrices } from "../../../../src/convex/solvers/admm/loweredPrices.js";
import { solve } from "../../../../src/convex/solvers/solve.js";
import type { Setting } from "../../../../src/convex/solvers/solver.js";
import { Workbench } from "../../../../src/convex/solvers/workbench.js";
import { WorkingSet } from "../../../../src/convex/solvers/workingSet.js";
import type { ConvexProgram } from "../../../../src/convex/types.js";
import { gaussianMatrix, randomProgram } from "../../../helpers/problems.js";

function settingOf(program: ConvexProgram, late = false): Setting & { readonly working: WorkingSet } {
  const { products, part } = workbenchOf(program);
  const prices = new Float64Array(2 * program.gates.count * program.loss.outputs);
  return {
    program,
    kernels: referenceKernels,
    products,
    memory: part,
    tolerance: 1e-6,
    pause: async () => false,
    late: () => late,
    working: new WorkingSet(program, prices, null, program.gates.count),
  };
}

function workbenchOf(program: ConvexProgram) {
  const bench = new Workbench(program, referenceKernels);
  return { products: bench.products, part: bench.part(0, program) };
}

test.each([1, 2])(
  "prices that noise has raised come down to beta, and the bound comes up (%i outputs)",
  async (outputs) => {
    const program = randomProgram({ cones: true, rows: 60, features: 5, gates: 40, beta: 5e-3, outputs });
    const { dualPoint } = await solve(program, referenceKernels, { tolerance: 1e-8, maxIterations: 200, seconds: 60 });
    const setting = settingOf(program);
    const { products, working } = setting;
    const judge = new GapJudge(program, products);
    const noise = gaussianMatrix(60, outputs, 3).data;
    const size = Math.max(...dualPoint.map(Math.abs));
    let N: Float64Array = dualPoint.map((value, k) => value + 0.02 * size * noise[k]);
    const T = new Float64Array(N.length).fill(1);
    const zero = { index: new Int32Array(0), vectors: new Float64Array(0), bias: new Float64Array(outputs) };
    const bounds = [judge.gap(zero, N).dual];
    const prices = [judge.price(N, 0).largest];
    for (let k = 0; k < 3; k++) {
      const lower = lowerPrices(setting, working, N, T);
      if (lower === null) throw new Error("not lowered");
      N = lower;
      bounds.push(judge.gap(zero, N).dual);
      prices.push(judge.price(N, 0).largest);
    }
    expect(prices[0]).toBeGreaterThan(1.01 * program.beta);
    expect(prices[3]).toBeLessThan(1.001 * program.beta);
    expect(bounds[3]).toBeGreaterThan(bounds[0]);
  },
);

/** N after one lowering, every sample with the same T. */
function loweredOnce({ working, ...setting }: ReturnType<typeof settingOf>, N: Float64Array, T: number) {
  return lowerPrices(setting, working, N, new Float64Array(N.length).fill(T));
}

test("a point that no block prices near beta stays as it is", () => {
  const program = randomProgram({ cones: true });
  const N = dualPointAtZero(program).map((value) => 1e-6 * value);
  expect(loweredOnce(settingOf(program), N, 1)).toEqual(N);
});

test("it answers null when time is up, and where T leaves nothing to move", () => {
  const program = randomProgram({ cones: true, beta: 1e-3 });
  const N = dualPointAtZero(program);
  expect(loweredOnce(settingOf(program, true), N, 1)).toBeNull();
  expect(loweredOnce(settingOf(program), N, 0)).toBeNull();
});

test.each(["hinge", "squaredHinge", "binaryCrossentropy"] as const)(
  "%s: what leaves the domain of the conjugate is not answered",
  (loss) => {
    const answers = Array.from({ length: 12 }, (_, seed) => {
      const program = randomProgram({
        cones: true,
        loss,
        rows: 60,
        features: 5,
        gates: 40,
        beta: 1e-3,
        ridge: null,
        seed,
      });
      // Half of the samples are about where their sign turns.
      const N = dualPointAtZero(program).map((value, k) => (k % 2 === 0 ? 1e-3 * value : value));
      const lower = loweredOnce(settingOf(program), N, 1e-2);
      return lower === null ? null : program.loss.conjugate(lower.map((value) => 0.9 * value));
    });
    expect(answers).toContain(null);
    for (const value of answers) if (value !== null) expect(value).toBeLessThan(Number.POSITIVE_INFINITY);
  },
);
