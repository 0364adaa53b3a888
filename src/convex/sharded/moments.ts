/** What squared loss wants of the rows, once: the products of all pairs of columns of A = [D_1 X, ..., D_P X], and those with y. */

import type { GatedProducts } from "../kernels/types.js";
import { columnSums } from "../linear/vectors.js";
import type { GateSet, Matrix } from "../types.js";

/** y'y, 1'y, A'y [P x d] and A'1 [P x d], of one output. */
export function momentsOf(products: GatedProducts, y: Float64Array, { count }: GateSet, d: number): Float64Array {
  const size = count * d;
  const out = new Float64Array(2 + 2 * size);
  out[0] = y.reduce((sum, value) => sum + value * value, 0);
  out[1] = columnSums(y, 1)[0];
  products.adjoint(y, 1, null, out.subarray(2, 2 + size));
  products.adjoint(new Float64Array(y.length).fill(1), 1, null, out.subarray(2 + size));
  return out;
}

/** X'D_j D_i X for one gate i and all j <= i, [i + 1 x d x d]: entry (j, p, q) is that of column p of D_i X and column q of D_j X. */
export function gramOf(products: GatedProducts, X: Matrix, { count, bits }: GateSet, gate: number): Float64Array {
  const { rows: n, cols: d } = X;
  const words = bits.length / count;
  const upTo = Int32Array.from({ length: gate + 1 }, (_, j) => j);
  const data = X.data;
  const columns = new Float64Array(n * d); // D_i X
  for (let k = 0; k < n; k++) {
    if (((bits[gate * words + (k >>> 5)] >>> (k & 31)) & 1) === 0) continue;
    columns.set(data.subarray(k * d, (k + 1) * d), k * d);
  }
  // As if D_i X were an R of d outputs: [j x p x q].
  const out = new Float64Array((gate + 1) * d * d);
  products.adjoint(columns, d, upTo, out);
  return out;
}
