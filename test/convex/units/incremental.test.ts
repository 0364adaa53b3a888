import { describe, expect, test } from "vitest";
import { enumerateGates } from "../../../src/convex/arrangements/index.js";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { bindLoss, lossNames, lossTraits } from "../../../src/convex/losses/index.js";
import type { LossName } from "../../../src/convex/types.js";
import { outputsOfUnit } from "../../../src/convex/units/hiddenUnits.js";
import { solveIncrementally } from "../../../src/convex/units/incremental.js";
import type { UnitProblem } from "../../../src/convex/units/problem.js";
import { SignPatterns } from "../../../src/convex/units/signUnits.js";
import { searchUnits } from "../../../src/convex/units/unitSearch.js";
import { gaussianMatrix, targetsFor } from "../../helpers/problems.js";

const budget = { tolerance: 1e-6, maxIterations: 5000, seconds: 20 };
const options = { starts: 20, together: 1, seed: 1 };

/** Rows [x, 1] in the plane, and a problem on them. */
function problemOn(rows: number, loss: LossName, activation: UnitProblem["activation"], seed = 1): UnitProblem {
  const plane = gaussianMatrix(rows, 2, seed);
  const data = new Float64Array(rows * 3).map((_, k) =>
    k % 3 === 2 ? 1 : plane.data[Math.floor(k / 3) * 2 + (k % 3)],
  );
  const X = { rows, cols: 3, data };
  const outputs = lossTraits[loss].activation === "softmax" ? 3 : 1;
  const Y = targetsFor(loss, plane, outputs, seed + 1);
  return { X, loss: bindLoss(loss, Y), outputBias: { ridge: 0 }, activation, radius: 4 };
}

/** How lines part points of the plane in general position: by lines beside every two of them, on either side of each. */
function patternsOfLines({ X }: UnitProblem): Float64Array[] {
  const n = X.rows;
  const seen = new Map<string, Float64Array>();
  const at = (k: number) => [X.data[3 * k], X.data[3 * k + 1]];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      if (i === j) continue;
      const [[a, b], [c, d]] = [at(i), at(j)];
      for (const [mine, other] of [
        [1, 1],
        [1, -1],
        [-1, 1],
        [-1, -1],
      ]) {
        const h = Float64Array.from({ length: n }, (_, k) => {
          if (k === i) return mine;
          if (k === j) return other;
          const [x, y] = at(k);
          return (c - a) * (y - b) - (d - b) * (x - a) > 0 ? 1 : -1;
        });
        seen.set(h.join(), h);
      }
    }
  }
  return [...seen.values()];
}

/** min cost'v over A v = b, v >= 0 by the simplex method with Bland's rule, from a basis of unit columns; b >= 0. */
function simplex(A: readonly number[][], b: readonly number[], cost: readonly number[], basis: number[]): number {
  const T = A.map((row, i) => [...row, b[i]]);
  const z = [...cost, 0];
  const eliminate = (row: number[], pivot: number[], factor: number) => {
    if (factor === 0) return;
    pivot.forEach((value, j) => {
      row[j] -= factor * value;
    });
  };
  basis.forEach((column, i) => {
    eliminate(z, T[i], z[column]);
  });
  for (;;) {
    const enter = z.findIndex((value, j) => j < cost.length && value < -1e-10);
    if (enter < 0) return -z[cost.length];
    let leave = -1;
    T.forEach((row, i) => {
      if (row[enter] <= 1e-10) return;
      if (leave < 0) leave = i;
      const [mine, other] = [row[cost.length] / row[enter], T[leave][cost.length] / T[leave][enter]];
      if (mine < other - 1e-12 || (mine <= other + 1e-12 && basis[i] < basis[leave])) leave = i;
    });
    const pivot = T[leave].map((value) => value / T[leave][enter]);
    T.forEach((row, i) => {
      eliminate(row, pivot, i === leave ? 0 : row[enter]);
    });
    T[leave] = pivot;
    eliminate(z, pivot, z[enter]);
    basis[leave] = enter;
  }
}

