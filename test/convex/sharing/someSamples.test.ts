/** Descents on some of the samples: what the program on these is, and what is said of all where they were too many. */

import fc from "fast-check";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { type Kernels, referenceKernels, wasmKernels } from "../../../src/convex/kernels/index.js";
import { biasAlone } from "../../../src/convex/operators/dualPoint.js";
import { descendFromRandom } from "../../../src/convex/sharing/begin.js";
import { SharedObjective } from "../../../src/convex/sharing/neurons.js";
import { shareOutputs } from "../../../src/convex/sharing/shareOutputs.js";
import { onSomeSamples } from "../../../src/convex/sharing/someSamples.js";
import type { ConvexProgram, LossName } from "../../../src/convex/types.js";
import { gaussianMatrix, randomProgram } from "../../helpers/problems.js";

const losses: readonly LossName[] = ["meanSquaredError", "squaredHinge", "categoricalCrossentropy"];

/** Row 0 of each sample's patches says which it is; outputs are averaged over them. */
function patched(loss: LossName, samples: number, patches: number): ConvexProgram {
  const program = randomProgram({ loss, cones: true, rows: samples, features: 3, outputs: 3, ridge: 0.1, gates: 1 });
  const X = gaussianMatrix(samples * patches, 3, 7);
  for (let j = 0; j < samples; j++) X.data[j * patches * 3] = j;
  return { ...program, X, pooling: { patches, positions: 1, scale: 1 / patches } };
}

describe.each(losses)("a program on some of its samples (%s)", (loss) => {
  test("charges them what the whole one charges them, with their share of beta", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 30 }), fc.integer({ min: 1, max: 4 }), fc.nat(9), (n, patches, seed) => {
        const program = patched(loss, n, patches);
        const count = Math.ceil(n / 2);
        const some = onSomeSamples(program, count, seed);
        const size = 3 * patches;
        const samples = Int32Array.from({ length: count }, (_, k) => some.X.data[k * size]);
        expect(new Set(samples).size).toBe(count);
        samples.forEach((sample, k) => {
          const rows = program.X.data.subarray(sample * size, (sample + 1) * size);
          expect(some.X.data.subarray(k * size, (k + 1) * size)).toEqual(rows);
        });
        const rest = Int32Array.from({ length: n }, (_, j) => j).filter((j) => !samples.includes(j));
        const Z = gaussianMatrix(n, 3, seed).data;
        const at = (list: Int32Array) => Float64Array.from([...list].flatMap((j) => [...Z.subarray(3 * j, 3 * j + 3)]));
        const others = program.loss.part?.(rest).value(at(rest)) ?? Number.NaN;
        expect(some.loss.value(at(samples)) + others).toBeCloseTo(program.loss.value(Z), 10);
        expect(some.beta / program.beta).toBeCloseTo(count / n, 12);
        expect((some.outputBias?.ridge ?? 0) / (program.outputBias?.ridge ?? 0)).toBeCloseTo(count / n, 12);
      }),
      { numRuns: 20 },
    );
  });

  test("is the whole one where these are all", () => {
    const program = patched(loss, 8, 2);
    expect(onSomeSamples(program, 8, 1)).toBe(program);
  });
});

describe("a descent that has time for few steps on all samples", () => {
  let wasm: Kernels;
  beforeAll(async () => {
    wasm = await wasmKernels(1);
  });

  test.each([
    ["reference", 3e-4],
    ["wasm", 3e-4],
    ["wasm", 3e-3],
    ["wasm", 0],
  ])(
    "is on some of them, judged on all, and never above the network without neurons (%s, %f s)",
    async (engine, seconds) => {
      const kernels = engine === "wasm" ? wasm : referenceKernels;
      const program = patched("categoricalCrossentropy", 300, 4);
      let asked = 0;
      const clock = vi.spyOn(performance, "now").mockImplementation(() => ++asked);
      try {
        const { point, ended, ...drawn } = await descendFromRandom(
          program,
          kernels,
          { seconds },
          { seed: 2, units: 40 },
        );
        expect(ended).toBe(false);
        const objective = new SharedObjective(program, referenceKernels);
        const said = objective.predict(point.neurons);
        expect(Math.abs(point.value / objective.value(point.neurons) - 1)).toBeLessThan(1e-10);
        expect(point.outputs).toHaveLength(said.length);
        point.outputs?.forEach((value, k) => void expect(Math.abs(value - said[k])).toBeLessThan(1e-10));
        const bare = { weights: new Float64Array(0), outputs: new Float64Array(0), bias: biasAlone(program) };
        const none = { gated: false, neurons: [], bias: bare.bias };
        const budget = { tolerance: 1e-3, maxIterations: 200, seconds };
        const options = { starts: 40, seed: 3, units: 40, random: { point, ended, ...drawn } };
        const found = await shareOutputs(program, none, kernels, budget, options);
        expect(found.gap.primal).toBeLessThanOrEqual(Math.min(point.value, objective.value(bare)));
        expect(found.gap.dual).toBeLessThanOrEqual(found.gap.primal);
      } finally {
        clock.mockRestore();
      }
    },
  );
});
