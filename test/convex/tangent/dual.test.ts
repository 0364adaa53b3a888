/** Dual activations against a plain integral in two dimensions, fine enough for how steep long rows make the integrand. */

import { describe, expect, test } from "vitest";
import { atOnce } from "../../../src/convex/linear/pieces.js";
import { dualOf } from "../../../src/convex/tangent/dual.js";

const logistic = (z: number) => 1 / (1 + Math.exp(-z));
const softplus = (z: number) => Math.max(0, z) + Math.log1p(Math.exp(-Math.abs(z)));
const functions = {
  tanh: { s: Math.tanh, ds: (z: number) => 1 - Math.tanh(z) ** 2 },
  sigmoid: { s: logistic, ds: (z: number) => logistic(z) * logistic(-z) },
  softplus: { s: softplus, ds: logistic },
  swish: { s: (z: number) => z * logistic(z), ds: (z: number) => logistic(z) * (1 + z * logistic(-z)) },
};
const STEP = 0.06;

/**
 * E f(u) f(v), u and v of standard deviations a and b, by the trapezoid rule in t where u = sinh(t): nodes are dense near zero, where
 * f bends, and reach to where the normal density ends.
 */
function expectation(f: (z: number) => number, a: number, b: number, r: number): number {
  const nodes = (length: number) => {
    const most = Math.asinh(8.5 * length);
    const count = Math.ceil(most / STEP) * (length > 50 ? 2 : 1);
    const step = most / count;
    return Array.from({ length: 2 * count + 1 }, (_, k) => {
      const t = (k - count) * step;
      return { z: Math.sinh(t), weight: step * Math.cosh(t) };
    });
  };
  const [us, vs] = [nodes(a), nodes(b)];
  const density = 1 / (2 * Math.PI * a * b * Math.sqrt(1 - r * r));
  const fv = vs.map(({ z }) => f(z));
  let sum = 0;
  for (const { z: u, weight } of us) {
    let inner = 0;
    vs.forEach(({ z: v, weight: own }, k) => {
      const [x, y] = [u / a, v / b];
      inner += own * fv[k] * Math.exp(-(x * x - 2 * r * x * y + y * y) / (2 * (1 - r * r)));
    });
    sum += weight * f(u) * inner;
  }
  return density * sum;
}

describe.each(Object.keys(functions) as (keyof typeof functions)[])("%s", (activation) => {
  const { s, ds } = functions[activation];

  test("rows of any length and correlation have the expectations that a plain integral has", () => {
    for (const [a, b] of [
      [1, 1],
      [0.3, 4],
      [10, 10],
      [1, 25],
      [100, 100],
      [1000, 1000],
    ]) {
      for (const r of [-0.9, 0.3, 0.9]) {
        const { values, slopes } = atOnce(
          dualOf(activation, Float64Array.of(a * a, r * a * b, r * a * b, b * b), 2, null),
        );
        expect(values[1] / expectation(s, a, b, r)).toBeCloseTo(1, 7);
        expect(slopes[1] / expectation(ds, a, b, r)).toBeCloseTo(1, 7);
      }
    }
  });

  test("a row with itself has the expectation of the square, and one that is zero the squares at zero", () => {
    for (const a of [0.1, 1, 10, 100]) {
      const { values, slopes } = atOnce(dualOf(activation, Float64Array.of(a * a, 0, 0, 0), 2, null));
      let [square, steep] = [0, 0];
      const h = 0.1 / Math.max(a, 1);
      for (let z = -9; z <= 9; z += h) {
        const weight = (h * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI);
        square += weight * s(a * z) ** 2;
        steep += weight * ds(a * z) ** 2;
      }
      expect(values[0] / square).toBeCloseTo(1, 9);
      expect(slopes[0] / steep).toBeCloseTo(1, 9);
      expect(values[3]).toBeCloseTo(s(0) ** 2, 12);
      expect(slopes[3]).toBeCloseTo(ds(0) ** 2, 12);
    }
  });
});
