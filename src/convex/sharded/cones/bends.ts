/** Second derivatives of the loss of a shard's rows, and what models are made of: sums over rows that these weigh. */

import type { GatedProducts, Kernels } from "../../kernels/types.js";
import { wordsPerGate } from "../../linear/bits.js";
import { rowBlock, rowsMadeBy } from "../../linear/rowBlock.js";
import { columnSums } from "../../linear/vectors.js";
import type { GateSet, Loss, Matrix } from "../../types.js";
import type { Bend, Span } from "../cluster.js";
import { type Deal, pairSums } from "../moments/collect.js";

/** One fold. */
const ALL_ROWS: Deal = { folds: 1, seed: 0, offset: 0 };

/** Rows and their gates. */
interface Gated {
  readonly X: Matrix; // [n x d]
  readonly gates: GateSet;
  readonly products: GatedProducts;
}

/** Of the second derivatives h [n]: their sum, and A'h for one output, [1 + P x d]. */
export function weightsOf({ products, X, gates }: Gated, h: Float64Array): Float64Array {
  const out = new Float64Array(1 + gates.count * X.cols);
  out[0] = columnSums(h, 1)[0];
  products.adjoint(h, 1, null, out.subarray(1));
  return out;
}

/** X' D_i diag(h) D_j X of the gates of a list, as `pairSums` has them. */
export function curvatureOf(
  { X, gates }: Pick<Gated, "X" | "gates">,
  h: Float64Array,
  { output, other, from, to }: Bend & Span,
  list: Float64Array,
  kernels: Kernels,
): Float64Array {
  // Those of two outputs of softmax are never positive.
  const sign = output === other ? 1 : -1;
  const weighted = weightedRows(X, sign === 1 ? h : h.map((value) => -value));
  const sums = pairSums(weighted, gatesAt(gates, Int32Array.from(list)), kernels, ALL_ROWS, from, to);
  return sign === 1 ? sums : sums.map((value) => -value);
}

/** Second derivatives of the loss [n] by two outputs; or those of one that make a diagonal above the Hessian (Gershgorin's circles). */
export function bends(loss: Loss, at: Float64Array, { output, other, bound, least }: Bend): Float64Array {
  const C = loss.outputs;
  const values = new Float64Array(at.length);
  if (bound || loss.hessianTimes === undefined) loss.hessianDiagonal(at, values);
  else {
    const unit = new Float64Array(at.length);
    for (let k = other; k < unit.length; k += C) unit[k] = 1;
    loss.hessianTimes(at, unit, values);
  }
  const most = bound ? 2 : 1; // p (1 - p) + sum_q p q
  const floor = output === other && least > 0 ? least * loss.curvature : Number.NEGATIVE_INFINITY;
  return Float64Array.from({ length: loss.rows }, (_, j) => Math.max(floor, most * values[j * C + output]));
}

/** The rows of X, each times the root of its weight, made when they are asked for. */
function weightedRows(X: Matrix, weights: Float64Array): Matrix {
  const { cols } = X;
  const block = (from: number, count: number) => {
    const out = rowBlock(X, from, count).slice();
    for (let k = 0; k < count; k++) {
      const root = Math.sqrt(weights[from + k]);
      for (let p = k * cols; p < (k + 1) * cols; p++) out[p] *= root;
    }
    return out;
  };
  return rowsMadeBy(X.rows, cols, block);
}

function gatesAt({ rows, bits, generators }: GateSet, list: Int32Array): GateSet {
  const words = wordsPerGate(rows);
  const some = new Uint32Array(list.length * words);
  list.forEach((gate, k) => {
    some.set(bits.subarray(gate * words, (gate + 1) * words), k * words);
  });
  return { count: list.length, rows, bits: some, generators, complete: false };
}
