import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  descended,
  networkObjective,
  packed,
  smallNeurons,
} from "../../../src/convex/growth/descents/movingNeurons.js";
import { axesOf, neuronMetric } from "../../../src/convex/growth/metric/index.js";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { descend } from "../../../src/convex/linear/lbfgs.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { dot } from "../../../src/convex/linear/vectors.js";
import type { ConvexProgram } from "../../../src/convex/types.js";
import { gaussianMatrix, randomProgram } from "../../helpers/problems.js";

const going = async () => false;

/** A program whose columns go together, as those of tables do: the last is mostly the sum of the others. */
function together(seed: number): ConvexProgram {
  const program = randomProgram({ cones: true, rows: 60, features: 6, gates: 1, seed });
  const { rows, cols, data } = program.X;
  const mixed = data.slice();
  for (let k = 0; k < rows * cols; k += cols) {
    for (let p = 0; p < cols - 1; p++) mixed[k + cols - 1] += 3 * mixed[k + p];
  }
  return { ...program, X: { rows, cols, data: mixed }, beta: program.beta / 20 };
}

function neuronsFor({ X, loss }: ConvexProgram, m: number, size: number) {
  const draw = gaussianSource(3);
  const directions = Array.from({ length: m }, (_, j) => ({
    direction: Float64Array.from({ length: X.cols }, draw),
    output: j % loss.outputs,
    sign: j % 2 === 0 ? (1 as const) : (-1 as const),
  }));
  return { ...smallNeurons(directions, X.cols, size), bias: new Float64Array(loss.outputs) };
}

describe("axes of the data", () => {
  test("columns are orthogonal there, outputs and lengths of neurons are the same, and the way back is the inverse", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer(),
        async (d, n, seed) => {
          const X = gaussianMatrix(n, d, seed);
          const axes = await axesOf(X, referenceKernels, async () => false);
          const w = gaussianMatrix(1, d, seed + 1).data;
          const turned = axes.there(w);
          expect(dot(turned, turned)).toBeCloseTo(dot(w, w), 10);
          axes.back(turned).forEach((value, p) => void expect(value).toBeCloseTo(w[p], 10));
          for (let k = 0; k < n; k++) {
            const row = (data: Float64Array) => data.subarray(k * d, (k + 1) * d);
            expect(dot(row(axes.X.data), turned)).toBeCloseTo(dot(row(X.data), w), 10);
          }
          for (let p = 0; p < d; p++) {
            for (let q = 0; q <= p; q++) {
              let sum = 0;
              for (let k = 0; k < n; k++) sum += axes.X.data[k * d + p] * axes.X.data[k * d + q];
              expect(sum).toBeCloseTo(p === q ? (axes.squares?.[p] ?? Number.NaN) : 0, 8);
            }
          }
        },
      ),
      { numRuns: 20 },
    );
  });
});

test("axes of rows that are made where they are asked for are those of the same rows in memory", async () => {
  const X = gaussianMatrix(40, 6, 3);
  const rows = (from: number, count: number) => X.data.slice(from * 6, (from + count) * 6);
  const lazy = { ...X, block: rows };
  const [held, made] = await Promise.all([X, lazy].map((of) => axesOf(of, referenceKernels, async () => false)));
  expect(made.squares).toEqual(held.squares);
  expect(made.X.data).toEqual(held.X.data);
  expect(made.X.block?.(7, 5)).toEqual(held.X.data.slice(7 * 6, 12 * 6));
});

describe("the metric of neurons", () => {
  test("is the inverse diagonal of the Gauss-Newton Hessian with half of the rows, for weights, what they feed, and the bias", () => {
    const program = randomProgram({ cones: true, rows: 20, features: 2, gates: 1 });
    const { loss, beta } = program;
    const squares = Float64Array.of(3, 5);
    const [w, a] = [Float64Array.of(2, -1), 4];
    const scales = neuronMetric(program, squares, 1, 1, () => 0)(Float64Array.of(...w, a, 0));
    const half = loss.curvature / 2;
    const expected = [half * 16 * 3 + beta, half * 16 * 5 + beta, half * (3 * 4 + 5 * 1) + beta, half * 20 + beta];
    scales.forEach((scale, k) => void expect(scale * expected[k]).toBeCloseTo(1, 12));
  });

  test("lifts the squares along all axes by a hundredth of their sum where neurons feed several outputs", () => {
    const { loss, beta } = randomProgram({ cones: true, rows: 20, features: 2, outputs: 2, gates: 1 });
    const squares = Float64Array.of(199, 1);
    const [w, a] = [Float64Array.of(2, -1), Float64Array.of(4, 3)];
    const scales = neuronMetric({ loss, beta }, squares, 1, 2, () => 0)(Float64Array.of(...w, ...a, 0, 0));
    const half = loss.curvature / 2;
    const [large, small] = [201, 3];
    const said = half * (large * 4 + small * 1) + beta;
    const bias = half * 20 + beta;
    const expected = [half * 25 * large + beta, half * 25 * small + beta, said, said, bias, bias];
    scales.forEach((scale, k) => void expect(scale * expected[k]).toBeCloseTo(1, 12));
  });

  test.each(["meanSquaredError", "binaryCrossentropy", "hinge"] as const)(
    "a descent in it never rises, whatever its steps, and ends where its objective says (%s)",
    async (loss) => {
      const program = { ...randomProgram({ loss, cones: true, rows: 30, features: 4, gates: 1 }) };
      const start = neuronsFor(program, 12, 0.05);
      let before = Number.POSITIVE_INFINITY;
      for (const steps of [0, 1, 5, 20, 60]) {
        const { neurons, value } = await descended(program, referenceKernels, start, steps, going);
        const there = networkObjective(program, referenceKernels, neurons.outputs);
        const x = packed(neurons);
        expect(there(x, new Float64Array(x.length))).toBeCloseTo(value, 10);
        expect(value).toBeLessThanOrEqual(before);
        before = value;
      }
    },
  );

  test("where columns go together it ends below what the same steps without it reach, at every checkpoint", async () => {
    for (const seed of [1, 2, 3]) {
      const program = together(seed);
      const start = neuronsFor(program, 24, 0.02);
      for (const steps of [25, 50, 100, 200]) {
        const ours = await descended(program, referenceKernels, start, steps, going);
        const objective = networkObjective(program, referenceKernels, start.outputs);
        const plain = await descend(objective, packed(start), steps, going);
        expect(ours.value).toBeLessThan(plain.value);
      }
    }
  });

  test("a descent that is asked to be worth its steps ends earlier than one that is not, and says how many it made", async () => {
    const program = together(1);
    const start = neuronsFor(program, 24, 0.02);
    const all = await descended(program, referenceKernels, start, 600, going);
    const some = await descended(program, referenceKernels, start, 600, going, { window: 20, share: 0.05 });
    expect(some.steps).toBeLessThan(all.steps);
    expect(some.steps % 20).toBe(19);
    expect(some.value).toBeGreaterThanOrEqual(all.value);
  });
});
