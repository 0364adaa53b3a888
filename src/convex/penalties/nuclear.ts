import { orthogonaliseRows } from "../linear/eigen/index.js";
import type { Penalty } from "../types.js";

/**
 * The nuclear norm of a gate's block [C x d]: exact for the weight decay of gated networks with several outputs (Sahiner,
 * Ergen, Pauly and Pilanci 2021). Its prox shrinks the singular values; its dual norm is the largest of them.
 */
export const nuclear: Penalty = {
  name: "nuclear",
  separable: false,

  value: (block, outputs, width) => sum(singular(block, outputs, width).values),

  prox(block, outputs, width, threshold) {
    // No singular value exceeds the Frobenius norm, and most blocks of a solution vanish: these need no decomposition.
    if (frobenius(block, outputs * width) <= threshold) {
      block.fill(0, 0, outputs * width);
      return 0;
    }
    const { U, rows, values, tall } = singular(block, outputs, width);
    const r = values.length;
    const w = rows.length / r;
    let left = 0;
    for (let k = 0; k < r; k++) {
      const share = values[k] > threshold ? 1 - threshold / values[k] : 0;
      left += share * values[k];
      for (let p = 0; p < w; p++) rows[k * w + p] *= share;
    }
    // block := U rows (or its transpose), U [r x r], rows [r x w].
    for (let i = 0; i < r; i++) {
      for (let p = 0; p < w; p++) {
        let value = 0;
        for (let k = 0; k < r; k++) value += U[i * r + k] * rows[k * w + p];
        block[tall ? p * r + i : i * w + p] = value;
      }
    }
    return left;
  },

  dualNorm: (block, outputs, width) => Math.max(0, ...singular(block, outputs, width).values),
};

/** The factors block = U rows, with orthogonal rows; `tall` when the block was transposed to have the fewer rows. */
export function singular(
  block: Float64Array,
  outputs: number,
  width: number,
): { U: Float64Array; rows: Float64Array; values: Float64Array; tall: boolean } {
  const tall = outputs > width;
  const r = tall ? width : outputs;
  const w = tall ? outputs : width;
  const rows = new Float64Array(r * w);
  for (let i = 0; i < r; i++) {
    for (let p = 0; p < w; p++) rows[i * w + p] = tall ? block[p * r + i] : block[i * w + p];
  }
  const U = new Float64Array(r * r);
  const values = orthogonaliseRows(rows, r, w, U);
  return { U, rows, values, tall };
}

function frobenius(block: Float64Array, size: number): number {
  let square = 0;
  for (let p = 0; p < size; p++) square += block[p] * block[p];
  return Math.sqrt(square);
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
