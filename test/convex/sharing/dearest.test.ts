/** The bound of what any neuron that feeds all outputs can be worth, whatever its gate. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { dotAt, norm } from "../../../src/convex/linear/vectors.js";
import { slopeOf } from "../../../src/convex/network.js";
import { meanSquaredNorm } from "../../../src/convex/operators/blocks.js";
import { dearestAtMost } from "../../../src/convex/sharing/dearest.js";
import { SharedObjective } from "../../../src/convex/sharing/neurons.js";
import type { ConvexProgram } from "../../../src/convex/types.js";
import { randomConvProgram } from "../../helpers/convProblems.js";
import { gaussianMatrix, randomProgram } from "../../helpers/problems.js";

/** The rows moved by the same vector. */
function moved(program: ConvexProgram, by: number): ConvexProgram {
  const { X } = program;
  return { ...program, X: { ...X, data: X.data.map((value, k) => value + by * (1 + (k % X.cols))) } };
}

/** |N' S (X u)_+| of the dearest of some directions, each made dearer by turns with its outputs. */
function dearestFound(program: ConvexProgram, N: Float64Array, seed: number): number {
  const objective = new SharedObjective(program, referenceKernels);
  const draw = gaussianSource(seed);
  let most = 0;
  for (let k = 0; k < 10; k++) {
    let u = Float64Array.from({ length: program.X.cols }, draw);
    for (let turn = 0; turn < 6 && norm(u) > 0; turn++) {
      const pulls = objective.pulls(u, N);
      most = Math.max(most, norm(pulls) / norm(u));
      u = steepestFor(program, N, u, pulls);
    }
  }
  return most;
}

/** The direction that is dearest for these outputs where every sum keeps its sign at u. */
function steepestFor({ X, loss, pooling }: ConvexProgram, N: Float64Array, u: Float64Array, outputs: Float64Array) {
  const { cols: d, data } = X;
  const C = loss.outputs;
  const next = new Float64Array(d);
  for (let row = 0; row < X.rows; row++) {
    const sample = Math.floor((row * loss.rows) / X.rows);
    const slope = dotAt(data, row * d, u, 0, d) > 0 ? 1 : slopeOf(pooling);
    const pull = slope * dotAt(N, sample * C, outputs, 0, C);
    for (let p = 0; p < d; p++) next[p] += pull * data[row * d + p];
  }
  return next;
}

const sizes = {
  seed: fc.integer({ min: 1, max: 1e6 }),
  by: fc.constantFrom(0, 0.5, 20),
  C: fc.integer({ min: 1, max: 4 }),
};

test("no direction is dearer, with any slope below zero, wherever the rows lie", () => {
  const slopes = fc.constantFrom(0, 0.2, -1, 1, 3);
  fc.assert(
    fc.property(fc.record({ ...sizes, slope: slopes }), ({ seed, by, C, slope }) => {
      const program = {
        ...moved(randomProgram({ cones: true, rows: 12, features: 3, outputs: C, gates: 2, seed }), by),
        pooling: { patches: 1, positions: 1, scale: 1, negativeSlope: slope },
      };
      const N = gaussianMatrix(12, C, seed + 1).data;
      expect(dearestFound(program, N, seed)).toBeLessThanOrEqual(
        dearestAtMost(program, N, referenceKernels) * (1 + 1e-12),
      );
    }),
    { numRuns: 60 },
  );
});

test.each(["sum", "mean", "windows"] as const)("no direction is dearer over patches (%s)", (pool) => {
  fc.assert(
    fc.property(fc.record(sizes), ({ seed, by, C }) => {
      const program = moved(randomConvProgram({ pool, cones: true, samples: 7, outputs: C, gates: 2, seed }), by);
      const N = gaussianMatrix(7, C, seed + 1).data;
      const most = dearestAtMost(program, N, referenceKernels);
      expect(most).toBeLessThanOrEqual(norm(N) * Math.sqrt(program.loss.rows * meanSquaredNorm(program)));
      if (pool !== "windows") expect(dearestFound(program, N, seed)).toBeLessThanOrEqual(most * (1 + 1e-12));
    }),
    { numRuns: 30 },
  );
});

test("of rows that are all the same it is what their direction costs", () => {
  const program = randomProgram({ cones: true, rows: 9, features: 3, outputs: 2, gates: 2 });
  const row = [3, 4, 12];
  const X = { rows: 9, cols: 3, data: Float64Array.from({ length: 27 }, (_, k) => row[k % 3]) };
  const N = gaussianMatrix(9, 2, 5).data;
  const sums = [0, 1].map((c) => N.reduce((sum, value, k) => sum + (k % 2 === c ? value : 0), 0));
  expect(dearestAtMost({ ...program, X }, N, referenceKernels)).toBeCloseTo(13 * Math.hypot(...sums), 8);
});

test.each([1e160, 1e-160])("numbers that float64 cannot square (%s) leave a bound that is a number", (unit) => {
  const program = randomProgram({ cones: true, rows: 9, features: 3, outputs: 2, gates: 2 });
  const N = gaussianMatrix(9, 2, 5).data;
  const X = { ...program.X, data: program.X.data.map((value) => unit * value) };
  for (const most of [
    dearestAtMost({ ...program, X }, N, referenceKernels),
    dearestAtMost(
      program,
      N.map((value) => unit * value),
      referenceKernels,
    ),
  ])
    expect(most).toBeGreaterThanOrEqual(0);
});

test("where all cancels it is no less than what rounding leaves", () => {
  const X = { rows: 9, cols: 1, data: new Float64Array(9).fill(1) };
  const pooling = { patches: 1, positions: 1, scale: 1, negativeSlope: 0.3 };
  const program = { ...randomProgram({ cones: true, rows: 9, features: 1, outputs: 2, gates: 2 }), X, pooling };
  for (let seed = 1; seed <= 40; seed++) {
    const N = gaussianMatrix(9, 2, seed).data;
    program.loss.balance(N);
    expect(dearestFound(program, N, seed)).toBeLessThanOrEqual(dearestAtMost(program, N, referenceKernels));
  }
});

test("where rows lie far from zero and N is balanced it is a small part of |N| |X|", () => {
  const program = moved(randomProgram({ cones: true, rows: 40, features: 3, outputs: 2, gates: 2 }), 20);
  const N = gaussianMatrix(40, 2, 5).data;
  program.loss.balance(N);
  const plain = norm(N) * Math.sqrt(40 * meanSquaredNorm(program));
  expect(dearestAtMost(program, N, referenceKernels)).toBeLessThan(0.05 * plain);
});
