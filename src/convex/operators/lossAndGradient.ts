/** A loss with its gradient, at once where the loss has that. */

import type { Loss } from "../types.js";

/** L(Z), its gradient written into N. */
export function lossAndGradient(loss: Loss, Z: Float64Array, N: Float64Array): number {
  if (loss.valueAndGradient !== undefined) return loss.valueAndGradient(Z, N);
  const value = loss.value(Z);
  loss.gradient(Z, N);
  return value;
}
