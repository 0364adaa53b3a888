/** A network read neuron by neuron: what each one selects, and how much of the outputs and of the decay is its own. */

import { eachBlock } from "../linear/rowBlock.js";
import { addLinear, type NetworkWeights, ONE_PATCH, slopeOf } from "../network.js";
import type { Matrix } from "../types.js";

/** Rows that are read at a time. */
const BLOCK = 1024;

/** One neuron that is not zero, as a plain object: a row of a table. */
export interface NeuronDescription {
  /** Its number in the first layer. */
  readonly unit: number;
  /** Which gate it has: neurons that are open on the same samples (patches) have the same number, from 0 for the most. */
  readonly gate: number;
  /** On how many samples it is open; a filter: on one patch at least. */
  readonly samples: number;
  /** Its share of |w| |a| summed over all neurons, which is its share of balanced weight decay. */
  readonly decayShare: number;
  /** Variance over the samples of what it adds to the outputs, summed over outputs. */
  readonly variance: number;
  /** The mean over the samples of what it adds to each output, [C]. */
  readonly mean: readonly number[];
  /** w, b and a as the layers hold them; of a filter w over a patch, and a [A x C] for positions and outputs. */
  readonly weights: readonly number[];
  readonly bias: number;
  readonly outputs: readonly number[];
}

/** A network as a table. */
export interface NetworkDescription {
  readonly samples: number;
  /** Patches of a sample; 1 for a dense network. */
  readonly patches: number;
  /** Neurons that are not zero, the largest variance first. */
  readonly neurons: readonly NeuronDescription[];
  /** Units that add nothing. */
  readonly idle: number;
  /** The samples that each gate selects, by the `gate` of the neurons; of K patches each, patch p of sample k is k K + p. */
  readonly gates: readonly (readonly number[])[];
  /** Variance over the samples of the outputs (before the last activation), summed over outputs. */
  readonly variance: number;
  /** Where a linear layer stands beside the hidden one: its kernel [d x C]. */
  readonly skip?: readonly (readonly number[])[];
}

/**
 * Describes a network on data X [n x d], or on the patches of n samples; with a `biasColumn` t the last column of X is t, and the
 * last row of the kernels the bias over t.
 */
export function describe(weights: NetworkWeights, X: Matrix, biasColumn: number): NetworkDescription {
  const { kernel, output, bias, skip } = weights;
  const { patches } = weights.pooling ?? ONE_PATCH;
  const m = kernel.cols;
  const C = bias.length;
  const n = X.rows / patches;
  const sizes = sizesOf(weights, biasColumn > 0);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const patterns = new Map<string, number[]>();
  const rows: (NeuronDescription & { readonly pattern: string })[] = [];
  const Z = new Float64Array(n * C);
  for (let k = 0; k < Z.length; k++) Z[k] = bias[k % C];
  if (skip !== undefined) addLinear(skip, X, Z);
  for (let j = 0; j < m; j++) {
    if (sizes[j] === 0) continue;
    const { open, added } = contribution(weights, X, j);
    for (let k = 0; k < Z.length; k++) Z[k] += added[k];
    const pattern = open.join(" ");
    patterns.set(pattern, open);
    const column = Array.from({ length: kernel.rows }, (_, p) => kernel.data[p * m + j]);
    const outputs = columnsOf(added, C);
    rows.push({
      unit: j,
      gate: 0,
      samples: new Set(open.map((row) => Math.floor(row / patches))).size,
      decayShare: sizes[j] / total,
      variance: outputs.reduce((sum, values) => sum + variance(values), 0),
      mean: outputs.map(mean),
      weights: biasColumn > 0 ? column.slice(0, -1) : column,
      bias: biasColumn > 0 ? column[column.length - 1] * biasColumn : 0,
      outputs: Array.from(output.data.subarray(j * output.cols, (j + 1) * output.cols)),
      pattern,
    });
  }
  const order = [...patterns.entries()].sort(([, a], [, b]) => b.length - a.length);
  const numbers = new Map(order.map(([pattern], k) => [pattern, k]));
  const neurons = rows
    .map(({ pattern, ...row }) => ({ ...row, gate: numbers.get(pattern) ?? 0 }))
    .sort((a, b) => b.variance - a.variance);
  return {
    samples: n,
    patches,
    neurons,
    idle: m - neurons.length,
    gates: order.map(([, open]) => open),
    variance: columnsOf(Z, C).reduce((sum, values) => sum + variance(values), 0),
    ...(skip === undefined ? {} : { skip: rowsOf(skip) }),
  };
}

function rowsOf({ rows, cols, data }: Matrix): number[][] {
  return Array.from({ length: rows }, (_, p) => Array.from(data.subarray(p * cols, (p + 1) * cols)));
}

/** The rows on which a neuron is open, and what it adds to the outputs, [n x C]. */
function contribution({ kernel, gates, output, bias, pooling }: NetworkWeights, X: Matrix, j: number) {
  const { patches, positions, scale } = pooling ?? ONE_PATCH;
  const closed = gates === null ? scale * slopeOf(pooling) : 0;
  const C = bias.length;
  const d = X.cols;
  const open: number[] = [];
  const added = new Float64Array((X.rows / patches) * C);
  eachBlock(X, BLOCK, (rows, from, count) => {
    const product = (of: Matrix, k: number) => {
      let sum = 0;
      for (let p = 0; p < d; p++) sum += rows[k * d + p] * of.data[p * of.cols + j];
      return sum;
    };
    for (let k = 0; k < count; k++) {
      const value = product(kernel, k);
      const isOpen = gates === null ? value > 0 : product(gates, k) >= 0;
      const factor = isOpen ? scale : closed;
      const row = from + k;
      if (isOpen) open.push(row);
      if (factor === 0) continue;
      const read = j * output.cols + ((row % patches) % positions) * C;
      const to = Math.floor(row / patches) * C;
      for (let c = 0; c < C; c++) added[to + c] += factor * value * output.data[read + c];
    }
  });
  return { open, added };
}

function columnsOf(Z: Float64Array, C: number): Float64Array[] {
  return Array.from({ length: C }, (_, c) => Z.filter((_, k) => k % C === c));
}

/** |w_j| |a_j| of every neuron, w without its bias. */
function sizesOf({ kernel, output }: NetworkWeights, hasBias: boolean): number[] {
  const m = kernel.cols;
  const width = output.cols;
  return Array.from({ length: m }, (_, j) => {
    const w = Array.from({ length: kernel.rows - (hasBias ? 1 : 0) }, (_, p) => kernel.data[p * m + j]);
    const a = output.data.subarray(j * width, (j + 1) * width);
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
