/**
 * Neurons that move: the network's own objective, where a neuron may cross into another arrangement.
 *
 * A block v with output c and sign s is the neuron s a (X w)_+ with w = v / sqrt|v|, a = sqrt|v|, and beta |v| is its weight
 * decay beta / 2 (|w|^2 + a^2) (Pilanci and Ergen 2020, section 2.2). The objective is not convex in (w, a), but a descent
 * from a point of the convex program leaves it only for networks that are better.
 */

import type { Kernels } from "../kernels/types.js";
import { blockOutputs, columnsOf, perRow } from "../operators/blocks.js";
import { liftNeurons } from "../recovery/lift.js";
import type { ConvexProgram, SparseBlocks } from "../types.js";
import type { Objective } from "./lbfgs.js";

/** m neurons, each feeding one output, and the output bias. */
export interface MovingNeurons {
  readonly weights: Float64Array; // [m x d]
  readonly scales: Float64Array; // [m]: a, with the sign of the neuron
  readonly outputs: Int32Array; // [m]: of C, or of A C where patches are read out apart
  readonly bias: Float64Array; // [C]
}

/** Neurons below this share of the largest |w| |a| have died out. */
const DEAD = 1e-10;

/** The blocks as neurons. */
export function neuronsOf(program: ConvexProgram, blocks: SparseBlocks): MovingNeurons {
  const d = program.X.cols;
  const { output, sign } = columnsOf(program, blocks.index);
  const weights = blocks.vectors.slice();
  const scales = sign.map((s, j) => {
    const vector = weights.subarray(j * d, (j + 1) * d);
    const root = Math.sqrt(norm(vector));
    for (let p = 0; p < d; p++) vector[p] /= root;
    return s * root;
  });
  return { weights, scales, outputs: output, bias: blocks.bias.slice() };
}

/** The neurons as blocks of a program whose gates are their own patterns; those of one gate, sign and output become one. */
export function programAt(
  program: ConvexProgram,
  neurons: MovingNeurons,
): { program: ConvexProgram; blocks: SparseBlocks } {
  const d = program.X.cols;
  const { weights, scales, outputs, bias } = living(neurons, DEAD);
  const hidden = Array.from(scales, (a, j) => {
    const output = new Float64Array(blockOutputs(program));
    output[outputs[j]] = a;
    return { weights: weights.subarray(j * d, (j + 1) * d), outputs: output };
  });
  return liftNeurons(program, hidden, bias);
}

/** Neurons side by side. */
export function joined(a: MovingNeurons, b: MovingNeurons): MovingNeurons {
  return {
    weights: concatenated(a.weights, b.weights),
    scales: concatenated(a.scales, b.scales),
    outputs: Int32Array.from([...a.outputs, ...b.outputs]),
    bias: a.bias,
  };
}

/** Those whose |w| |a| is at least this share of the largest. */
export function living({ weights, scales, outputs, bias }: MovingNeurons, share: number): MovingNeurons {
  const d = weights.length / Math.max(1, scales.length);
  const sizes = scales.map((a, j) => Math.abs(a) * norm(weights.subarray(j * d, (j + 1) * d)));
  const smallest = share * sizes.reduce((a, b) => Math.max(a, b), 0);
  const kept = Array.from(sizes.keys()).filter((j) => sizes[j] >= smallest);
  const packedWeights = new Float64Array(kept.length * d);
  kept.forEach((j, k) => {
    packedWeights.set(weights.subarray(j * d, (j + 1) * d), k * d);
  });
  return {
    weights: packedWeights,
    scales: Float64Array.from(kept, (j) => scales[j]),
    outputs: Int32Array.from(kept, (j) => outputs[j]),
    bias,
  };
}

/** x = (weights, scales, bias) in one vector, as the descent wants it. */
export function packed({ weights, scales, bias }: MovingNeurons): Float64Array {
  return concatenated(concatenated(weights, scales), bias);
}

export function unpacked(x: Float64Array, like: MovingNeurons): MovingNeurons {
  const [a, b] = [like.weights.length, like.weights.length + like.scales.length];
  return { weights: x.slice(0, a), scales: x.slice(a, b), outputs: like.outputs, bias: x.slice(b) };
}

