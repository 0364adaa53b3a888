import type { ScalarLoss } from "./scalar.js";

/** Squared hinge l(z) = max(0, 1 - y z)^2, y in {-1, 1}. */
export const squaredHinge: ScalarLoss = {
  name: "squaredHinge",
  curvature: 2,
  value: (z, y) => Math.max(0, 1 - y * z) ** 2,
  derivative: (z, y) => -2 * y * Math.max(0, 1 - y * z),
  secondDerivative: (z, y) => (y * z < 1 ? 2 : 0),
  conjugate: (u, y) => u * y + (u * u) / 4,
  lowest: (y) => (y > 0 ? Number.NEGATIVE_INFINITY : 0),
  highest: (y) => (y > 0 ? 0 : Number.POSITIVE_INFINITY),
  prox: (q, t, y) => (y * q >= 1 ? q : (q + 2 * t * y) / (1 + 2 * t)),
  proxSlope: (q, _z, t, y) => (y * q >= 1 ? 1 : 1 / (1 + 2 * t)),
};
