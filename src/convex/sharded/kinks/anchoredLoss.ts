/** A loss with kinks as a step of the augmented Lagrangian method has it: rounded off, about a point of the dual. */

import { smoothed } from "../../losses/smoothed.js";
import { lossAndGradient } from "../../operators/lossAndGradient.js";
import type { Loss } from "../../types.js";

/**
 * L(Z) = min over Y of L(Y) + |Z + tau N - Y|^2 / (2 tau): smooth, with the multipliers N of Z = Y (Rockafellar 1976). Its gradient is a
 * subgradient of the loss itself, whatever tau, so that it proves a bound, and the next N. The conjugate is that of the loss itself.
 */
export function anchoredLoss(loss: Loss, tau: number, N: Float64Array): Loss {
  const round = smoothed(loss, tau);
  const moved = new Float64Array(N.length);
  const at = (Z: Float64Array) => {
    for (let k = 0; k < moved.length; k++) moved[k] = Z[k] + tau * N[k];
    return moved;
  };
  return {
    ...loss,
    curvature: round.curvature,
    value: (Z) => round.value(at(Z)),
    gradient: (Z, out) => round.gradient(at(Z), out),
    valueAndGradient: (Z, out) => lossAndGradient(round, at(Z), out),
    hessianDiagonal: (Z, out) => round.hessianDiagonal(at(Z), out),
  };
}
