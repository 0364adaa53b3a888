/** WebGL where matrices are as large as a texture, or larger: right, or refused before anything is begun. */

import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { afterEach, beforeAll, expect, test } from "vitest";
import { sampleGates } from "../../../src/convex/arrangements/index.js";
import { chooseEngine, type Kernels, referenceKernels } from "../../../src/convex/kernels/index.js";
import { perOutput } from "../../../src/convex/penalties/perOutput.js";
import { solve } from "../../../src/convex/solvers/solve.js";
import { ConvexError } from "../../../src/index.js";
import { expectNear } from "../../helpers/expectNear.js";
import { gaussianMatrix, randomProgram } from "../../helpers/problems.js";

const NAME = "WEBGL_MAX_TEXTURE_SIZE";
let kernels: Kernels;
let real: number;
beforeAll(async () => {
  await tf.setBackend("webgl");
  kernels = (await chooseEngine("webgl")).kernels;
  real = tf.env().getNumber(NAME);
});
afterEach(() => tf.env().set(NAME, real));

/** What is made, or null where it is refused for want of room. */
async function whereRoom<T>(make: () => Promise<T> | undefined): Promise<T | null> {
  try {
    return (await make()) ?? null;
  } catch (error) {
    expect(error).toBeInstanceOf(ConvexError);
    expect((error as ConvexError).code).toBe("engine/unavailable");
    return null;
  }
}

const sizes = fc.record({
  side: fc.integer({ min: 6, max: 12 }),
  n: fc.integer({ min: 1, max: 90 }),
  d: fc.integer({ min: 1, max: 9 }),
  m: fc.integer({ min: 1, max: 12 }),
  C: fc.integer({ min: 1, max: 3 }),
});

test("neurons with all rows are multiplied some at a time, whatever a texture holds", async () => {
  const seen = { made: 0, refused: 0, split: 0 };
  const check = async ({ side, n, d, m, C }: { side: number; n: number; d: number; m: number; C: number }) => {
    const [X, W] = [gaussianMatrix(n, d, 1), gaussianMatrix(m, d, 2).data];
    const [scales, N] = [gaussianMatrix(1, m, 3).data, gaussianMatrix(n, C, 4).data];
    const columns = Int32Array.from({ length: m }, (_, j) => j % C);
    tf.env().set(NAME, side);
    const neurons = await whereRoom(() => kernels.neuronsThere?.(X, C, m));
    if (neurons === null) {
      seen.refused += 1;
      return;
    }
    seen[n * m > 4 * side * side ? "split" : "made"] += 1;
    const [Z, pulls] = [new Float64Array(n * C), new Float64Array(m * d)];
    await neurons.outputs(W, scales, columns, Z);
    neurons.turn(N);
    await neurons.pulls(W, columns, pulls);
    neurons.dispose();
    const [right, pulled] = [new Float64Array(n * C), new Float64Array(m * d)];
    for (let j = 0; j < m; j++) {
      for (let k = 0; k < n; k++) {
        let h = 0;
        for (let p = 0; p < d; p++) h += X.data[k * d + p] * W[j * d + p];
        right[k * C + columns[j]] += scales[j] * Math.max(0, h);
        if (h > 0) for (let p = 0; p < d; p++) pulled[j * d + p] += N[k * C + columns[j]] * X.data[k * d + p];
      }
    }
    expectNear(Z, right, 2e-5);
    expectNear(pulls, pulled, 2e-5);
  };
  await fc.assert(fc.asyncProperty(sizes, check), { numRuns: 20, seed: 1 });
  expect(Math.min(seen.made, seen.refused, seen.split)).toBeGreaterThan(0);
});

test("blocks that have no room are refused, and what is made makes its products", async () => {
  const seen = { made: 0, refused: 0 };
  const check = async ({ side, n, d, m, C }: { side: number; n: number; d: number; m: number; C: number }) => {
    const X = gaussianMatrix(n, d, 1);
    const gates = sampleGates(X, { count: 3 * m, seed: 1 });
    tf.env().set(NAME, side);
    const tensors = tf.memory().numTensors;
    const blocks = await whereRoom(() => kernels.iterate?.(X, gates, C, perOutput));
    if (blocks !== null) {
      const [Z, right] = [new Float64Array(n * C), new Float64Array(n * C)];
      const R = gaussianMatrix(n, C, 4).data;
      await blocks.gradient(R);
      await blocks.step(-1, 0);
      await blocks.forward(Z);
      blocks.dispose();
      const products = referenceKernels.bind(X, gates);
      const g = new Float64Array(gates.count * C * d);
      products.adjoint(R, C, null, g);
      const all = Int32Array.from({ length: gates.count * C }, (_, k) => k);
      const [gate, output] = [all.map((k) => Math.floor(k / C)), all.map((k) => k % C)];
      products.forward(gate, output, new Float64Array(all.length).fill(1), g, C, right);
      expectNear(Z, right, 2e-5);
    }
    seen[blocks === null ? "refused" : "made"] += 1;
    expect(tf.memory().numTensors).toBe(tensors);
  };
  await fc.assert(fc.asyncProperty(sizes, check), { numRuns: 15, seed: 2 });
  expect(Math.min(seen.made, seen.refused)).toBeGreaterThan(0);
});

test("cones that have no room are refused before a step, and the program ends with that", async () => {
  const program = randomProgram({ cones: true, rows: 60, gates: 20 });
  tf.env().set(NAME, 16); // q has 40 x 60 numbers
  const solving = solve(program, kernels, { tolerance: 1e-2, maxIterations: 3, seconds: 60 });
  await expect(solving).rejects.toMatchObject({ code: "engine/unavailable" });
  expect(String(await solving.catch((error) => error))).toMatch(/at most 1024 numbers.*got one of 40 x 60/);
});
