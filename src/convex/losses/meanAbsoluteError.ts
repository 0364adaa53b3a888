import type { ScalarLoss } from "./scalar.js";

/** Absolute error l(z) = |z - y|: a kink at z = y, where its subderivative is [-1, 1]. */
export const meanAbsoluteError: ScalarLoss = {
  name: "meanAbsoluteError",
  curvature: Number.POSITIVE_INFINITY,
  value: (z, y) => Math.abs(z - y),
  derivative: (z, y) => Math.sign(z - y),
  secondDerivative: () => 0,
  conjugate: (u, y) => u * y,
  lowest: () => -1,
  highest: () => 1,
  prox(q, t, y) {
    const e = q - y;
    return Math.abs(e) <= t ? y : q - Math.sign(e) * t;
  },
  proxSlope: (q, _z, t, y) => (Math.abs(q - y) <= t ? 0 : 1),
};
