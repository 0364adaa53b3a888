/** A network read neuron by neuron: what each one selects, and how much of the outputs and of the decay is its own. */

import type { NetworkWeights } from "./network.js";
import type { Matrix } from "./types.js";

/** One neuron that is not zero, as a plain object: a row of a table. */
export interface NeuronDescription {
  /** Its number in the first layer. */
  readonly unit: number;
  /** Which gate it has: neurons that are open on the same samples have the same number, from 0 for the most samples. */
  readonly gate: number;
  /** On how many samples it is open. */
  readonly samples: number;
  /** Its share of |w| |a| summed over all neurons, which is its share of balanced weight decay. */
  readonly decayShare: number;
  /** Variance over the samples of what it adds to the outputs, summed over outputs. */
  readonly variance: number;
  /** The mean over the samples of what it adds to each output, [C]. */
  readonly mean: readonly number[];
  /** w, b and a as the layers hold them. */
  readonly weights: readonly number[];
  readonly bias: number;
  readonly outputs: readonly number[];
}

/** A network as a table. */
export interface NetworkDescription {
  readonly samples: number;
  /** Neurons that are not zero, the largest variance first. */
  readonly neurons: readonly NeuronDescription[];
  /** Units that add nothing. */
  readonly idle: number;
  /** The samples that each gate selects, by the `gate` of the neurons. */
  readonly gates: readonly (readonly number[])[];
  /** Variance over the samples of the outputs (before the last activation), summed over outputs. */
  readonly variance: number;
}

/** Describes a network on data; with a `biasColumn` t the last column of X is t, and the last row of the kernels the bias over t. */
export function describe(weights: NetworkWeights, X: Matrix, biasColumn: number): NetworkDescription {
  const { kernel, gates, output, bias } = weights;
  const { rows: n, cols: d } = X;
  const m = kernel.cols;
  const C = output.cols;
  const sizes = sizesOf(weights, biasColumn > 0);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const patterns = new Map<string, number[]>();
  const rows: (NeuronDescription & { readonly pattern: string })[] = [];
  const Z = new Float64Array(n * C);
  for (let k = 0; k < Z.length; k++) Z[k] = bias[k % C];
  const product = (of: Matrix, row: number, j: number) => {
    let sum = 0;
    for (let p = 0; p < d; p++) sum += X.data[row * d + p] * of.data[p * m + j];
    return sum;
  };
  for (let j = 0; j < m; j++) {
    if (sizes[j] === 0) continue;
    const open: number[] = [];
    const values = new Float64Array(n);
    for (let k = 0; k < n; k++) {
      const pre = product(kernel, k, j);
      if (gates === null ? pre <= 0 : product(gates, k, j) < 0) continue;
      open.push(k);
      values[k] = pre;
    }
    const outputs = Array.from(output.data.subarray(j * C, (j + 1) * C));
    for (let k = 0; k < n; k++) for (let c = 0; c < C; c++) Z[k * C + c] += values[k] * outputs[c];
    const pattern = open.join(" ");
    patterns.set(pattern, open);
    const column = Array.from({ length: kernel.rows }, (_, p) => kernel.data[p * m + j]);
    const average = mean(values);
    rows.push({
      unit: j,
      gate: 0,
      samples: open.length,
      decayShare: sizes[j] / total,
      variance: variance(values) * outputs.reduce((sum, a) => sum + a * a, 0),
      mean: outputs.map((a) => a * average),
      weights: biasColumn > 0 ? column.slice(0, -1) : column,
      bias: biasColumn > 0 ? column[column.length - 1] * biasColumn : 0,
      outputs,
      pattern,
    });
  }
  const order = [...patterns.entries()].sort(([, a], [, b]) => b.length - a.length);
  const numbers = new Map(order.map(([pattern], k) => [pattern, k]));
  const neurons = rows
    .map(({ pattern, ...row }) => ({ ...row, gate: numbers.get(pattern) ?? 0 }))
    .sort((a, b) => b.variance - a.variance);
  const spread = Array.from({ length: C }, (_, c) => variance(Z.filter((_, k) => k % C === c)));
  return {
    samples: n,
    neurons,
    idle: m - neurons.length,
    gates: order.map(([, open]) => open),
    variance: spread.reduce((sum, value) => sum + value, 0),
  };
}

/** |w_j| |a_j| of every neuron, w without its bias. */
function sizesOf({ kernel, output }: NetworkWeights, hasBias: boolean): number[] {
  const m = kernel.cols;
  const C = output.cols;
  return Array.from({ length: m }, (_, j) => {
    const w = Array.from({ length: kernel.rows - (hasBias ? 1 : 0) }, (_, p) => kernel.data[p * m + j]);
    const a = output.data.subarray(j * C, (j + 1) * C);
    // A neuron of bias alone has no size, and yet it is one.
    const own = Math.hypot(...w) || (hasBias ? Math.abs(kernel.data[(kernel.rows - 1) * m + j]) : 0);
    return own * Math.hypot(...a);
  });
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function variance(values: Float64Array): number {
  const center = mean(values);
  return values.reduce((sum, value) => sum + (value - center) ** 2, 0) / values.length;
}
