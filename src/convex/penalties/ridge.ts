import type { Penalty } from "../types.js";

/**
 * Half the squared length of all vectors: weight decay of a layer on its own.
 *
 * It has no dual norm, since every N is feasible: beta / 2 |W|^2 costs -|X' N|^2 / (2 beta) in the dual. `dualNorm` is the length
 * of the vectors, which gives paths a scale.
 */
export const ridge: Penalty = {
  name: "ridge",
  separable: true,

  value: (block) => 0.5 * square(block),

  prox(block, _outputs, _width, threshold) {
    for (let p = 0; p < block.length; p++) block[p] /= 1 + threshold;
    return 0.5 * square(block);
  },

  dualNorm: (block) => Math.sqrt(square(block)),
};

function square(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
