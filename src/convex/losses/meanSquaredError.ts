import type { ScalarLoss } from "./scalar.js";

/**
 * Squared error l(z) = (z - y)^2, without the one half: tfjs's scaling.
 *
 * Its conjugate u y + u^2 / 4 is finite everywhere, so any scaling of a dual point stays feasible.
 */
export const meanSquaredError: ScalarLoss = {
  name: "meanSquaredError",
  curvature: 2,
  value: (z, y) => (z - y) ** 2,
  derivative: (z, y) => 2 * (z - y),
  secondDerivative: () => 2,
  conjugate: (u, y) => u * y + (u * u) / 4,
  lowest: () => Number.NEGATIVE_INFINITY,
  highest: () => Number.POSITIVE_INFINITY,
  prox: (q, t, y) => (q + 2 * t * y) / (1 + 2 * t),
  proxSlope: (_q, _z, t) => 1 / (1 + 2 * t),
};
