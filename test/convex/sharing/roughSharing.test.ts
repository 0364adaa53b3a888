import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { descendNeurons } from "../../../src/convex/growth/index.js";
import { type Kernels, referenceKernels, wasmKernels } from "../../../src/convex/kernels/index.js";
import type { NeuronLayer } from "../../../src/convex/kernels/types.js";
import { SharedObjective } from "../../../src/convex/sharing/neurons.js";
import type { ConvexProgram, LossName } from "../../../src/convex/types.js";
import { gaussianMatrix, randomProgram } from "../../helpers/problems.js";
import { withKernel } from "../../helpers/withKernel.js";

const going = async () => false;
let wasm: Kernels;
beforeAll(async () => {
  wasm = await wasmKernels(1);
});

type Rough = NonNullable<Kernels["roughLayer"]>;

function made(kernels: Kernels, ...all: Parameters<Rough>): NeuronLayer {
  if (kernels.roughLayer === undefined) throw new Error("The engine has no layers in float32.");
  return kernels.roughLayer(...all);
}

function problem(loss: LossName, rows: number, m: number, seed: number) {
  const program = randomProgram({ loss, cones: true, rows, features: 5, outputs: 3, ridge: 0.1, gates: 1, seed });
  const start = gaussianMatrix(1, m * (5 + 3) + 3, seed + 1).data.map((value) => 0.3 * value);
  return { program, start };
}

/** In float64, by plain loops. */
function judged(program: ConvexProgram, m: number, x: Float64Array): number {
  return new SharedObjective(program, referenceKernels).over(m)(x, new Float64Array(x.length));
}

function descended(program: ConvexProgram, kernels: Kernels, m: number, start: Float64Array, steps: number) {
  const passes = new SharedObjective(program, kernels).descent(m);
  return descendNeurons(program, kernels, passes, start, steps, going);
}

describe("descents of neurons that feed all outputs, in float32 first", () => {
  test.each(["meanSquaredError", "categoricalCrossentropy", "squaredHinge"] as const)(
    "end at the value that float64 has there, never above where they began, whatever their steps (%s)",
    async (loss) => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 2, max: 70 }),
          fc.integer({ min: 1, max: 30 }),
          fc.nat(40),
          async (rows, m, steps) => {
            const { program, start } = problem(loss, rows, m, rows);
            const { x, value } = await descended(program, wasm, m, start, steps);
            const there = judged(program, m, x);
            expect(Math.abs(value - there)).toBeLessThanOrEqual(1e-10 * Math.abs(there));
            expect(value).toBeLessThanOrEqual(judged(program, m, start) * (1 + 1e-12));
          },
        ),
        { numRuns: 20 },
      );
    },
  );

  test("come as far as those in float64 in as many steps", async () => {
    for (const seed of [1, 2, 3]) {
      const { program, start } = problem("categoricalCrossentropy", 90, 20, seed);
      const rough = await descended(program, wasm, 20, start, 60);
      const exact = await descended(program, referenceKernels, 20, start, 60);
      expect(rough.value).toBeLessThan(exact.value * 1.02);
      expect(exact.value).toBeLessThan(0.7 * judged(program, 20, start));
    }
  });

  test("never end above where they began where float32 leads up, and then make their steps in float64", async () => {
    const { program, start } = problem("meanSquaredError", 40, 8, 2);
    const misled = withKernel(wasm, "roughLayer", (...all) => {
      const layer = made(wasm, ...all);
      const opposite = (A: Float64Array) => A.map((a) => -a);
      return {
        forward: (W, A, Z) => layer.forward(W, opposite(A), Z),
        backward: (W, A, N, inW, inA) => {
          const pulls = new Float64Array(A.length);
          layer.backward(W, opposite(A), N, inW, pulls);
          for (let j = 0; j < A.length; j++) inA[j] -= pulls[j];
        },
        dispose: () => layer.dispose(),
      };
    });
    for (const steps of [1, 3, 9]) {
      const ours = await descended(program, misled, 8, start, steps);
      const plain = await descended(program, withKernel(wasm, "roughLayer", null), 8, start, steps);
      expect(ours.value).toBeLessThanOrEqual(judged(program, 8, start));
      expect(ours.value).toBe(plain.value);
      expect(ours.steps).toBe(2 * plain.steps);
    }
  });

  test("have layers whose activations are too many to be kept", () => {
    const [n, d, m, C] = [18_001, 2, 940, 3];
    const X = gaussianMatrix(n, d, 1);
    const [W, A, N] = [m * d, C * m, n * C].map((size, k) => gaussianMatrix(1, size, k + 2).data);
    const passes = [wasm.layer?.(X, m, C, 0.1), wasm.roughLayer?.(X, m, C, 0.1)].map((layer) => {
      if (layer === undefined) throw new Error("The engine has no layers.");
      const out = [N, W, A].map(({ length }) => new Float64Array(length));
      layer.forward(W, A, out[0]);
      layer.backward(W, A, N, out[1], out[2]);
      layer.dispose();
      return out;
    });
    passes[0].forEach((exact, k) => {
      const size = exact.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const off = exact.reduce((most, value, p) => Math.max(most, Math.abs(value - passes[1][k][p])), 0);
      expect(off).toBeLessThan(5e-6 * size);
    });
  });

  test("leave the engine's memory as it was, also where there is none for a layer in float32", async () => {
    const { program, start } = problem("categoricalCrossentropy", 50, 12, 4);
    let [taken, disposed] = [0, 0];
    const counting = withKernel(wasm, "roughLayer", (...all) => {
      taken += 1;
      const layer = made(wasm, ...all);
      const dispose = () => {
        disposed += 1;
        layer.dispose();
      };
      return { forward: layer.forward.bind(layer), backward: layer.backward.bind(layer), dispose };
    });
    await descended(program, counting, 12, start, 10);
    expect([taken, disposed]).toEqual([1, 1]);
    const full = withKernel(wasm, "roughLayer", () => {
      throw new RangeError("no memory");
    });
    const plain = await descended(program, withKernel(wasm, "roughLayer", null), 12, start, 10);
    expect((await descended(program, full, 12, start, 10)).value).toBe(plain.value);
  });
});
