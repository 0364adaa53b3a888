import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  descended,
  type MovingNeurons,
  networkObjective,
  packed,
  smallNeurons,
} from "../../../src/convex/growth/movingNeurons.js";
import { type Kernels, referenceKernels, wasmKernels } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { norm } from "../../../src/convex/linear/vectors.js";
import { bindLoss } from "../../../src/convex/losses/index.js";
import type { ConvexProgram } from "../../../src/convex/types.js";
import { randomProgram } from "../../helpers/problems.js";

const going = async () => false;
let wasm: Kernels;
beforeAll(async () => {
  wasm = await wasmKernels(1);
});

function neuronsFor({ X, loss }: ConvexProgram, m: number, size: number) {
  const draw = gaussianSource(5);
  const directions = Array.from({ length: m }, (_, j) => ({
    direction: Float64Array.from({ length: X.cols }, draw),
    output: j % loss.outputs,
    sign: j % 2 === 0 ? (1 as const) : (-1 as const),
  }));
  return { ...smallNeurons(directions, X.cols, size), bias: new Float64Array(loss.outputs) };
}

/** The objective in float64, by plain loops, with its gradient. */
function judged(program: ConvexProgram, neurons: MovingNeurons) {
  const x = packed(neurons);
  const gradient = new Float64Array(x.length);
  return { value: networkObjective(program, referenceKernels, neurons.outputs)(x, gradient), gradient };
}

describe("descents whose neurons are multiplied in float32", () => {
  test.each(["meanSquaredError", "binaryCrossentropy", "categoricalCrossentropy", "hinge"] as const)(
    "end at the value that float64 has there, and never above where they began, whatever their steps (%s)",
    async (loss) => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 2, max: 70 }),
          fc.integer({ min: 1, max: 30 }),
          fc.nat(40),
          async (rows, m, steps) => {
            const outputs = loss === "categoricalCrossentropy" ? 3 : 1;
            const program = randomProgram({ loss, cones: true, rows, features: 5, outputs, gates: 1, seed: rows });
            const start = neuronsFor(program, m, 0.1);
            const { neurons, value } = await descended(program, wasm, start, steps, going);
            const there = judged(program, neurons).value;
            expect(Math.abs(value - there)).toBeLessThanOrEqual(1e-10 * Math.abs(there));
            expect(value).toBeLessThanOrEqual(judged(program, start).value * (1 + 1e-12));
          },
        ),
        { numRuns: 25 },
      );
    },
  );

  test("go on where float32 can no longer tell lower from higher, to a gradient that only float64 has", async () => {
    // Rows, targets and weights are positive: no neuron comes near a kink.
    const { X, ...others } = randomProgram({ cones: true, rows: 40, features: 4, gates: 1, seed: 3 });
    const positive = { ...X, data: X.data.map(Math.abs) };
    const y = Float64Array.from({ length: 40 }, (_, k) =>
      positive.data.subarray(4 * k, 4 * k + 4).reduce((a, b) => a + b),
    );
    const loss = bindLoss("meanSquaredError", { rows: 40, cols: 1, data: y });
    const program = { ...others, X: positive, loss };
    const start = neuronsFor(program, 6, 0.1);
    const inside = { ...start, weights: start.weights.map(Math.abs), scales: start.scales.map(Math.abs) };
    const { neurons } = await descended(program, wasm, inside, 4000, going);
    const { gradient } = judged(program, neurons);
    expect(norm(gradient)).toBeLessThan(1e-8 * norm(packed(neurons)));
  });

  test("come as far as those in float64 in as many steps", async () => {
    for (const seed of [1, 2, 3]) {
      const program = randomProgram({ cones: true, rows: 90, features: 8, gates: 1, seed });
      const start = neuronsFor(program, 20, 0.1);
      const [rough, exact] = await Promise.all(
        [wasm, referenceKernels].map((kernels) => descended(program, kernels, start, 60, going)),
      );
      expect(rough.value).toBeLessThan(exact.value * 1.03);
    }
  });
});
