import type { ScalarLoss } from "./scalar.js";

/** Hinge l(z) = max(0, 1 - y z), y in {-1, 1}: a kink at y z = 1, where its subderivative is -y [0, 1]. */
export const hinge: ScalarLoss = {
  name: "hinge",
  curvature: Number.POSITIVE_INFINITY,
  value: (z, y) => Math.max(0, 1 - y * z),
  derivative: (z, y) => (y * z < 1 ? -y : 0),
  secondDerivative: () => 0,
  conjugate: (u, y) => u * y,
  lowest: (y) => Math.min(0, -y),
  highest: (y) => Math.max(0, -y),
  prox(q, t, y) {
    const margin = y * q;
    if (margin >= 1) return q;
    return margin <= 1 - t ? q + t * y : y;
  },
  proxSlope(q, _z, t, y) {
    const margin = y * q;
    return margin >= 1 || margin <= 1 - t ? 1 : 0;
  },
};
