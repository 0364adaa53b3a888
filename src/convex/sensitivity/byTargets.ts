/** How the gradient of a smooth loss moves with its targets. */

import { softmax } from "../losses/softmax.js";
import type { Loss, LossName, Matrix } from "../types.js";

/** Functions of z - y: a target pulls as its output pushes. */
const OF_THE_DIFFERENCE: readonly LossName[] = ["meanSquaredError", "huberLoss", "logcosh"];

/** Whether targets are numbers that can move, rather than the labels of two classes. */
export function hasTargetSlopes(name: LossName): boolean {
  return OF_THE_DIFFERENCE.includes(name) || name === "binaryCrossentropy" || isSoftmax(name);
}

/**
 * out [n x C] := d L'(Z) / dY applied to V [n x C], or its transpose; of losses that `hasTargetSlopes` names.
 *
 * Rows see only themselves. With softmax a row of targets with the sum s counts s times, as tfjs has it, so that its derivative is
 * a (p 1' - I), p the probabilities.
 */
export function byTargets(
  loss: Loss,
  Z: Float64Array,
  V: Float64Array,
  out: Float64Array,
  { weights, transposed }: { readonly weights: Float64Array | null; readonly transposed: boolean },
): void {
  const { rows: n, outputs: C, name } = loss;
  if (OF_THE_DIFFERENCE.includes(name)) {
    loss.hessianDiagonal(Z, out);
    for (let k = 0; k < out.length; k++) out[k] *= -V[k];
    return;
  }
  const [p, others] = [new Float64Array(C), new Float64Array(C)];
  for (let k = 0; k < n; k++) {
    const weight = weights === null ? 1 : weights[k];
    const at = k * C;
    if (!isSoftmax(name)) {
      for (let c = 0; c < C; c++) out[at + c] = (-weight / (n * C)) * V[at + c];
      continue;
    }
    softmax(Z, at, C, p, others);
    let sum = 0;
    for (let c = 0; c < C; c++) sum += (transposed ? p[c] : 1) * V[at + c];
    for (let c = 0; c < C; c++) out[at + c] = (weight / n) * ((transposed ? 1 : p[c]) * sum - V[at + c]);
  }
}

/**
 * How far the nearest output is from where the second derivative of the loss jumps, in units of the outputs; null for losses where
 * it never does.
 */
export function distanceToJump({ name }: Loss, Z: Float64Array, { data: Y }: Matrix): number | null {
  if (name !== "huberLoss" && name !== "squaredHinge") return null;
  let least = Number.POSITIVE_INFINITY;
  for (let k = 0; k < Z.length; k++) {
    const from = name === "huberLoss" ? Math.abs(Z[k] - Y[k]) - 1 : 1 - Y[k] * Z[k];
    least = Math.min(least, Math.abs(from));
  }
  return least;
}

function isSoftmax(name: LossName): boolean {
  return name === "categoricalCrossentropy" || name === "kullbackLeiblerDivergence";
}
