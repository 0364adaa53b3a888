import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Kernels, wasmKernels } from "../../../src/convex/kernels/index.js";
import { descend } from "../../../src/convex/linear/lbfgs.js";
import { MEMORY, PairMetric, plainPairs } from "../../../src/convex/linear/pairs/index.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import { dot } from "../../../src/convex/linear/vectors.js";

const kernels: Kernels = await wasmKernels(1);
const engines = [
  ["plain", (size: number, count = MEMORY) => plainPairs(size, count)],
  ["wasm", (size: number, count = MEMORY) => kernels.pairs?.(size, count) ?? plainPairs(size, count)],
] as const;

/** Points of a descent of 1/2 x'Ax, A = I + a rank-one term, and its gradients there. */
function walk(size: number, count: number, seed: number) {
  const draw = gaussianSource(seed);
  const u = Float64Array.from({ length: size }, draw);
  const gradientAt = (x: Float64Array) => x.map((value, p) => value + u[p] * dot(u, x));
  const points = Array.from({ length: count + 1 }, () => Float64Array.from({ length: size }, draw));
  return { points, gradients: points.map(gradientAt) };
}

/** H of BFGS by its definition, from factor D, updated by each pair: H+ = (I - r s y') H (I - r y s') + r s s'. */
function dense(
  scales: Float64Array,
  pairs: readonly { readonly s: Float64Array; readonly y: Float64Array }[],
): Float64Array[] {
  const last = pairs[pairs.length - 1];
  const factor =
    dot(last.s, last.y) /
    dot(
      last.y,
      last.y.map((value, p) => value * scales[p]),
    );
  let H = Array.from(scales, (scale, p) => Float64Array.from(scales, (_, q) => (p === q ? factor * scale : 0)));
  for (const { s, y } of pairs) {
    const r = 1 / dot(s, y);
    const Hy = Float64Array.from(H, (row) => dot(row, y));
    const bend = dot(y, Hy);
    H = H.map((row, p) =>
      row.map((value, q) => value - r * (s[p] * Hy[q] + Hy[p] * s[q]) + (r * r * bend + r) * s[p] * s[q]),
    );
  }
  return H;
}

describe.each(engines)("the metric of pairs (%s)", (_, pairsOf) => {
  test("is that of BFGS by its definition, from as many of the last pairs as there is room for, whatever the size", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 23 }),
        fc.integer({ min: 1, max: 14 }),
        fc.integer({ min: 1, max: 12 }),
        fc.nat(1000),
        (size, count, kept, seed) => {
          const { points, gradients } = walk(size, count, seed);
          const scales = Float64Array.from({ length: size }, (_, p) => 1 + (p % 3));
          const room = pairsOf(size, kept);
          expect(room.count).toBe(kept);
          const metric = new PairMetric(size, scales, room);
          for (let k = 0; k < count; k++) metric.learn(points[k], points[k + 1], gradients[k], gradients[k + 1]);
          const gradient = gradients[0];
          const direction = metric.direction(gradient, points[0]).slice();
          room.dispose();
          const rounded = (a: Float64Array, b: Float64Array) => a.map((value, p) => Math.fround(value - b[p]));
          const pairs = Array.from({ length: count }, (_, k) => ({
            s: rounded(points[k + 1], points[k]),
            y: rounded(gradients[k + 1], gradients[k]),
          }));
          const expected = dense(scales, pairs.slice(-kept)).map((row) => -dot(row, gradient));
          const largest = Math.max(...expected.map(Math.abs));
          // What a few pairs in few dimensions leave of digits.
          expected.forEach((value, p) => void expect(Math.abs(direction[p] - value)).toBeLessThan(1e-5 * largest));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("without pairs a step is of length one, against the scaled gradient", () => {
    const metric = new PairMetric(3, Float64Array.of(1, 2, 0.5), pairsOf(3));
    const step = metric.direction(Float64Array.of(3, 2, 0), new Float64Array(3));
    [-0.6, -0.8, 0].forEach((value, p) => void expect(step[p]).toBeCloseTo(value, 14));
    expect(metric.empty).toBe(true);
  });

  test("a pair without curvature is left out", () => {
    const metric = new PairMetric(2, Float64Array.of(1, 1), pairsOf(2));
    const zero = new Float64Array(2);
    metric.learn(zero, Float64Array.of(1, 0), zero, Float64Array.of(-1, 0));
    expect(metric.empty).toBe(true);
  });
});

/** 1/2 sum_p a_p (x_p - 1)^2 times c, curvatures from 1 to 6,000. */
function valley(c: number, size = 40) {
  const curvatures = Float64Array.from({ length: size }, (_, p) => 6000 ** (p / (size - 1)));
  return (x: Float64Array, gradient: Float64Array) => {
    let value = 0;
    for (let p = 0; p < size; p++) {
      const off = x[p] - 1;
      gradient[p] = c * (curvatures[p] * off);
      value += curvatures[p] * off * off;
    }
    return c * (value / 2);
  };
}

describe("a descent by pairs in float32", () => {
  test.each([-900, -300, -166, 43, 166, 300, 900])(
    "makes the same steps, to the last bit, of an objective that is 2^%i times as large",
    async (exponent) => {
      for (const [, pairsOf] of engines) {
        const [plain, scaled] = await Promise.all(
          [1, 2 ** exponent].map((c) =>
            descend(valley(c), new Float64Array(40), 120, async () => false, undefined, undefined, pairsOf(40)),
          ),
        );
        expect(plain.value).toBeLessThan(1e-5 * plain.began);
        expect(scaled.steps).toBe(plain.steps);
        expect(scaled.x).toEqual(plain.x);
      }
    },
  );

  test("goes on where curvatures change by more than float32 has exponents for", async () => {
    // Far out the curvature is 1e50, near the minimum 1.
    const objective = (x: Float64Array, gradient: Float64Array) => {
      const far = Math.max(0, Math.abs(x[0]) - 2);
      gradient[0] = x[0] + 1e50 * far * Math.sign(x[0]);
      gradient[1] = 7 * x[1];
      return x[0] ** 2 / 2 + (1e50 * far ** 2) / 2 + (7 * x[1] ** 2) / 2;
    };
    const { value } = await descend(objective, Float64Array.of(5, 1), 200, async () => false);
    expect(value).toBeLessThan(1e-12);
  });
});
