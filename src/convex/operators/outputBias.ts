/** The output bias: the c that minimises L(Z + 1 c') + ridge |c|^2 with Z held, and its part of an objective's gradient. */

import { smallSolve } from "../linear/smallSolve.js";
import type { Loss, OutputBias } from "../types.js";

const STEPS = 200;
const BALANCED = 1e-15; // relative to the largest entry of the gradient, times the rows
/** Stride of the differences that make the C x C Hessian of a coupled loss. */
const STRIDE = 1e-4;

/** Exact up to rounding for separable losses; for softmax to about 1e-8, since its Hessian comes from differences. */
export function minimiseOverBias(loss: Loss, Z: Float64Array, bias: OutputBias): Float64Array {
  return loss.separable ? byCoordinates(loss, Z, bias) : jointly(loss, Z, bias);
}

/** Newton on each monotone coordinate 1'L'(Z + 1 c') + 2 ridge c, safeguarded by a bracket of its sign. */
function byCoordinates(loss: Loss, Z: Float64Array, bias: OutputBias): Float64Array {
  const { rows: n, outputs: C } = loss;
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
        bend += curvature[k];
        largest = Math.max(largest, Math.abs(gradient[k]));
      }
      if (Math.abs(slope) <= BALANCED * n * largest) continue;
      if (slope > 0) high[o] = Math.min(high[o], c[o]);
      else low[o] = Math.max(low[o], c[o]);
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

/** Damped Newton on all C coordinates; the Hessian by central differences of the gradient. */
function jointly(loss: Loss, Z: Float64Array, bias: OutputBias): Float64Array {
  const C = loss.outputs;
  const shifted = new Float64Array(Z.length);
  const gradient = new Float64Array(Z.length);
  const value = (c: Float64Array) => {
    for (let k = 0; k < Z.length; k++) shifted[k] = Z[k] + c[k % C];
    return loss.value(shifted) + bias.ridge * c.reduce((sum, entry) => sum + entry * entry, 0);
  };
  const slopes = (c: Float64Array) => {
    for (let k = 0; k < Z.length; k++) shifted[k] = Z[k] + c[k % C];
    loss.gradient(shifted, gradient);
    const sums = c.map((entry) => 2 * bias.ridge * entry);
    for (let k = 0; k < gradient.length; k++) sums[k % C] += gradient[k];
    return sums;
  };
  let c = new Float64Array(C);
  let now = value(c);
  for (let step = 0; step < STEPS; step++) {
    const direction = slopes(c);
    const H = new Float64Array(C * C);
    let trace = 0;
    for (let j = 0; j < C; j++) {
      const above = slopes(c.map((entry, o) => entry + (o === j ? STRIDE : 0)));
      const below = slopes(c.map((entry, o) => entry - (o === j ? STRIDE : 0)));
      for (let i = 0; i < C; i++) H[i * C + j] = (above[i] - below[i]) / (2 * STRIDE);
      trace += H[j * C + j];
    }
    // Softmax does not see a shift of all outputs together: lift that direction, in which the gradient is zero.
    for (let k = 0; k < H.length; k++) H[k] += (1e-6 * trace + (k % (C + 1) === 0 ? 1e-9 * trace : 0)) / C;
    const slope = direction.slice();
    smallSolve(H, direction, C);
    // What a step may bring is below what float64 tells apart.
    const gain = 0.5 * slope.reduce((sum, entry, o) => sum + entry * direction[o], 0);
    if (Math.abs(gain) < Number.EPSILON * Math.abs(now)) break;
    let moved = false;
    for (let alpha = 1; alpha > 1e-6 && !moved; alpha /= 2) {
      const trial = c.map((entry, o) => entry - alpha * direction[o]);
      const next = value(trial);
      if (next < now) {
        c = trial;
        now = next;
        moved = true;
      }
    }
    if (!moved) break;
  }
  return c;
}

/** gradient [C] := that of L(Z + 1 c') + ridge |c|^2 at c, N [n x C] being that of L; zero without a bias. Answers with the charge. */
export function biasGradient(
  bias: OutputBias | null,
  c: Float64Array,
  N: Float64Array,
  gradient: Float64Array,
): number {
  gradient.fill(0);
  if (bias === null) return 0;
  const C = c.length;
  let charge = 0;
  for (let k = 0; k < N.length; k++) gradient[k % C] += N[k];
  for (let o = 0; o < C; o++) {
    gradient[o] += 2 * bias.ridge * c[o];
    charge += bias.ridge * c[o] ** 2;
  }
  return charge;
}
