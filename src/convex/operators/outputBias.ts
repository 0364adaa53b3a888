/** The output bias alone: the c that minimises L(Z + 1 c') + ridge |c|^2, with Z held. */

import type { Loss, OutputBias } from "../types.js";

const STEPS = 200; // Newton steps; the softmax loss, whose diagonal over-estimates its curvature, needs the most
const BALANCED = 1e-15; // relative to the largest entry of the gradient, times the rows

/**
 * Newton on the gradient 1'L'(Z + 1 c') + 2 ridge c, one coordinate an output, safeguarded by a bracket of its sign.
 *
 * For a separable loss the coordinates are independent and monotone; for the softmax loss twice the diagonal of the
 * Hessian bounds it, so that the steps descend.
 */
export function minimiseOverBias(loss: Loss, Z: Float64Array, bias: OutputBias): Float64Array {
  const { rows: n, outputs: C } = loss;
  // Softmax: diag(p) - p p' <= 2 diag(p (1 - p)), by Gershgorin.
  const diagonalFactor = loss.separable ? 1 : 2;
  const c = new Float64Array(C);
  const low = new Float64Array(C).fill(Number.NEGATIVE_INFINITY);
  const high = new Float64Array(C).fill(Number.POSITIVE_INFINITY);
  const shifted = new Float64Array(n * C);
  const gradient = new Float64Array(n * C);
  const curvature = new Float64Array(n * C);
  for (let step = 0; step < STEPS; step++) {
    for (let k = 0; k < shifted.length; k++) shifted[k] = Z[k] + c[k % C];
    loss.gradient(shifted, gradient);
    loss.hessianDiagonal(shifted, curvature);
    let moved = false;
    for (let o = 0; o < C; o++) {
      let slope = 2 * bias.ridge * c[o];
      let bend = 2 * bias.ridge;
      let largest = 0;
      for (let k = o; k < gradient.length; k += C) {
        slope += gradient[k];
        bend += diagonalFactor * curvature[k];
        largest = Math.max(largest, Math.abs(gradient[k]));
      }
      if (Math.abs(slope) <= BALANCED * n * largest || largest === 0) continue;
      if (loss.separable) {
        if (slope > 0) high[o] = Math.min(high[o], c[o]);
        else low[o] = Math.max(low[o], c[o]);
      }
      let next = bend > 0 ? c[o] - slope / bend : Number.NaN;
      if (!(next > low[o] && next < high[o])) next = between(low[o], high[o], c[o], slope);
      if (next === c[o]) continue;
      c[o] = next;
      moved = true;
    }
    if (!moved) break;
  }
  return c;
}

/** The middle of a bracket, or a step that doubles while one end is open. */
function between(low: number, high: number, at: number, slope: number): number {
  if (Number.isFinite(low) && Number.isFinite(high)) return (low + high) / 2;
  const stride = Math.max(1, 2 * Math.abs(at));
  return slope > 0 ? at - stride : at + stride;
}
