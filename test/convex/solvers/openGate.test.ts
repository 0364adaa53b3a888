/** Starts of two linear layers: at the optimum of their own program, whatever rows, weights, outputs and biases. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { gatesFrom } from "../../../src/convex/arrangements/index.js";
import { linear } from "../../../src/convex/formulations/linear.js";
import { chooseEngine } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { bindLoss } from "../../../src/convex/losses/index.js";
import { openGateStart } from "../../../src/convex/solvers/openGate.js";
import { solve } from "../../../src/convex/solvers/solve.js";

const going = async () => false;

test("it begins at the optimum, which the first round of a solver proves", async () => {
  const { kernels } = await chooseEngine("auto", 1);
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        n: fc.integer({ min: 2, max: 60 }),
        d: fc.integer({ min: 1, max: 8 }),
        C: fc.integer({ min: 1, max: 4 }),
        outputBias: fc.constantFrom(null, { ridge: 0 }, { ridge: 0.3 }),
        weighted: fc.boolean(),
        beta: fc.constantFrom(0.5, 0.05, 0.005),
        seed: fc.nat(1000),
      }),
      async ({ n, d, C, outputBias, weighted, beta, seed }) => {
        const draw = gaussianSource(seed);
        const matrix = (cols: number) => ({ rows: n, cols, data: Float64Array.from({ length: n * cols }, draw) });
        const X = matrix(d);
        const weights = weighted ? Float64Array.from({ length: n }, () => 0.1 + Math.abs(draw())) : null;
        const loss = bindLoss("meanSquaredError", matrix(C), weights);
        const gates = gatesFrom(X, { rows: 1, cols: d, data: new Float64Array(d) });
        const program = linear.build({ X, gates, loss, beta, outputBias, pooling: null }, linear.penaltiesFor(C)[0]);
        const start = await openGateStart(program, kernels, 1e-4, going);
        expect(start).not.toBeNull();
        if (start === null) return;
        const budget = { tolerance: 1e-9, maxIterations: 1e4, seconds: 20 };
        const whole = await solve(program, kernels, budget);
        const Z = Float64Array.from({ length: n * C }, (_, k) => start.bias[k % C]);
        const block = new Float64Array(C * d);
        start.index.forEach((c, at) => {
          for (let p = 0; p < d; p++) {
            block[c * d + p] = start.vectors[at * d + p];
            for (let k = 0; k < n; k++) Z[k * C + c] += X.data[k * d + p] * start.vectors[at * d + p];
          }
        });
        const charge = start.bias.reduce((sum, value) => sum + (outputBias?.ridge ?? 0) * value ** 2, 0);
        const value = loss.value(Z) + beta * program.penalty.value(block, C, d) + charge;
        expect(value).toBeGreaterThanOrEqual(whole.gap.dual - 1e-9 * Math.abs(value));
        expect(value - whole.gap.dual).toBeLessThan(1e-5 * value);
      },
    ),
    { numRuns: 40 },
  );
});

test("other losses, gates that are closed somewhere, and patches are none of its programs", async () => {
  const { kernels } = await chooseEngine("auto", 1);
  const X = { rows: 3, cols: 1, data: Float64Array.of(1, -2, 3) };
  const Y = { rows: 3, cols: 1, data: Float64Array.of(0, 1, 1) };
  const parts = { X, beta: 0.1, outputBias: null, pooling: null };
  const gate = (g: number) => gatesFrom(X, { rows: 1, cols: 1, data: Float64Array.of(g) });
  const closed = linear.build({ ...parts, gates: gate(1), loss: bindLoss("meanSquaredError", Y) }, "perOutput");
  const other = linear.build({ ...parts, gates: gate(0), loss: bindLoss("huberLoss", Y) }, "perOutput");
  for (const program of [closed, other]) expect(await openGateStart(program, kernels, 1e-4, going)).toBe(null);
});

test("it asks for a pause at every piece of the rows and every step, and ends when told to", async () => {
  const { kernels } = await chooseEngine("auto", 1);
  const draw = gaussianSource(3);
  const matrix = (cols: number) => ({ rows: 2500, cols, data: Float64Array.from({ length: 2500 * cols }, draw) });
  const X = matrix(3);
  const gates = gatesFrom(X, { rows: 1, cols: 3, data: new Float64Array(3) });
  const loss = bindLoss("meanSquaredError", matrix(2));
  const program = linear.build({ X, gates, loss, beta: 1e-3, outputBias: null, pooling: null }, "perOutput");
  const after = async (asked: number) => {
    let count = 0;
    const start = await openGateStart(program, kernels, 1e-4, async () => ++count > asked);
    return { start, count };
  };
  expect((await after(2)).start).toBe(null);
  const cut = await after(4);
  expect([cut.count, cut.start === null]).toEqual([5, false]);
  expect((await after(100)).count).toBeGreaterThan(5);
});
