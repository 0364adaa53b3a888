/** Of a network whose neurons move: the loss of a shard's rows and its gradient over weights, outputs and bias, for descents on sums. */

import { TogetherPasses } from "../../growth/index.js";
import type { Kernels } from "../../kernels/types.js";
import { patternBytes } from "../../linear/bits.js";
import { eachBlock } from "../../linear/rowBlock.js";
import { columnSums } from "../../linear/vectors.js";
import { smoothed } from "../../losses/smoothed.js";
import { layerFor } from "../../operators/neuronLayer.js";
import type { Loss, Matrix } from "../../types.js";

/** Rows that are read at a time. */
const BLOCK = 1024;

/** The numbers of m neurons [m x d], of what they feed [C x m], and of the bias [C]; then, of gated ones, their gates [m x d]. */
export interface MovingNeurons {
  readonly units: number; // m
  readonly gated: boolean;
  readonly tau: number; // by which kinks of the loss are rounded off; 0: not at all
}

/** Loss, and its gradient over the numbers before the gates. */
export function layerSums(
  X: Matrix,
  truth: Loss,
  { units: m, gated, tau }: MovingNeurons,
  numbers: Float64Array,
  kernels: Kernels,
): Float64Array {
  const d = X.cols;
  const loss = tau > 0 ? smoothed(truth, tau) : truth;
  const C = loss.outputs;
  const [weights, outputs] = [m * d, C * m];
  const W = numbers.subarray(0, weights);
  const A = numbers.subarray(weights, weights + outputs);
  const bias = numbers.subarray(weights + outputs, weights + outputs + C);
  const gates = numbers.subarray(weights + outputs + C);
  const gate = (j: number) => gates.subarray(j * d, (j + 1) * d);
  const masks = gated
    ? patternBytes(
        X,
        Array.from({ length: m }, (_, j) => gate(j)),
        kernels,
      )
    : null;
  const program = { X, loss, pooling: null };
  const layer = (gated ? null : layerFor(program, kernels, m)) ?? new TogetherPasses(program, kernels, m, masks);
  try {
    const Z = Float64Array.from({ length: loss.rows * C }, (_, k) => bias[k % C]);
    layer.forward(W, A, Z);
    const N = new Float64Array(Z.length);
    loss.gradient(Z, N);
    const out = new Float64Array(1 + weights + outputs + C);
    out[0] = loss.value(Z);
    const gradient = out.subarray(1);
    layer.backward(W, A, N, gradient.subarray(0, weights), gradient.subarray(weights, weights + outputs));
    gradient.set(columnSums(N, C), weights + outputs);
    return out;
  } finally {
    layer.dispose();
  }
}

/** The sum of the squares of each column, [d]. */
export function squaresOf(X: Matrix): Float64Array {
  const out = new Float64Array(X.cols);
  eachBlock(X, BLOCK, (rows) => {
    for (let at = 0; at < rows.length; at += X.cols) for (let p = 0; p < X.cols; p++) out[p] += rows[at + p] ** 2;
  });
  return out;
}
