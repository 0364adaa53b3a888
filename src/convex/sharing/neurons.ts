/**
 * Neurons w that feed all outputs by a vector a each, free to move: loss(sum_j S (X w_j)_+ a_j' + 1 c') + beta / 2 sum_j (|w_j|^2 +
 * |a_j|^2), which is what weight decay charges a network with several outputs.
 */

import { eachSampleBlock } from "../growth/sampleBlocks.js";
import type { Kernels, NeuronLayer } from "../kernels/types.js";
import type { Objective } from "../linear/lbfgs.js";
import { dot, norm, transpose } from "../linear/vectors.js";
import { type Network, ONE_PATCH, slopeOf } from "../network.js";
import { layerFor } from "../operators/neuronLayer.js";
import { biasGradient } from "../operators/outputBias.js";
import type { ConvexProgram, Pooling } from "../types.js";

/** m neurons and the output bias; in one vector (weights, outputs, bias) for the descent. */
export interface SharedNeurons {
  readonly weights: Float64Array; // [m x d]
  readonly outputs: Float64Array; // [C x m]
  readonly bias: Float64Array; // [C]
}

/** Neurons in given unit directions, with outputs of their own length; |w| = |a| in each. */
export function sharedNeurons(
  list: readonly { readonly direction: Float64Array; readonly output: Float64Array }[],
  d: number,
  bias: Float64Array,
): SharedNeurons {
  const [m, C] = [list.length, bias.length];
  const weights = new Float64Array(m * d);
  const outputs = new Float64Array(C * m);
  list.forEach(({ direction, output }, j) => {
    const root = Math.sqrt(norm(output));
    for (let p = 0; p < d; p++) weights[j * d + p] = root * direction[p];
    if (root > 0) for (let c = 0; c < C; c++) outputs[c * m + j] = output[c] / root;
  });
  return { weights, outputs, bias: bias.slice() };
}

/** The neurons by their directions, outputs scaled to |w| |a|; those below `share` of the largest have died out. */
export function networkOf(
  { weights, outputs, bias }: SharedNeurons,
  pooling: Pooling | null | undefined,
  share: number,
): Network {
  const C = bias.length;
  const m = outputs.length / C;
  const d = weights.length / Math.max(1, m);
  const neurons = Array.from({ length: m }, (_, j) => {
    const weight = weights.subarray(j * d, (j + 1) * d);
    const length = norm(weight);
    const output = Float64Array.from({ length: C }, (_, c) => length * outputs[c * m + j]);
    return { direction: weight.map((value) => value / length), output, gate: null };
  });
  const largest = neurons.reduce((most, { output }) => Math.max(most, norm(output)), 0);
  const living = neurons.filter(({ output }) => norm(output) > share * largest);
  return { gated: false, neurons: living, bias: bias.slice(), pooling: pooling ?? null };
}

/** The network's objective at packed neurons. */
export class SharedObjective {
  private H = new Float64Array(0); // W X' of a block, [m x rows]
  private pooled = new Float64Array(0); // its activations, summed over patches: [m x samples]
  private blocks = 0; // of samples, in the last pass forward
  private readonly pooling: Pooling;
  private readonly Z: Float64Array; // [n x C]
  private readonly N: Float64Array;

  constructor(
    private readonly program: ConvexProgram,
    private readonly kernels: Kernels,
  ) {
    const { loss, pooling } = program;
    this.pooling = pooling ?? ONE_PATCH;
    this.Z = new Float64Array(loss.rows * loss.outputs);
    this.N = new Float64Array(this.Z.length);
  }

  /** Z [n x C]. */
  predict({ weights, outputs, bias }: SharedNeurons): Float64Array {
    const { Z } = this;
    for (let k = 0; k < Z.length; k++) Z[k] = bias[k % bias.length];
    this.forward(weights, outputs, Z);
    return Z.slice();
  }

  /** S (X w)_+ for every w, [m x n]. */
  activations(weights: Float64Array): Float64Array {
    const { program, pooling } = this;
    const n = program.loss.rows;
    const m = weights.length / program.X.cols;
    const all = new Float64Array(m * n);
    eachSampleBlock(program.X, pooling, m, (rows, first, count) => {
      this.activate(weights, rows, m, count);
      for (let j = 0; j < m; j++) all.set(this.pooled.subarray(j * count, (j + 1) * count), j * n + first);
    });
    return all;
  }

  /** N' S (X w)_+ for every w, [C x m]: how each output pulls at the activations of m directions. */
  pulls(weights: Float64Array, N: Float64Array): Float64Array {
    const { program, kernels, pooling } = this;
    const C = program.loss.outputs;
    const m = weights.length / program.X.cols;
    const pulls = new Float64Array(C * m);
    const part = new Float64Array(C * m);
    eachSampleBlock(program.X, pooling, m, (rows, first, count) => {
      this.activate(weights, rows, m, count);
      kernels.multiplyTransposed(transposed(N, C, first, count), this.pooled, part, C, count, m);
      for (let k = 0; k < part.length; k++) pulls[k] += part[k];
    });
    return pulls;
  }

