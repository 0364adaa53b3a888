/** The judge of gated branches: outputs of the layers by a plain forward pass, and their charge by its definition. */

import { atOnce, type Pieces } from "../../linear/pieces.js";
import { PlainProducts } from "../../linear/plainProducts.js";
import { norm } from "../../linear/vectors.js";
import type { Matrix } from "../../types.js";
import type { BranchCharge } from "../branch.js";
import { columnsOf, distinctGates, eachOpen, gatesOfBranches } from "./gates.js";
import type { BranchLayers } from "./layers.js";

/** Z [n x C] of rows X [n x d]. */
export function branchLayerOutputs(X: Matrix, layers: BranchLayers, bias: Float64Array): Float64Array {
  return atOnce(judging(X, layers, bias));
}

/** The same in pieces. */
export function* judging(
  X: Matrix,
  { kernel, second, gates, output }: BranchLayers,
  bias: Float64Array,
): Pieces<Float64Array> {
  const { hidden: m } = gates;
  const { cols: C, data: o } = output;
  const Z = Float64Array.from({ length: X.rows * C }, (_, k) => bias[k % C]);
  const used = Array.from(second.keys()).filter((u) => second[u] !== 0);
  if (used.length === 0) return Z;
  const places = new Map(used.map((u, at) => [u, at]));
  const linear = new PlainProducts(columnsOf(kernel, used));
  const sums = new Float64Array(used.length);
  const live = [...new Set(used.map((u) => Math.floor(u / m)))];
  const { distinct, branches } = distinctGates(gatesOfBranches(gates, live));
  let current = -1;
  yield* eachOpen(X, distinct, (row, unit) => {
    if (row !== current) {
      linear.of(X.data.subarray(row * X.cols, (row + 1) * X.cols), 1, sums);
      current = row;
    }
    const j = unit % m;
    for (const each of branches[(unit - j) / m]) {
      const k = live[each];
      const at = places.get(k * m + j);
      if (at === undefined) continue;
      const value = sums[at] * second[k * m + j];
      for (let c = 0; c < C; c++) Z[row * C + c] += value * o[k * C + c];
    }
  });
  return Z;
}

/** 1/3 sum_k (|W_1k|_F^3 + |w_2k|^3 + |w_3k|^3), or 1/2 sum_k (|w_2k|^2 + |w_3k|^2) where hidden neurons have length 1. */
export function branchLayerCharge({ kernel, second, gates, output }: BranchLayers, charge: BranchCharge): number {
  const { hidden: m } = gates;
  let sum = 0;
  for (let k = 0; k < output.rows; k++) {
    let square = 0;
    for (let p = 0; p < kernel.rows; p++) {
      for (let u = k * m; u < (k + 1) * m; u++) square += kernel.data[p * kernel.cols + u] ** 2;
    }
    const behind = [second.subarray(k * m, (k + 1) * m), output.data.subarray(k * output.cols, (k + 1) * output.cols)];
    const lengths = behind.map(norm);
    sum +=
      charge === "sum"
        ? [Math.sqrt(square), ...lengths].reduce((all, length) => all + length * length * length, 0) / 3
        : lengths.reduce((all, length) => all + length ** 2, 0) / 2;
  }
  return sum;
}
