/** Gates of written weights that float32 arithmetic may decide otherwise than the judge. */

import { PlainProducts } from "../linear/plainProducts.js";
import { eachBlock } from "../linear/rowBlock.js";
import { norm } from "../linear/vectors.js";
import { distinctColumns, type NetworkWeights, withoutIdle } from "../network.js";
import type { Matrix } from "../types.js";

/** Rows that are read at a time. */
const BLOCK = 1024;

/** Half the distance from 1 to the next float32: the relative error of one rounding. */
const FLOAT32_ROUNDING = 2 ** -24;

/**
 * Pairs of a row and a neuron whose gate float32 arithmetic may decide otherwise than float64: |x g| is below the error bound
 * d u sum |x_p g_p| of a float32 sum (Higham 2002, section 3.1). 0 for ReLU, which is continuous at its boundary.
 */
export function undecidedGates(weights: NetworkWeights, X: Matrix): number {
  const { gates: all } = withoutIdle(weights);
  if (all === null) return 0;
  const { columns: gates, places } = distinctColumns(all);
  const uses = new Int32Array(gates.cols);
  for (const place of places) uses[place] += 1;
  const d = X.cols;
  const m = gates.cols;
  const lengths = Float64Array.from({ length: m }, (_, j) => {
    let sum = 0;
    for (let p = 0; p < d; p++) sum += gates.data[p * m + j] ** 2;
    return Math.sqrt(sum);
  });
  const products = new PlainProducts(gates);
  const sums = new Float64Array(BLOCK * m);
  let undecided = 0;
  eachBlock(X, BLOCK, (rows, _, count) => {
    products.of(rows, count, sums);
    for (let k = 0; k < count; k++) {
      const reach = d * FLOAT32_ROUNDING * norm(rows.subarray(k * d, (k + 1) * d));
      for (let j = 0; j < m; j++) {
        // sum |x_p g_p| <= |x| |g| rules out nearly all.
        const sum = Math.abs(sums[k * m + j]);
        if (sum > reach * lengths[j]) continue;
        let size = 0;
        for (let p = 0; p < d; p++) size += Math.abs(rows[k * d + p] * gates.data[p * m + j]);
        // A sum of zeros is exact.
        if (size > 0 && sum <= d * FLOAT32_ROUNDING * size) undecided += uses[j];
      }
    }
  });
  return undecided;
}
