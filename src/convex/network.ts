/** The independent judge: a two-layer network as plain neurons, its forward pass and its objective, by the definition. */

import type { Loss, Matrix } from "./types.js";

/** A neuron (x u)_+ o, or (x u) 1[x g >= 0] o when gated; |u| = 1, so that |o| is what the penalty charges. */
export interface Neuron {
  readonly direction: Float64Array; // u [d]
  readonly output: Float64Array; // o [C]
  readonly gate: Float64Array | null; // g [d]; null: the neuron gates itself (ReLU)
}

export interface Network {
  readonly gated: boolean; // whether neurons have gates, also when there is none
  readonly neurons: readonly Neuron[];
  readonly bias: Float64Array; // [C]
}

/** Weights as a layer holds them: neuron j is w_j (column j of the kernel) and a_j (row j of the output kernel). */
export interface NetworkWeights {
  readonly kernel: Matrix; // [d x m]
  readonly gates: Matrix | null; // [d x m]
  readonly output: Matrix; // [m x C]
  readonly bias: Float64Array; // [C]
}

/** What weight decay charges: g1 |W1|^2 + g2 |W2|^2 + ridge |c|^2. */
export interface Decay {
  readonly hidden: number; // g1
  readonly output: number; // g2
  readonly outputBias: number; // ridge
}

/**
 * Balances every neuron so that its decay is least: g1 |w|^2 + g2 |a|^2 = 2 sqrt(g1 g2) |o|, reached at
 * w = u (g2 / g1)^(1/4) sqrt|o|, a = o (g1 / g2)^(1/4) / sqrt|o|. Pads with zero neurons up to `units`; rounds to float32.
 */
export function weightsOf(network: Network, decay: Decay, features: number, units: number): NetworkWeights {
  const C = network.bias.length;
  const kernel = new Float64Array(features * units);
  const gates = new Float64Array(features * units);
  const output = new Float64Array(units * C);
  const ratio = (decay.output / decay.hidden) ** 0.25;
  network.neurons.forEach((neuron, j) => {
    const size = Math.sqrt(norm(neuron.output));
    for (let p = 0; p < features; p++) {
      kernel[p * units + j] = Math.fround(neuron.direction[p] * ratio * size);
      if (neuron.gate !== null) gates[p * units + j] = Math.fround(neuron.gate[p]);
    }
    for (let c = 0; c < C; c++) output[j * C + c] = size > 0 ? Math.fround(neuron.output[c] / (ratio * size)) : 0;
  });
  return {
    kernel: { rows: features, cols: units, data: kernel },
    gates: network.gated ? { rows: features, cols: units, data: gates } : null,
    output: { rows: units, cols: C, data: output },
    bias: network.bias.map(Math.fround),
  };
}

/** Z [n x C]: the outputs before the last activation. */
export function forward(weights: NetworkWeights, X: Matrix): Float64Array {
  const { kernel, gates, output, bias } = weights;
  const { rows: n, cols: d } = X;
  const m = kernel.cols;
  const C = output.cols;
  const Z = new Float64Array(n * C);
  const pre = new Float64Array(m);
  const gate = new Float64Array(m);
  for (let k = 0; k < n; k++) {
    pre.fill(0);
    gate.fill(0);
    for (let p = 0; p < d; p++) {
      const x = X.data[k * d + p];
      if (x === 0) continue;
      for (let j = 0; j < m; j++) pre[j] += x * kernel.data[p * m + j];
      if (gates !== null) for (let j = 0; j < m; j++) gate[j] += x * gates.data[p * m + j];
    }
    for (let c = 0; c < C; c++) Z[k * C + c] = bias[c];
    for (let j = 0; j < m; j++) {
      const active = gates === null ? pre[j] > 0 : gate[j] >= 0;
      if (!active) continue;
      for (let c = 0; c < C; c++) Z[k * C + c] += pre[j] * output.data[j * C + c];
    }
  }
  return Z;
}

/** Data loss and decay of a network on data; the sum is what a convex program promises to bound. */
export function objectiveOf(
  weights: NetworkWeights,
  X: Matrix,
  loss: Loss,
  decay: Decay,
): { loss: number; regularization: number; total: number } {
  const value = loss.value(forward(weights, X));
  const regularization =
    decay.hidden * square(weights.kernel.data) +
    decay.output * square(weights.output.data) +
    decay.outputBias * square(weights.bias);
  return { loss: value, regularization, total: value + regularization };
}

function square(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}

function norm(values: Float64Array): number {
  return Math.sqrt(square(values));
}
