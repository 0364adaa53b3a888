import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  descended,
  type MovingNeurons,
  networkObjective,
  packed,
  smallNeurons,
} from "../../../src/convex/growth/descents/movingNeurons.js";
import { descendsRoughly } from "../../../src/convex/growth/descents/rough.js";
import { Effort } from "../../../src/convex/growth/effort.js";
import { firstState } from "../../../src/convex/growth/state.js";
import { type Kernels, referenceKernels, wasmKernels } from "../../../src/convex/kernels/index.js";
import type { NeuronLayer } from "../../../src/convex/kernels/types.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { norm } from "../../../src/convex/linear/vectors.js";
import { bindLoss } from "../../../src/convex/losses/index.js";
import { Clock } from "../../../src/convex/solvers/clock.js";
import type { ConvexProgram } from "../../../src/convex/types.js";
import { randomProgram } from "../../helpers/problems.js";
import { withKernel } from "../../helpers/withKernel.js";

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

type Rough = NonNullable<Kernels["neurons"]>;

/** The engine's own passes in float32. */
function made(kernels: Kernels, ...all: Parameters<Rough>): NeuronLayer {
  if (kernels.neurons === undefined) throw new Error("The engine multiplies no neurons in float32.");
  return kernels.neurons(...all);
}

/** A clock on which time stands still, a twentieth of a second before the end. */
class Stopped extends Clock {
  constructor() {
    super(1, () => false);
  }
  override get left(): number {
    return 0.05;
  }
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

  test("never end above where they began, wherever float32 has led, and count the steps that led nowhere", async () => {
    const program = randomProgram({ cones: true, rows: 40, features: 5, gates: 1, seed: 2 });
    const start = neuronsFor(program, 8, 0.1);
    // Neurons that say the opposite: what falls there rises here.
    const misled = withKernel(wasm, "neurons", (...all) => {
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
      const ours = await descended(program, misled, start, steps, going);
      const plain = await descended(program, withKernel(wasm, "neurons", null), start, steps, going);
      expect(ours.value).toBeLessThanOrEqual(judged(program, start).value);
      expect(ours.value).toBe(plain.value);
      expect(ours.steps).toBe(2 * plain.steps);
    }
  });

  test.each([
    [3, true],
    [1000, false],
    [1e6, false],
  ])(
    "of many columns with a mean of %d times their spread: in float32 is %s, and they fall as far",
    async (offset, roughly) => {
      // More columns than axes are made of.
      const { X, ...others } = randomProgram({ cones: true, rows: 24, features: 260, gates: 1, seed: 4 });
      const data = X.data.map((value, k) => (k % 260 === 7 ? 1 : value + offset)); // one is constant
      const program = { ...others, X: { ...X, data } };
      const start = neuronsFor(program, 4, 1e-3 / offset);
      let asked = 0;
      const counting = withKernel(wasm, "neurons", (...all) => {
        asked += 1;
        return made(wasm, ...all);
      });
      const ours = await descended(program, counting, start, 15, going);
      const plain = await descended(program, withKernel(wasm, "neurons", null), start, 15, going);
      expect(asked).toBe(roughly ? 1 : 0);
      expect(await descendsRoughly(program, counting, 4, going)).toBe(roughly);
      expect(ours.value).toBeLessThan(judged(program, start).value);
      expect(ours.value).toBeLessThan(plain.value * 1.05);
    },
  );

  test("give up float32 after a few steps where it tells no fall, and say how many were made of both", async () => {
    const program = randomProgram({ cones: true, rows: 60, features: 5, gates: 1, seed: 5 });
    const near = await descended(program, wasm, neuronsFor(program, 6, 0.1), 1500, going);
    const evaluations = { rough: 0, exact: 0 };
    const counting = withKernel(wasm, "neurons", (...all) => {
      const layer = made(wasm, ...all);
      const forward: NeuronLayer["forward"] = (...more) => {
        evaluations.rough += 1;
        layer.forward(...more);
      };
      return { forward, backward: layer.backward.bind(layer), dispose: layer.dispose.bind(layer) };
    });
    let turns = 0;
    const counted = async () => {
      turns += 1;
      return false;
    };
    const again = await descended(program, counting, near.neurons, 300, counted);
    expect(again.value).toBeLessThanOrEqual(near.value * (1 + 1e-12)); // it turns into axes of the data and back
    expect(evaluations.rough).toBeGreaterThan(0);
    expect(evaluations.rough).toBeLessThan(150);
    expect(again.steps).toBeLessThanOrEqual(turns);
  });

  test("are told apart from others when neurons are counted that time suffices for", async () => {
    const program = randomProgram({ cones: true, rows: 30, features: 4, gates: 900, seed: 6 });
    const numberOf = async (kernels: Kernels) => {
      let count = 0;
      const effort = new Effort(program, true);
      effort.affordable = (_, neurons) => {
        count = neurons;
        return 0;
      };
      await firstState(program, kernels, new Stopped(), effort);
      return count;
    };
    const full = withKernel(wasm, "neurons", () => {
      throw new RangeError("no memory");
    });
    const exactly = await numberOf(withKernel(wasm, "neurons", null));
    expect(await numberOf(full)).toBe(exactly);
    expect(await numberOf(wasm)).toBeGreaterThan(1.9 * exactly);
    expect(exactly).toBeGreaterThan(100);
  });
});
