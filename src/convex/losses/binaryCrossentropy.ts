import { exp, log, log1p } from "../linear/elementary.js";
import type { ScalarLoss } from "./scalar.js";

const NEWTON_STEPS = 100;
const CONVERGED = 1e-15; // relative step

/**
 * Logistic loss l(z) = log(1 + e^z) - y z of the logit z, y in [0, 1]: binary cross entropy of sigmoid(z).
 *
 * tfjs clips the probability at 1e-7 before the logarithm, which a logit beyond 16.1 would show; this loss does not clip.
 */
export const binaryCrossentropy: ScalarLoss = {
  name: "binaryCrossentropy",
  curvature: 0.25,
  // Both terms are non-negative: subtracting y z from log(1 + e^z) would cancel where the fit is good.
  value: (z, y) => (z > 0 ? (1 - y) * z : -y * z) + log1p(exp(-Math.abs(z))),
  derivative,
  secondDerivative: (z) => sigmoid(z) * sigmoid(-z),
  conjugate: (u, y) => entropy(y + u) + entropy(1 - y - u),
  lowest: (y) => -y,
  highest: (y) => 1 - y,
  prox(q, t, y) {
    // z - q + t (sigmoid(z) - y) is increasing in z, with its root between q - t (1 - y) and q + t y.
    let low = q - t * (1 - y);
    let high = q + t * y;
    let z = Math.min(high, Math.max(low, 0));
    for (let k = 0; k < NEWTON_STEPS; k++) {
      const residual = z - q + t * derivative(z, y);
      if (residual > 0) high = z;
      else low = z;
      let next = z - residual / (1 + t * sigmoid(z) * sigmoid(-z));
      if (!(next >= low && next <= high)) next = (low + high) / 2;
      const moved = Math.abs(next - z);
      z = next;
      if (moved <= CONVERGED * Math.max(1, Math.abs(z))) break;
    }
    return z;
  },
  proxSlope: (_q, z, t) => 1 / (1 + t * sigmoid(z) * sigmoid(-z)),
};

/** sigmoid(z) - y, with its relative accuracy kept where the probability is close to the target. */
function derivative(z: number, y: number): number {
  return (1 - y) * sigmoid(z) - y * sigmoid(-z);
}

function sigmoid(z: number): number {
  const e = exp(-Math.abs(z));
  return (z >= 0 ? 1 : e) / (1 + e);
}

function entropy(p: number): number {
  return p > 0 ? p * log(p) : 0;
}