/** The network's objective at packed neurons that feed the given outputs. */
export function networkObjective(program: ConvexProgram, kernels: Kernels, outputs: Int32Array): Objective {
  const { X, loss, beta, outputBias } = program;
  const { rows: n, cols: d } = X;
  const C = loss.outputs;
  const columns = blockOutputs(program);
  const m = outputs.length;
  const H = new Float64Array(m * n); // X w_j in row j
  const G = new Float64Array(m * n);
  const Z = new Float64Array(loss.rows * C);
  const N = new Float64Array(Z.length);
  return (x, gradient) => {
    const weights = x.subarray(0, m * d);
    const scales = x.subarray(m * d, m * (d + 1));
    const bias = x.subarray(m * (d + 1));
    for (let k = 0; k < Z.length; k++) Z[k] = bias[k % C];
    addOutputs(program, kernels, { weights, scales, outputs }, H, Z);
    let value = loss.value(Z) + 0.5 * beta * dot(x.subarray(0, m * (d + 1)), x);
    loss.gradient(Z, N);
    const rows = perRow(program, N);
    for (let j = 0; j < m; j++) {
      const a = scales[j];
      let slope = 0;
      for (let k = 0, at = j * n, from = outputs[j]; k < n; k++, at++, from += columns) {
        const open = H[at] > 0;
        if (open) slope += rows[from] * H[at];
        G[at] = open ? a * rows[from] : 0;
      }
      gradient[m * d + j] = slope + beta * a;
    }
    const inWeights = gradient.subarray(0, m * d);
    kernels.multiply(G, X.data, inWeights, m, n, d);
    for (let p = 0; p < m * d; p++) inWeights[p] += beta * weights[p];
    const inBias = gradient.subarray(m * (d + 1)).fill(0);
    if (outputBias !== null) {
      for (let k = 0; k < N.length; k++) inBias[k % C] += N[k];
      for (let c = 0; c < C; c++) {
        inBias[c] += 2 * outputBias.ridge * bias[c];
        value += outputBias.ridge * bias[c] ** 2;
      }
    }
    return value;
  };
}

/** Z [n x C] of the neurons, with their bias. */
export function outputsOf(program: ConvexProgram, kernels: Kernels, neurons: MovingNeurons): Float64Array {
  const { loss } = program;
  const Z = Float64Array.from({ length: loss.rows * loss.outputs }, (_, k) => neurons.bias[k % loss.outputs]);
  addOutputs(program, kernels, neurons, new Float64Array(neurons.scales.length * program.X.rows), Z);
  return Z;
}

/** H [m x n] = W X', Z += the neurons' outputs. */
function addOutputs(
  { X, loss, pooling }: ConvexProgram,
  kernels: Kernels,
  { weights, scales, outputs }: Omit<MovingNeurons, "bias">,
  H: Float64Array,
  Z: Float64Array,
): void {
  const { rows: n, cols: d } = X;
  const C = loss.outputs;
  const { patches: K, positions, scale } = pooling ?? { patches: 1, positions: 1, scale: 1 };
  kernels.multiplyTransposed(weights, X.data, H, scales.length, d, n);
  for (let j = 0; j < scales.length; j++) {
    const a = scale * scales[j];
    const c = outputs[j] % C;
    const [first, stride] = positions > 1 ? [(outputs[j] - c) / C, K] : [0, 1];
    for (let k = first, at = j * n + first; k < n; k += stride, at += stride) {
      if (H[at] > 0) Z[Math.floor(k / K) * C + c] += a * H[at];
    }
  }
}

/** New neurons in given directions, all of one size |w| |a|. */
export function smallNeurons(
  directions: readonly { readonly direction: Float64Array; readonly output: number; readonly sign: 1 | -1 }[],
  d: number,
  size: number,
): MovingNeurons {
  const root = Math.sqrt(size);
  const weights = new Float64Array(directions.length * d);
  directions.forEach(({ direction }, j) => {
    const scale = root / norm(direction);
    for (let p = 0; p < d; p++) weights[j * d + p] = scale * direction[p];
  });
  return {
    weights,
    scales: Float64Array.from(directions, ({ sign }) => sign * root),
    outputs: Int32Array.from(directions, ({ output }) => output),
    bias: new Float64Array(0),
  };
}

function concatenated(a: Float64Array, b: Float64Array): Float64Array {
  const both = new Float64Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Over the length of a. */
function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let p = 0; p < a.length; p++) sum += a[p] * b[p];
  return sum;
}

function norm(a: Float64Array): number {
  return Math.sqrt(dot(a, a));
}
