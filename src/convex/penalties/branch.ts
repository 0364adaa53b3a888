/** The charge of a whole branch: its block holds the vectors of all hidden neurons. */

import type { Penalty } from "../types.js";
import { nuclear } from "./nuclear.js";

/**
 * The nuclear norm of a branch's matrix [C x m d], of one output its length |Z|_F. A block [m C x d] has the vector of neuron j and
 * output c in row j C + c.
 */
export function branchPenalty(outputs: number): Penalty {
  const neurons = (vectors: number) => vectors / outputs;
  /** [m C x d] -> [C x m d], or back. */
  const turned = (block: Float64Array, vectors: number, width: number, back: boolean): Float64Array => {
    if (outputs === 1) return block;
    const m = neurons(vectors);
    const out = new Float64Array(vectors * width);
    for (let j = 0; j < m; j++) {
      for (let c = 0; c < outputs; c++) {
        const [apart, together] = [(j * outputs + c) * width, (c * m + j) * width];
        const [from, to] = back ? [together, apart] : [apart, together];
        out.set(block.subarray(from, from + width), to);
      }
    }
    return out;
  };
  return {
    name: "nuclear",
    branches: true,
    separable: false,
    value(block, vectors, width) {
      return nuclear.value(turned(block, vectors, width, false), outputs, neurons(vectors) * width);
    },
    prox(block, vectors, width, threshold) {
      const matrix = turned(block, vectors, width, false);
      const value = nuclear.prox(matrix, outputs, neurons(vectors) * width, threshold);
      if (matrix !== block) block.set(turned(matrix, vectors, width, true));
      return value;
    },
    dualNorm(block, vectors, width) {
      return nuclear.dualNorm(turned(block, vectors, width, false), outputs, neurons(vectors) * width);
    },
  };
}
