/**
 * The neural tangent kernel: what gradient descent on a network of infinite width does, as a kernel of the rows.
 *
 * The network is f(x) = m^-1/2 sum_r a_r s(w_r'h(x)) with standard normal weights, the hidden layers before the last h = sqrt(c / m) s(W h),
 * c = 1 / E[s(z)^2], so that lengths stay. With S_0 = X X', S_h = c E[s s] and the slopes D_h = E[s' s'] at S_h-1,
 *
 *   P_1 = S_0,   P_h+1 = S_h + c P_h o D_h,   Theta = P_H o D_H,
 *
 * where the read-out a is fixed, and E[s s] more where it is trained (Jacot, Gabriel and Hongler 2018). Two layers with ReLU:
 * x_i'x_j (pi - angle) / (2 pi), the matrix of Du, Zhai, Poczos and Singh 2019.
 */

import type { Pieces } from "../linear/pieces.js";
import { dotAt } from "../linear/vectors.js";
import type { Matrix } from "../types.js";
import { anglesOf, dualOf, meanSquare, type TangentActivation } from "./dual.js";

export { type TangentActivation, tangentActivations } from "./dual.js";

/** Theta [n x n] of a network of `layers` layers of weights. */
export function* tangentGram(
  { rows: n, cols: d, data: X }: Matrix,
  layers: number,
  activation: TangentActivation,
  readOut: boolean,
): Pieces<Float64Array> {
  let S = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    yield;
    for (let j = 0; j <= i; j++) S[i * n + j] = S[j * n + i] = dotAt(X, i * d, X, j * d, d);
  }
  let P = S;
  let angles: Float64Array | null = yield* anglesOf(X, n, d);
  const c = 1 / meanSquare(activation);
  for (let hidden = layers - 1; hidden > 1; hidden--) {
    const { values, slopes } = yield* dualOf(activation, S, n, angles);
    S = values.map((value) => c * value);
    P = P.map((value, k) => S[k] + c * value * slopes[k]);
    angles = null;
  }
  const { values, slopes } = yield* dualOf(activation, S, n, angles);
  return P.map((value, k) => value * slopes[k] + (readOut ? values[k] : 0));
}
