/**
 * Parallel ReLU networks of three layers, sum_k ((X W_1k)_+ w_2k)_+ w_3k with m hidden neurons a branch (Ergen and Pilanci 2021, theorem 5,
 * with all combinations of patterns; Wang, Ergen and Pilanci 2022).
 *
 * The program is the network's problem for two regularizations, given enough branches:
 *   sum_j |z_j|:  beta/3 sum_k (|W_1k|_F^3 + |w_2k|^3 + |w_3k|^3), or |W_1k|_F <= 1 and beta/2 sum_k (|w_2k|^2 + w_3k^2);
 *   |Z|_F:        beta sum_k |w_3k| (sum_j |w_1kj|^2 w_2kj^2)^(1/2), or columns of W_1k of length 1 and beta/2 sum_k (|w_2k|^2 + w_3k^2).
 * It is not for weight decay of all three layers, which no such program has: docs/claims.md, 1.
 */

import { enumerating } from "../arrangements/index.js";
import type { Kernels } from "../kernels/types.js";
import { exp, log } from "../linear/elementary.js";
import type { Pieces } from "../linear/pieces.js";
import { norm } from "../linear/vectors.js";
import type { LayerWeights, MatrixBudget, MatrixFormulation } from "../matrices/index.js";
import type { Matrix } from "../types.js";
import { AllBlocks } from "./allBlocks.js";
import type { BlockClass } from "./blockClass.js";
import { chargeOf } from "./branch.js";
import type { ParallelProblem, ParallelSolution } from "./problem.js";
import { SampledBlocks, sampling } from "./sampledBlocks.js";
import { solveOverBlocks } from "./solve.js";
import { enumerationRefusal } from "./work.js";

export const parallelNetworks: MatrixFormulation<ParallelProblem, ParallelSolution> = {
  name: "parallel",

  refuses({ X, loss, beta, hidden, blocks }) {
    if (!(beta > 0)) return `expected a charge on the branches, beta above 0, got ${beta}`;
    if (loss.outputs !== 1) return `expected one output, got ${loss.outputs}`;
    if (!Number.isFinite(loss.curvature)) return `expected a loss without kinks, got ${loss.name}`;
    const tooMuch = blocks.kind === "enumerate" ? enumerationRefusal(X, hidden) : null;
    if (tooMuch !== null) return `expected, for all blocks to be priced, ${tooMuch}`;
    return null;
  },

  build: (problem) => ({
    solve: (_kernels: Kernels, budget: MatrixBudget) => solveOverBlocks(problem, finding(problem), budget),
  }),

  /** Kernels [d x K m], [K m x K] in blocks, and [K x 1]. */
  recover({ X, hidden: m, charge, outputBias }, { branches, bias }) {
    const d = X.cols;
    const K = branches.length;
    const first = zeros(d, K * m);
    const second = zeros(K * m, K);
    const third = zeros(K, 1);
    branches.forEach(({ Z, signs, sign }, k) => {
      const total = chargeOf(charge, Z, d);
      const root = exp(log(total) / 3); // the length of each of the three layers under the third power
      for (let j = 0; j < m; j++) {
        const z = Z.subarray(j * d, (j + 1) * d);
        const length = norm(z);
        if (length === 0) {
          if (charge === "frobenius") first.data[k * m + j] = 1; // of length 1, and read by nothing
          continue;
        }
        const share = charge === "sum" ? Math.sqrt(length / total) * root : 1;
        for (let p = 0; p < d; p++) first.data[p * K * m + k * m + j] = (z[p] / length) * share;
        second.data[(k * m + j) * K + k] = signs[j] * (charge === "sum" ? share : length / Math.sqrt(total));
      }
      third.data[k] = sign * (charge === "sum" ? root : Math.sqrt(total));
    });
    return [
      { kernel: first, bias: null },
      { kernel: second, bias: null },
      { kernel: third, bias: outputBias === null ? null : bias },
    ] satisfies LayerWeights[];
  },
};

/** The blocks, or those that were found until it was told to end. */
function* finding({ X, hidden, charge, blocks, seed }: ParallelProblem): Pieces<BlockClass> {
  if (blocks.kind === "enumerate") return new AllBlocks(X, yield* enumerating(X), hidden, charge, seed);
  return new SampledBlocks(X, yield* sampling(X, hidden, blocks.count, seed), charge);
}

function zeros(rows: number, cols: number): Matrix {
  return { rows, cols, data: new Float64Array(rows * cols) };
}