  /** What a descent over m neurons wants. */
  over(m: number): Objective {
    const { program, Z, N } = this;
    const { X, loss, beta, outputBias } = program;
    const [d, C] = [X.cols, loss.outputs];
    const pass = layerFor(program, this.kernels, m) ?? this.passes(m);
    const value = (x: Float64Array, gradient: Float64Array) => {
      const weights = x.subarray(0, m * d);
      const outputs = x.subarray(m * d, m * (d + C));
      const bias = x.subarray(m * (d + C));
      for (let k = 0; k < Z.length; k++) Z[k] = bias[k % C];
      pass.forward(weights, outputs, Z);
      const value = loss.value(Z) + 0.5 * beta * dot(x.subarray(0, m * (d + C)), x);
      loss.gradient(Z, N);
      for (let k = 0; k < m * (d + C); k++) gradient[k] = beta * x[k];
      pass.backward(weights, outputs, N, gradient.subarray(0, m * d), gradient.subarray(m * d, m * (d + C)));
      return value + biasGradient(outputBias, bias, N, gradient.subarray(m * (d + C)));
    };
    return Object.assign(value, { dispose: () => pass.dispose() });
  }

  /** The passes over the data in blocks of samples, where no engine has them. */
  private passes(m: number): NeuronLayer {
    const { program, kernels, pooling } = this;
    const { X, loss } = program;
    const [d, C] = [X.cols, loss.outputs];
    const partW = new Float64Array(m * d);
    const partA = new Float64Array(C * m);
    const A = new Float64Array(m * C);
    return {
      forward: (weights, outputs, Z) => this.forward(weights, outputs, Z),
      backward: (weights, outputs, N, inWeights, inOutputs) => {
        transpose(outputs, C, m, A);
        const kept = this.blocks === 1;
        eachSampleBlock(X, pooling, m, (rows, first, count) => {
          if (!kept) this.activate(weights, rows, m, count);
          const pull = transposed(N, C, first, count);
          kernels.multiplyTransposed(pull, this.pooled, partA, C, count, m);
          for (let k = 0; k < partA.length; k++) inOutputs[k] += partA[k];
          kernels.multiply(A, pull, this.pooled, m, C, count);
          this.maskByActive(m, count);
          kernels.multiply(this.H, rows, partW, m, rows.length / d, d);
          for (let k = 0; k < partW.length; k++) inWeights[k] += partW[k];
        });
      },
      dispose: () => undefined,
    };
  }

  /** Z += the outputs of the neurons. */
  private forward(weights: Float64Array, outputs: Float64Array, Z: Float64Array): void {
    const { program, kernels, pooling } = this;
    const C = program.loss.outputs;
    const m = outputs.length / C;
    this.blocks = 0;
    eachSampleBlock(program.X, pooling, m, (rows, first, count) => {
      this.blocks += 1;
      this.activate(weights, rows, m, count);
      const part = new Float64Array(C * count);
      kernels.multiply(outputs, this.pooled, part, C, m, count);
      for (let c = 0; c < C; c++) for (let s = 0; s < count; s++) Z[(first + s) * C + c] += part[c * count + s];
    });
  }

  /** H = W rows', and the activations pooled over the patches of each sample. */
  private activate(weights: Float64Array, rows: Float64Array, m: number, count: number): void {
    const { kernels, program, pooling } = this;
    const K = pooling.patches;
    const slope = slopeOf(pooling);
    if (this.H.length < m * count * K) this.H = new Float64Array(m * count * K);
    if (this.pooled.length < m * count) this.pooled = new Float64Array(m * count);
    const { H, pooled } = this;
    kernels.multiplyTransposed(weights, rows, H, m, program.X.cols, count * K);
    for (let s = 0, at = 0; s < m * count; s++) {
      let sum = 0;
      for (const end = at + K; at < end; at++) sum += H[at] > 0 ? H[at] : slope * H[at];
      pooled[s] = pooling.scale * sum;
    }
  }

  /** H := the pull on each sample where its patch is active, the slope times it elsewhere. */
  private maskByActive(m: number, count: number): void {
    const { H, pooled, pooling } = this;
    const slope = slopeOf(pooling);
    for (let s = 0, at = 0; s < m * count; s++) {
      const pull = pooling.scale * pooled[s];
      for (const end = at + pooling.patches; at < end; at++) H[at] = H[at] > 0 ? pull : slope * pull;
    }
  }
}

/** Columns [C x count] of rows [first, first + count) of N [n x C]. */
function transposed(N: Float64Array, C: number, first: number, count: number): Float64Array {
  const out = new Float64Array(C * count);
  transpose(N.subarray(first * C, (first + count) * C), count, C, out);
  return out;
}
