/** The judge of gated branches: outputs of the layers by a plain forward pass, and their charge by its definition. */

import { power } from "../../linear/elementary.js";
import { atOnce, type Pieces } from "../../linear/pieces.js";
import { PlainProducts } from "../../linear/plainProducts.js";
import { norm } from "../../linear/vectors.js";
import type { Matrix } from "../../types.js";
import { type BranchCharge, tailCount } from "../branch.js";
import { behindSizes, columnsOf, distinctGates, eachOpen, gatesOfBranches } from "./gates.js";
import type { BranchLayers } from "./layers.js";

/** Z [n x C] of rows X [n x d]. */
export function branchLayerOutputs(X: Matrix, layers: BranchLayers, bias: Float64Array): Float64Array {
  return atOnce(judging(X, layers, bias));
}

/** The same in pieces. */
export function* judging(X: Matrix, layers: BranchLayers, bias: Float64Array): Pieces<Float64Array> {
  const { kernel, gates, output } = layers;
  const [m] = gates.hidden;
  const tails = tailCount(gates.hidden);
  const { cols: C, data: o } = output;
  const Z = Float64Array.from({ length: X.rows * C }, (_, k) => bias[k % C]);
  const through = pathWeights(layers);
  const columnOf = (path: number) => Math.floor(path / (tails * m)) * m + (path % m);
  const columns = new Set<number>();
  through.forEach((weight, path) => {
    if (weight !== 0) columns.add(columnOf(path));
  });
  const used = [...columns];
  if (used.length === 0) return Z;
  const places = new Map(used.map((u, at) => [u, at]));
  const linear = new PlainProducts(columnsOf(kernel, used));
  const sums = new Float64Array(used.length);
  const live = [...new Set(used.map((u) => Math.floor(u / m)))];
  const { distinct, branches } = distinctGates(gatesOfBranches(gates, live));
  let current = -1;
  yield* eachOpen(X, distinct, (row, path) => {
    if (row !== current) {
      linear.of(X.data.subarray(row * X.cols, (row + 1) * X.cols), 1, sums);
      current = row;
    }
    const [own, j] = [path % (tails * m), path % m];
    for (const each of branches[(path - own) / (tails * m)]) {
      const k = live[each];
      const at = places.get(k * m + j);
      if (at === undefined) continue;
      const value = sums[at] * through[k * tails * m + own];
      for (let c = 0; c < C; c++) Z[row * C + c] += value * o[k * C + c];
    }
  });
  return Z;
}

/** The product of the weights of every path behind the first kernel and before the last: of three layers the second kernel. */
function pathWeights({ behind, gates: { hidden } }: BranchLayers): Float64Array {
  const sizes = behindSizes(hidden);
  let below = behind[behind.length - 1];
  for (let l = behind.length - 2; l >= 0; l--) {
    const [m, fanOut] = [hidden[l], hidden[l + 1]];
    const [kernel, after] = [behind[l], below];
    const each = (after.length * sizes[l]) / kernel.length; // paths of a branch from the next layer on
    below = new Float64Array(after.length * m);
    for (let path = 0, at = 0; path < after.length; path++) {
      const from = Math.floor(path / each) * sizes[l] + (path % fanOut);
      for (let j = 0; j < m; j++, at++) below[at] = after[path] * kernel[from + j * fanOut];
    }
  }
  return below;
}

/** 1/L sum_k sum_l |W_lk|_F^L, or of three layers 1/2 sum_k (|w_2k|^2 + |w_3k|^2) where hidden neurons have length 1. */
export function branchLayerCharge({ kernel, behind, gates, output }: BranchLayers, charge: BranchCharge): number {
  const { hidden } = gates;
  const [m] = hidden;
  const L = hidden.length + 2;
  const sizes = behindSizes(hidden);
  let sum = 0;
  for (let k = 0; k < output.rows; k++) {
    let square = 0;
    for (let p = 0; p < kernel.rows; p++) {
      for (let u = k * m; u < (k + 1) * m; u++) square += kernel.data[p * kernel.cols + u] ** 2;
    }
    const own = behind.map((weights, l) => weights.subarray(k * sizes[l], (k + 1) * sizes[l]));
    const lengths = [...own, output.data.subarray(k * output.cols, (k + 1) * output.cols)].map(norm);
    sum +=
      charge === "sum"
        ? [Math.sqrt(square), ...lengths].reduce((all, length) => all + power(length, L), 0) / L
        : lengths.reduce((all, length) => all + length ** 2, 0) / 2;
  }
  return sum;
}
