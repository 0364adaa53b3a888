/** What rows have along an orthonormal basis, taken off them by an engine's products. */

import type { Kernels } from "../../kernels/types.js";

/** rows [n x d] -= (rows basis') basis, for a basis [k x d]. */
export function takeOff(rows: Float64Array, basis: Float64Array, d: number, kernels: Kernels): void {
  const [count, k] = [rows.length / d, basis.length / d];
  if (count === 0 || k === 0) return;
  const along = new Float64Array(count * k);
  const inside = new Float64Array(count * d);
  kernels.multiplyTransposed(rows, basis, along, count, d, k);
  kernels.multiply(along, basis, inside, count, k, d);
  subtract(rows, inside);
}

/** from -= what. */
export function subtract(from: Float64Array, what: Float64Array): void {
  for (let k = 0; k < what.length; k++) from[k] -= what[k];
}
