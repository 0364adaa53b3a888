/**
 * A way between any two networks on which the objective stays below the dearer end: there is no barrier between them.
 *
 * In the variables v_j = |a_j| w_j of the convex program the objective is convex, so that on the straight line between two balanced
 * networks, side by side in one of both widths, it lies below the line between their objectives (Wang, Lacotte and Pilanci 2021;
 * Haeffele and Vidal 2017). Balancing a network, |w_j| against |a_j|, only lowers its decay.
 */

import { exp, log } from "../linear/elementary.js";
import { type Decay, type NetworkWeights, objectiveOf } from "../network.js";
import type { Loss, Matrix } from "../types.js";

/** A network on the way; the neurons of the first network stand before those of the second. */
export interface PathPoint {
  readonly leg: "balance" | "cross" | "unbalance";
  readonly at: number; // 0 to 1 within the leg
  readonly objective: number; // float64, by a plain forward pass
  readonly weights: NetworkWeights;
}

/** `steps` + 1 networks on each of the three legs: balance the first, cross, unbalance the second. */
export function networkPath(
  from: NetworkWeights,
  to: NetworkWeights,
  on: { readonly X: Matrix; readonly loss: Loss; readonly decay: Decay },
  steps: number,
): PathPoint[] {
  const [first, second] = [balancing(from, on.decay), balancing(to, on.decay)];
  const legs = [
    { leg: "balance", weights: (at: number) => joined(first(at), 1, second(1), 0) },
    { leg: "cross", weights: (at: number) => joined(first(1), 1 - at, second(1), at) },
    { leg: "unbalance", weights: (at: number) => joined(first(1), 0, second(1 - at), 1) },
  ] as const;
  return legs.flatMap(({ leg, weights: weightsAt }) =>
    Array.from({ length: steps + 1 }, (_, k): PathPoint => {
      const weights = weightsAt(k / steps);
      return { leg, at: k / steps, objective: objectiveOf(weights, on.X, on.loss, on.decay).total, weights };
    }),
  );
}

/** The network with each neuron a share of the way (in logarithms) to the split of least decay, g1 |w|^2 = g2 |a|^2. */
function balancing(weights: NetworkWeights, decay: Decay): (share: number) => NetworkWeights {
  const { kernel, output } = weights;
  const m = kernel.cols;
  const C = output.cols;
  const logarithms = Float64Array.from({ length: m }, (_, j) => {
    let w = 0;
    let a = 0;
    for (let p = 0; p < kernel.rows; p++) w += kernel.data[p * m + j] ** 2;
    for (let c = 0; c < C; c++) a += output.data[j * C + c] ** 2;
    // A neuron with one side zero does nothing; with decay on one side only there is no best split.
    return w * a * decay.hidden * decay.output > 0 ? log((decay.output * a) / (decay.hidden * w)) / 4 : 0;
  });
  return (share) => {
    const scale = logarithms.map((value) => exp(share * value));
    return {
      ...weights,
      kernel: { ...kernel, data: kernel.data.map((value, k) => value * scale[k % m]) },
      output: { ...output, data: output.data.map((value, k) => value / scale[Math.floor(k / C)]) },
    };
  };
}

/** Both networks side by side, the sizes |w| |a| of their neurons times s and t. */
function joined(first: NetworkWeights, s: number, second: NetworkWeights, t: number): NetworkWeights {
  const beside = (A: Matrix, B: Matrix, a: number, b: number): Matrix => {
    const cols = A.cols + B.cols;
    const data = new Float64Array(A.rows * cols);
    for (let p = 0; p < A.rows; p++) {
      for (let j = 0; j < A.cols; j++) data[p * cols + j] = a * A.data[p * A.cols + j];
      for (let j = 0; j < B.cols; j++) data[p * cols + A.cols + j] = b * B.data[p * B.cols + j];
    }
    return { rows: A.rows, cols, data };
  };
  const [a, b] = [Math.sqrt(s), Math.sqrt(t)];
  const size = first.output.data.length;
  const output = new Float64Array(size + second.output.data.length);
  output.set(first.output.data.map((value) => a * value));
  output.set(
    second.output.data.map((value) => b * value),
    size,
  );
  return {
    kernel: beside(first.kernel, second.kernel, a, b),
    gates: first.gates === null || second.gates === null ? null : beside(first.gates, second.gates, 1, 1),
    output: { rows: first.output.rows + second.output.rows, cols: first.output.cols, data: output },
    bias: first.bias.map((value, c) => s * value + t * second.bias[c]),
    pooling: first.pooling ?? null,
    biasColumn: first.biasColumn ?? 0,
  };
}