describe("sign units with the hinge loss", () => {
  test.each([3, 6, 7])("the optimum is that of the linear program over all patterns (draw %i)", async (seed) => {
    const problem = problemOn(9, "hinge", "sign", seed);
    const { X, loss } = problem;
    const beta = 0.03;
    const patterns = patternsOfLines(problem);
    const Y = targetsFor("hinge", { rows: 9, cols: 2, data: X.data.filter((_, k) => k % 3 !== 2) }, 1, seed + 1).data;
    // y_k (sum_j h_jk (a_j+ - a_j-) + c+ - c-) + xi_k - slack_k = 1
    const m = patterns.length;
    const unit = (k: number, at: number, value: number) => (k === at ? value : 0);
    const A = Array.from({ length: 9 }, (_, k) => [
      ...patterns.map((h) => Y[k] * h[k]),
      ...patterns.map((h) => -Y[k] * h[k]),
      Y[k],
      -Y[k],
      ...Array.from({ length: 9 }, (_, i) => unit(k, i, 1)),
      ...Array.from({ length: 9 }, (_, i) => unit(k, i, -1)),
    ]);
    const cost = [...new Array(2 * m).fill(beta), 0, 0, ...new Array(9).fill(1 / 9), ...new Array(9).fill(0)];
    const basis = Array.from({ length: 9 }, (_, k) => 2 * m + 2 + k);
    const optimum = simplex(A, new Array(9).fill(1), cost, basis);
    const { gap, exact, status, units, bias } = await solveIncrementally(
      problem,
      beta,
      referenceKernels,
      budget,
      options,
    );
    expect(status).toBe("solved");
    expect(exact).toBe(true);
    expect(gap.primal).toBeCloseTo(optimum, 6);
    expect(gap.dual).toBeLessThanOrEqual(optimum + 1e-9);
    expect(gap.relative).toBeLessThanOrEqual(1e-6);
    const Z = new Float64Array(9).fill(bias[0]);
    let charge = 0;
    for (const { weights, outputs } of units) {
      charge += beta * Math.abs(outputs[0]);
      outputsOfUnit("sign", X, weights).forEach((h, k) => {
        Z[k] += outputs[0] * h;
      });
    }
    expect(loss.value(Z) + charge).toBeCloseTo(optimum, 6);
  });
});

test.each(lossNames)("sign units are proven over all patterns, whatever the loss (%s)", async (loss) => {
  const problem = problemOn(20, loss, "sign", lossTraits[loss].activation === "softmax" ? 1 : 3);
  const { gap, exact, status, bestRatio } = await solveIncrementally(problem, 0.02, referenceKernels, budget, options);
  expect(status).toBe("solved");
  expect(exact).toBe(true);
  expect(gap.relative).toBeLessThanOrEqual(1e-6);
  expect(gap.relative).toBeGreaterThan(-1e-9);
  expect(bestRatio).toBeLessThanOrEqual(1 + 1e-6);
});

test("SignPatterns knows the patterns that lines make, and names a unit for each", () => {
  const problem = problemOn(9, "hinge", "sign");
  const all = SignPatterns.of(problem.X);
  const drawn = patternsOfLines(problem);
  expect(all).not.toBeNull();
  expect(enumerateGates(problem.X).count).toBe(drawn.length);
  const N = gaussianMatrix(9, 1, 5).data;
  const value = (h: Float64Array) => Math.abs(h.reduce((sum, s, k) => sum + s * N[k], 0));
  const dearest = all?.dearest(N, 4) ?? [];
  const best = drawn.map(value).sort((a, b) => b - a);
  // A pattern and its opposite are worth the same.
  expect(dearest.map((entry) => entry.value)).toEqual(best.slice(0, 4).map((v) => expect.closeTo(v, 12)));
  for (const { gate, value: worth } of dearest) {
    const weights = all?.weightsOf(gate) ?? new Float64Array(3);
    expect(value(outputsOfUnit("sign", problem.X, weights.map(Math.fround)))).toBeCloseTo(worth, 12);
  }
});

describe("tanh units", () => {
  test("the search ends in the ball with the value that it says, and near the best of a fine grid", () => {
    const { X } = problemOn(12, "meanSquaredError", "tanh");
    const N = gaussianMatrix(12, 1, 3).data;
    const worth = (w: Float64Array) => Math.abs(outputsOfUnit("tanh", X, w).reduce((sum, h, k) => sum + h * N[k], 0));
    const draw = gaussianSource(2);
    const starts = Array.from({ length: 60 }, () => Float64Array.from({ length: 3 }, draw));
    const found = searchUnits(referenceKernels, X, N, starts, "tanh", 4);
    for (const { weights, value } of found) {
      expect(Math.hypot(...weights)).toBeLessThanOrEqual(4 * (1 + 1e-12));
      expect(value).toBeCloseTo(worth(weights), 12);
    }
    const best = Math.max(...found.map(({ value }) => value));
    for (let k = 0; k < 20_000; k++) {
      const w = Float64Array.from({ length: 3 }, draw);
      const length = Math.hypot(...w);
      expect(worth(w.map((value) => (4 * value) / length))).toBeLessThanOrEqual(best * (1 + 1e-3));
    }
  });

  test("a search that finds nothing more ends it; stopped before, the objective is higher", async () => {
    const problem = problemOn(15, "squaredHinge", "tanh", 3);
    const solved = await solveIncrementally(problem, 0.05, referenceKernels, { ...budget, tolerance: 1e-3 }, options);
    expect(solved.status).toBe("solved");
    expect(solved.bestRatio).toBeLessThanOrEqual(1 + 1e-3);
    const short = await solveIncrementally(problem, 0.05, referenceKernels, { ...budget, maxIterations: 3 }, options);
    expect(short.status).toBe("iterationLimit");
    expect(short.gap.primal).toBeGreaterThan(solved.gap.primal);
    // Tanh units are averages of sign units: their networks cannot be better.
    const sign = await solveIncrementally({ ...problem, activation: "sign" }, 0.05, referenceKernels, budget, options);
    expect(sign.gap.dual).toBeLessThanOrEqual(solved.gap.primal);
  });
});
