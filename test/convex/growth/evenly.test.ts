import { expect, test } from "vitest";
import { evenly } from "../../../src/convex/growth/evenly.js";
import { referenceKernels } from "../../../src/convex/kernels/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { norm } from "../../../src/convex/linear/vectors.js";

/** Windows of a slow series: columns that are nearly the same. */
function windows(n: number, d: number) {
  const draw = gaussianSource(3);
  const data = new Float64Array(n * d);
  for (let k = 0; k < n; k++) {
    const level = draw();
    for (let p = 0; p < d; p++) data[k * d + p] = level + 0.05 * draw();
  }
  return { rows: n, cols: d, data };
}

/** How many different patterns 200 directions make, up to their sign. */
function patterns(X: ReturnType<typeof windows>, turn: (g: Float64Array) => Float64Array): number {
  const draw = gaussianSource(4);
  const seen = new Set<string>();
  for (let i = 0; i < 200; i++) {
    const u = turn(Float64Array.from({ length: X.cols }, draw));
    const signs = Array.from({ length: X.rows }, (_, k) => {
      let sum = 0;
      for (let p = 0; p < X.cols; p++) sum += X.data[k * X.cols + p] * u[p];
      return sum > 0 ? 1 : 0;
    });
    seen.add(signs.map((sign) => sign ^ signs[0]).join(""));
  }
  return seen.size;
}

test("where columns go together, directions that cut evenly make more patterns than random ones, of the same length", () => {
  const X = windows(12, 4);
  expect(patterns(X, (g) => evenly(X, g, referenceKernels))).toBeGreaterThan(1.5 * patterns(X, (g) => g));
  const g = Float64Array.of(1, -2, 0.5, 3);
  expect(norm(evenly(X, g, referenceKernels))).toBeCloseTo(norm(g), 12);
});

test("their products with the rows have the same spread in every direction", () => {
  const X = windows(50, 5);
  const unit = (k: number) => Float64Array.from({ length: 5 }, (_, p) => (p === k ? 1 : 0));
  const image = (u: Float64Array) =>
    Float64Array.from({ length: 50 }, (_, k) => u.reduce((sum, value, p) => sum + value * X.data[k * 5 + p], 0));
  // L^-T e_k are orthogonal in the metric of X'X.
  const images = [0, 1, 2, 3, 4].map((k) => image(evenly(X, unit(k), referenceKernels)));
  for (let a = 0; a < 5; a++) {
    for (let b = 0; b < a; b++) {
      const cosine =
        images[a].reduce((sum, value, k) => sum + value * images[b][k], 0) / norm(images[a]) / norm(images[b]);
      expect(Math.abs(cosine)).toBeLessThan(1e-3);
    }
  }
});

test("what can't be told apart, or costs too much, stays as it is", () => {
  const g = Float64Array.from({ length: 300 }, gaussianSource(5));
  expect(evenly({ rows: 2, cols: 300, data: new Float64Array(600).fill(1) }, g, referenceKernels)).toBe(g);
  const zeros = { rows: 3, cols: 2, data: new Float64Array(6) };
  expect(evenly(zeros, Float64Array.of(1, 2), referenceKernels)).toEqual(Float64Array.of(1, 2));
});
