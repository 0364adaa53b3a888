import { describe, expect, test } from "vitest";
import {
  activationsOf,
  type MovingNeurons,
  networkObjective,
  outputsOf,
  packed,
  smallNeurons,
} from "../../../src/convex/growth/descents/movingNeurons.js";
import { scalesOf } from "../../../src/convex/growth/descents/neuronDescent.js";
import { resized } from "../../../src/convex/growth/neuronSizes.js";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { descend } from "../../../src/convex/linear/lbfgs.js";
import { dot, norm } from "../../../src/convex/linear/vectors.js";
import type { ConvexProgram } from "../../../src/convex/types.js";
import { gaussianMatrix, randomProgram } from "../../helpers/problems.js";

/** m random neurons, outputs and signs in turn. */
function randomNeurons({ X, loss }: ConvexProgram, m: number, seed: number): MovingNeurons {
  const W = gaussianMatrix(m, X.cols, seed).data;
  const directions = Array.from({ length: m }, (_, j) => ({
    direction: W.subarray(j * X.cols, (j + 1) * X.cols),
    output: j % loss.outputs,
    sign: Math.floor(j / loss.outputs) % 2 === 0 ? (1 as const) : (-1 as const),
  }));
  return { ...smallNeurons(directions, X.cols, 0.1), bias: new Float64Array(loss.outputs) };
}

function objectiveOf(program: ConvexProgram, neurons: MovingNeurons): number {
  const x = packed(neurons);
  return networkObjective(program, referenceKernels, neurons.outputs)(x, new Float64Array(x.length));
}

/** N' phi_j + beta for neurons at size one, which is no less than zero at the best sizes, and zero where a neuron stays. */
function slopes(program: ConvexProgram, neurons: MovingNeurons, at: MovingNeurons): number[] {
  const { loss, beta, X } = program;
  const N = new Float64Array(loss.rows * loss.outputs);
  loss.gradient(outputsOf(program, referenceKernels, at), N);
  const Phi = activationsOf(program, referenceKernels, neurons);
  const m = neurons.scales.length;
  return Array.from(neurons.scales, (a, j) => {
    const size = Math.abs(a) * norm(neurons.weights.subarray(j * X.cols, (j + 1) * X.cols));
    let pull = 0;
    for (let s = 0; s < loss.rows; s++) pull += N[s * loss.outputs + neurons.outputs[j]] * Phi[s * m + j];
    return pull / size + beta;
  });
}

const going = async () => false;

async function sized(program: ConvexProgram, neurons: MovingNeurons): Promise<MovingNeurons> {
  const after = await resized(program, referenceKernels, neurons, going);
  if (after === null) throw new Error("sizes were expected");
  return after;
}

describe("sizes of neurons with held directions", () => {
  test.each([
    ["meanSquaredError", 1],
    ["meanSquaredError", 3],
    ["binaryCrossentropy", 1],
    ["squaredHinge", 2],
  ] as const)(
    "are those of the lasso: no slope is left, and neurons of size zero are gone (%s, %i outputs)",
    async (loss, outputs) => {
      const program = randomProgram({ loss, outputs, cones: true, rows: 60, features: 5, gates: 1, beta: 0.02 });
      const before = randomNeurons(program, 40, 3);
      const after = await sized(program, before);
      expect(after.scales.length).toBeLessThan(before.scales.length);
      expect(objectiveOf(program, after)).toBeLessThan(objectiveOf(program, before));
      for (const slope of slopes(program, before, after)) expect(slope).toBeGreaterThan(-0.02 * program.beta);
      for (const slope of slopes(program, after, after)) expect(Math.abs(slope)).toBeLessThan(0.02 * program.beta);
    },
  );

  test("with a softmax, whose outputs see each other, the objective falls", async () => {
    const program = randomProgram({ loss: "categoricalCrossentropy", outputs: 3, cones: true, rows: 50, beta: 0.01 });
    const before = randomNeurons(program, 30, 5);
    const after = await sized(program, before);
    expect(objectiveOf(program, after)).toBeLessThan(objectiveOf(program, before));
  });

  test("there are none where the loss has no curvature, neurons are no fewer than the rows, or time is up", async () => {
    const flat = randomProgram({ loss: "hinge", cones: true, rows: 40, gates: 1 });
    const some = randomNeurons(flat, 10, 1);
    expect(await resized(flat, referenceKernels, some, going)).toBe(null);
    const short = randomProgram({ cones: true, rows: 12, gates: 1 });
    const many = randomNeurons(short, 12, 1);
    expect(await resized(short, referenceKernels, many, going)).toBe(null);
    const smooth = randomProgram({ cones: true, rows: 40, gates: 1 });
    expect(await resized(smooth, referenceKernels, some, async () => true)).toBe(null);
  });
});

describe("scales of a descent", () => {
  test("a column larger than all others together moves as their mean, and nothing else is scaled", () => {
    const program = randomProgram({ cones: true, rows: 30, features: 4, gates: 1 });
    expect(scalesOf(program, 2, 2)).toEqual(new Float64Array(2 * 5 + 1).fill(1));
    const data = program.X.data.map((value, k) => (k % 4 === 3 ? 50 : value));
    const scales = scalesOf({ ...program, X: { rows: 30, cols: 4, data } }, 2, 2);
    const others = data.reduce((sum, value, k) => sum + (k % 4 === 3 ? 0 : value ** 2), 0);
    expect(scales[3]).toBeCloseTo(others / 3 / (30 * 2500), 12);
    expect(scales[7]).toBe(scales[3]);
    expect(scales.filter((scale) => scale === 1)).toHaveLength(scales.length - 2);
    const alone = scalesOf({ ...program, X: { rows: 30, cols: 1, data: new Float64Array(30).fill(7) } }, 1, 1);
    expect(alone).toEqual(Float64Array.of(1, 1, 1));
  });

  test("the inverse of the Hessian's diagonal as scales leads to the minimum in fewer steps", async () => {
    const curvature = Float64Array.from({ length: 40 }, (_, p) => 10 ** (p / 8));
    const bowl = (x: Float64Array, gradient: Float64Array) => {
      for (let p = 0; p < x.length; p++) gradient[p] = curvature[p] * (x[p] - 1);
      return (
        dot(
          gradient,
          gradient.map((slope, p) => slope / curvature[p]),
        ) / 2
      );
    };
    const plain = await descend(bowl, new Float64Array(40), 12, going);
    const scaled = await descend(
      bowl,
      new Float64Array(40),
      12,
      going,
      curvature.map((value) => 1 / value),
    );
    expect(scaled.value).toBeLessThan(1e-12);
    expect(plain.value).toBeGreaterThan(1e-3);
  });
});
