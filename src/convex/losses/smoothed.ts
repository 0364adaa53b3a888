/** Losses with kinks, rounded off: the Moreau envelope, a loss of its own with a gradient everywhere. */

import type { Loss } from "../types.js";

/**
 * L_tau(Z) = min over Y of L(Y) + |Z - Y|^2 / (2 tau): never above L, with L_tau* = L* + tau / 2 |.|^2. So bounds of a program with
 * it are bounds of the program with L, and its gradient (Z - prox) / tau, a subgradient of L at the prox, is in the domain of L*.
 */
export function smoothed(loss: Loss, tau: number): Loss {
  const size = loss.rows * loss.outputs;
  const near = new Float64Array(size);
  const slope = new Float64Array(size);
  const spread = loss.separable ? null : new Float64Array(size);
  const { part, terms: _, ...rest } = loss; // its prox is another
  const prox = (Z: Float64Array) => loss.prox(Z, tau, near, slope, spread);
  // At Z, whose prox was made last.
  const valueBeside = (Z: Float64Array) => {
    let square = 0;
    for (let k = 0; k < size; k++) square += (Z[k] - near[k]) ** 2;
    return loss.value(near) + square / (2 * tau);
  };
  const writeGradient = (Z: Float64Array, out: Float64Array) => {
    for (let k = 0; k < size; k++) out[k] = (Z[k] - near[k]) / tau;
  };
  return {
    ...rest,
    curvature: 1 / tau,
    ...(part && { part: (rows: Int32Array) => smoothed(part(rows), tau) }),
    output: (c) => smoothed(loss.output(c), tau),
    value(Z) {
      prox(Z);
      return valueBeside(Z);
    },
    gradient(Z, out) {
      prox(Z);
      writeGradient(Z, out);
    },
    valueAndGradient(Z, out) {
      prox(Z);
      const value = valueBeside(Z);
      writeGradient(Z, out);
      return value;
    },
    hessianDiagonal(Z, out) {
      prox(Z);
      for (let k = 0; k < size; k++) out[k] = (1 - slope[k] - (spread?.[k] ?? 0) ** 2) / tau;
    },
    /** Of the way from Q to the prox of L with both widths, the share that is not the envelope's own (Bauschke and Combettes 2017, proposition 24.8). */
    prox(Q, width, Z, steepness, coupling) {
      loss.prox(Q, tau + width, Z, steepness, coupling);
      const share = width / (tau + width);
      for (let k = 0; k < size; k++) {
        Z[k] = Q[k] + share * (Z[k] - Q[k]);
        steepness[k] = 1 - share * (1 - steepness[k]);
        if (coupling !== null) coupling[k] *= Math.sqrt(share);
      }
    },
    conjugate(N) {
      let square = 0;
      for (const value of N) square += value * value;
      return loss.conjugate(N) + (tau * square) / 2;
    },
  };
}
