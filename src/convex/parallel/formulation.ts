/**
 * Parallel ReLU networks of three layers, sum_k ((X W_1k)_+ w_2k)_+ w_3k with m hidden neurons a branch (Ergen and Pilanci 2021, theorem 5,
 * with all combinations of patterns; Wang, Ergen and Pilanci 2022), and of L layers, whose branches are trees.
 *
 * The program is the network's problem for two regularizations, given enough branches:
 *   sum_j |z_j|:  beta/3 sum_k (|W_1k|_F^3 + |w_2k|^3 + |w_3k|^3), or |W_1k|_F <= 1 and beta/2 sum_k (|w_2k|^2 + w_3k^2);
 *   |Z|_F:        beta sum_k (sum over paths of products of squared weights)^(1/2), or neurons below layer L - 1 whose weights have length 1 and
 *                 beta/2 sum_k (|w_L-1,k|^2 + w_Lk^2).
 * It is not for weight decay of all layers, which no such program has (docs/claims.md, 1), nor the first for more than three layers: L-th powers of
 * norms are the sum over paths only where a branch has one path above the first layer, and then it is one of three layers.
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
import { type Branch, chargeOf, type Sign, widthsOf } from "./branch.js";
import type { ParallelProblem, ParallelSolution } from "./problem.js";
import { SampledBlocks, sampling } from "./sampledBlocks.js";
import { solveOverBlocks } from "./solve.js";
import { enumerationRefusal } from "./work.js";

export const parallelNetworks: MatrixFormulation<ParallelProblem, ParallelSolution> = {
  name: "parallel",

  refuses({ X, loss, beta, hidden, charge, blocks }) {
    if (!(beta > 0)) return `expected a charge on the branches, beta above 0, got ${beta}`;
    if (charge === "sum" && hasTails(hidden)) {
      return `expected, where neurons are charged one by one, one neuron a branch above the first layer, got ${hidden.slice(1).join(", ")}`;
    }
    if (loss.outputs !== 1) return `expected one output, got ${loss.outputs}`;
    if (!Number.isFinite(loss.curvature)) return `expected a loss without kinks, got ${loss.name}`;
    const tooMuch = blocks.kind === "enumerate" ? enumerationRefusal(X, hidden) : null;
    if (tooMuch !== null) return `expected, for all blocks to be priced, ${tooMuch}`;
    return null;
  },

  build: (problem) => ({
    solve: (_kernels: Kernels, budget: MatrixBudget) => solveOverBlocks(problem, finding(problem), budget),
  }),

  /** Kernels [d x K M], those behind it in blocks, and [K x 1]. */
  recover({ X, hidden, charge, outputBias }, { branches, bias }) {
    const d = X.cols;
    const K = branches.length;
    const L = hidden.length + 2;
    const widths = widthsOf(hidden, K);
    const [first, ...behind] = [d, ...widths, K].slice(0, -1).map((rows, l) => zeros(rows, [...widths, K][l]));
    const last = zeros(K, 1);
    branches.forEach(({ Z, signs }, k) => {
      const total = chargeOf(charge, Z, d);
      const root = exp(log(total) / L); // the length of each of the L layers under the L-th power
      const outer = charge === "sum" ? root : Math.sqrt(total);
      let lengths = Array.from(signs[0], (_, j) => norm(Z.subarray(j * d, (j + 1) * d)));
      const shares = lengths.map((length) => {
        if (charge === "frobenius") return 1;
        return length === 0 ? 0 : Math.sqrt(length / total) * root;
      });
      lengths.forEach((length, j) => {
        const unit = k * lengths.length + j;
        // What is nothing has length 1 under the charge that says so of neurons, and is read by nothing.
        if (length === 0) first.data[unit] = charge === "sum" ? 0 : 1;
        else for (let p = 0; p < d; p++) first.data[p * first.cols + unit] = (Z[j * d + p] / length) * shares[j];
      });
      for (const [l, kernel] of behind.entries()) {
        const m = hidden[l];
        const own = Array.from(signs[l + 1], (_, i) => norm(Float64Array.from(lengths.slice(i * m, (i + 1) * m))));
        lengths.forEach((length, j) => {
          const i = Math.floor(j / m);
          const into = l === behind.length - 1 ? outer : own[i];
          const nothing = l === behind.length - 1 ? 0 : Number(j % m === 0);
          const ofSum = l === 0 ? shares[j] : root;
          const share = charge === "sum" ? ofSum : into === 0 ? nothing : length / into;
          kernel.data[(k * lengths.length + j) * kernel.cols + k * own.length + i] = signs[l][j] * share;
        });
        lengths = own;
      }
      last.data[k] = signs[L - 2][0] * outer;
    });
    const plain = [first, ...behind].map((kernel) => ({ kernel, bias: null }));
    return [...plain, { kernel: last, bias: outputBias === null ? null : bias }] satisfies LayerWeights[];
  },
};

/** Whether branches have more than one path above the first layer. */
export function hasTails([_, ...above]: readonly number[]): boolean {
  return above.some((m) => m > 1);
}

/** A branch that is nothing. */
export function noBranch(features: number, hidden: readonly number[]): Branch {
  const sizes = [...widthsOf(hidden), 1];
  return {
    Z: new Float64Array(sizes[0] * features),
    signs: sizes.map((size) => Array.from({ length: size }, (): Sign => 1)),
  };
}

/** The blocks, or those that were found until it was told to end. */
function* finding({ X, hidden, charge, blocks, seed }: ParallelProblem): Pieces<BlockClass> {
  if (blocks.kind === "enumerate") return new AllBlocks(X, yield* enumerating(X), hidden, charge, seed);
  return new SampledBlocks(X, yield* sampling(X, hidden, blocks.count, seed), charge);
}

function zeros(rows: number, cols: number): Matrix {
  return { rows, cols, data: new Float64Array(rows * cols) };
}
