import type { ScalarLoss } from "./scalar.js";

/** Where the parabola meets the lines; the default of tf.losses.huberLoss. */
const DELTA = 1;

/** Huber's loss of e = z - y: e^2 / 2 up to |e| = 1, then |e| - 1/2. */
export const huberLoss: ScalarLoss = {
  name: "huberLoss",
  curvature: 1,
  value(z, y) {
    const e = Math.abs(z - y);
    return e <= DELTA ? 0.5 * e * e : DELTA * (e - 0.5 * DELTA);
  },
  derivative: (z, y) => Math.min(DELTA, Math.max(-DELTA, z - y)),
  secondDerivative: (z, y) => (Math.abs(z - y) <= DELTA ? 1 : 0),
  conjugate: (u, y) => u * y + 0.5 * u * u,
  lowest: () => -DELTA,
  highest: () => DELTA,
  prox(q, t, y) {
    const e = q - y;
    if (Math.abs(e) <= DELTA * (1 + t)) return y + e / (1 + t);
    return q - Math.sign(e) * DELTA * t;
  },
  proxSlope: (q, _z, t, y) => (Math.abs(q - y) <= DELTA * (1 + t) ? 1 / (1 + t) : 1),
};
