/**
 * The objective of a network as its layers are: m neurons w that feed all outputs (over patches: of every position) by a vector a
 * each, ReLU or with gates that are held, and a bias: loss(Z) + beta / 2 sum_j (|w_j|^2 + |a_j|^2) + ridge |c|^2.
 *
 * This is what weight decay charges, and at balance, |w| = |a|, it is beta sum_j |w_j| |a_j|.
 */

import { eachSampleBlock } from "../growth/sampleBlocks.js";
import type { Kernels, NeuronLayer } from "../kernels/types.js";
import { packPatterns, wordsPerGate } from "../linear/bits.js";
import type { Objective } from "../linear/lbfgs.js";
import { concatenated, dot, norm, transpose } from "../linear/vectors.js";
import { type Network, type Neuron, ONE_PATCH, slopeOf } from "../network.js";
import { layerFor } from "../operators/neuronLayer.js";
import { biasGradient } from "../operators/outputBias.js";
import type { ConvexProgram, Pooling } from "../types.js";

export class LayerObjective {
  private H = new Float64Array(0); // W X' of a block, [m x rows]
  private pooled = new Float64Array(0); // [m A x samples]
  private readonly pooling: Pooling;
  private readonly width: number; // A C: entries of a neuron's output
  private readonly Z: Float64Array; // [n x C]
  private readonly N: Float64Array;

  constructor(
    private readonly program: ConvexProgram,
    private readonly kernels: Kernels,
    /** False: an output weight that is zero stays zero. */
    private readonly shares: boolean,
  ) {
    const { loss, pooling } = program;
    this.pooling = pooling ?? ONE_PATCH;
    this.width = this.pooling.positions * loss.outputs;
    this.Z = new Float64Array(loss.rows * loss.outputs);
    this.N = new Float64Array(this.Z.length);
  }

  /** The gradient of the loss at the outputs of a network, [n x C]. */
  residual(network: Network): Float64Array {
    this.valueOf(network);
    this.program.loss.gradient(this.Z, this.N);
    return this.N.slice();
  }

  /** The objective of a network. */
  valueOf(network: Network): number {
    const x = this.pack(network);
    const over = this.over(network.neurons);
    try {
      return over(x, new Float64Array(x.length));
    } finally {
      over.dispose?.();
    }
  }

  /** (weights [m x d], outputs [C x m A], bias [C]) in one vector. */
  pack({ neurons, bias }: Network): Float64Array {
    const { width } = this;
    const d = this.program.X.cols;
    const [m, C] = [neurons.length, bias.length];
    const columns = (m * width) / C;
    const weights = new Float64Array(m * d);
    const outputs = new Float64Array(m * width);
    neurons.forEach(({ direction, output }, j) => {
      const root = Math.sqrt(norm(output));
      if (!(root > 0)) return;
      for (let p = 0; p < d; p++) weights[j * d + p] = root * direction[p];
      for (let k = 0; k < width; k++) {
        outputs[(k % C) * columns + (j * width) / C + Math.floor(k / C)] = output[k] / root;
      }
    });
    return concatenated(weights, outputs, bias);
  }

  /** The way back; neurons that are nothing are left out. */
  unpack(x: Float64Array, like: Network): Network {
    const { width } = this;
    const d = this.program.X.cols;
    const [m, C] = [like.neurons.length, like.bias.length];
    const columns = (m * width) / C;
    const neurons: Neuron[] = [];
    for (let j = 0; j < m; j++) {
      const w = x.slice(j * d, (j + 1) * d);
      const length = norm(w);
      const output = Float64Array.from({ length: width }, (_, k) => {
        const at = (k % C) * columns + (j * width) / C + Math.floor(k / C);
        return length * x[m * d + at];
      });
      if (!(norm(output) > 0)) continue;
      neurons.push({ direction: w.map((value) => value / length), output, gate: like.neurons[j].gate });
    }
    return { ...like, neurons, bias: x.slice(m * (d + width)) };
  }

  /** What a descent over these neurons wants; their gates, and where they share nothing the zeros of their outputs, are held. */
  over(neurons: readonly Neuron[]): Objective {
    const { program, Z, N, width } = this;
    const { X, loss, beta, outputBias } = program;
    const [m, d, C] = [neurons.length, X.cols, loss.outputs];
    const masks = this.masksOf(neurons);
    const pass = (masks === null ? layerFor(program, this.kernels, m) : null) ?? this.passes(m, masks);
    const held = this.shares ? null : this.pack({ gated: false, neurons, bias: new Float64Array(C) }).map(sign);
    const value = (x: Float64Array, gradient: Float64Array) => {
      const weights = x.subarray(0, m * d);
      const outputs = x.subarray(m * d, m * (d + width));
      const bias = x.subarray(m * (d + width));
      for (let k = 0; k < Z.length; k++) Z[k] = bias[k % C];
      pass.forward(weights, outputs, Z);
      const charged = x.subarray(0, m * (d + width));
      const value = loss.value(Z) + 0.5 * beta * dot(charged, x);
      loss.gradient(Z, N);
      for (let k = 0; k < charged.length; k++) gradient[k] = beta * x[k];
      pass.backward(weights, outputs, N, gradient.subarray(0, m * d), gradient.subarray(m * d, m * (d + width)));
      if (held !== null) for (let k = m * d; k < m * (d + width); k++) gradient[k] *= held[k];
      return value + biasGradient(outputBias, bias, N, gradient.subarray(m * (d + width)));
    };
    return Object.assign(value, { dispose: () => pass.dispose() });
  }

  /** The passes over the data in blocks of samples, where no engine has them. */
  private passes(m: number, masks: Uint8Array | null): NeuronLayer {
    const { program, kernels, pooling, width } = this;
    const { X, loss } = program;
    const [d, C, A, n] = [X.cols, loss.outputs, pooling.positions, loss.rows];
    const partW = new Float64Array(m * d);
    const partA = new Float64Array(m * width);
    const turned = new Float64Array(m * width); // [m A x C]
    let blocks = 0;
    return {
      forward: (weights, outputs, Z) => {
        blocks = 0;
        eachSampleBlock(X, pooling, m, (rows, first, count) => {
          blocks += 1;
          this.activate(weights, rows, m, count, masks, first);
          const part = new Float64Array(C * count);
          kernels.multiply(outputs, this.pooled, part, C, m * A, count);
          for (let c = 0; c < C; c++) for (let s = 0; s < count; s++) Z[(first + s) * C + c] += part[c * count + s];
        });
      },
      backward: (weights, outputs, N, inWeights, inOutputs) => {
        transpose(outputs, C, m * A, turned);
        eachSampleBlock(X, pooling, m, (rows, first, count) => {
          if (blocks > 1) this.activate(weights, rows, m, count, masks, first);
          const pull = new Float64Array(C * count);
          transpose(N.subarray(first * C, (first + count) * C), count, C, pull);
          kernels.multiplyTransposed(pull, this.pooled, partA, C, count, m * A);
          for (let k = 0; k < partA.length; k++) inOutputs[k] += partA[k];
          kernels.multiply(turned, pull, this.pooled, m * A, C, count);
          this.spread(m, count, masks, first, n);
          kernels.multiply(this.H, rows, partW, m, count * pooling.patches, d);
          for (let k = 0; k < partW.length; k++) inWeights[k] += partW[k];
        });
      },
      dispose: () => undefined,
    };
  }

  /** H = W rows', and its activations pooled over the patches of each position. */
  private activate(
    weights: Float64Array,
    rows: Float64Array,
    m: number,
    count: number,
    masks: Uint8Array | null,
    first: number,
  ): void {
    const { kernels, program } = this;
    const { patches: K, positions: A, scale } = this.pooling;
    const closed = masks === null ? scale * slopeOf(this.pooling) : 0;
    if (this.H.length < m * count * K) this.H = new Float64Array(m * count * K);
    if (this.pooled.length < m * A * count) this.pooled = new Float64Array(m * A * count);
    const { H, pooled } = this;
    kernels.multiplyTransposed(weights, rows, H, m, program.X.cols, count * K);
    pooled.fill(0, 0, m * A * count);
    for (let j = 0, at = 0; j < m; j++) {
      let seen = (j * program.loss.rows + first) * K;
      for (let s = 0; s < count; s++) {
        for (let k = 0; k < K; k++, at++, seen++) {
          const active = masks === null ? H[at] > 0 : masks[seen] === 1;
          if (active || closed !== 0) pooled[(j * A + (k % A)) * count + s] += (active ? scale : closed) * H[at];
        }
      }
    }
  }

  /** H := the pull on each sample and position where a patch is active, the slope times it elsewhere. */
  private spread(m: number, count: number, masks: Uint8Array | null, first: number, n: number): void {
    const { H, pooled } = this;
    const { patches: K, positions: A, scale } = this.pooling;
    const closed = masks === null ? scale * slopeOf(this.pooling) : 0;
    for (let j = 0, at = 0; j < m; j++) {
      let seen = (j * n + first) * K;
      for (let s = 0; s < count; s++) {
        for (let k = 0; k < K; k++, at++, seen++) {
          const active = masks === null ? H[at] > 0 : masks[seen] === 1;
          H[at] = (active ? scale : closed) * pooled[(j * A + (k % A)) * count + s];
        }
      }
    }
  }

  /** 1[x g >= 0] of every row, [m x n K]; null for ReLU. */
  private masksOf(neurons: readonly Neuron[]): Uint8Array | null {
    if (neurons.length === 0 || neurons[0].gate === null) return null;
    const { X } = this.program;
    const [d, m] = [X.cols, neurons.length];
    const masks = new Uint8Array(m * X.rows);
    const patterns = neurons.map(() => new Uint32Array(wordsPerGate(X.rows)));
    (this.kernels.packPatterns?.bind(this.kernels) ?? packPatterns)(
      X,
      neurons.map(({ gate }) => gate ?? new Float64Array(d)),
      patterns,
    );
    patterns.forEach((pattern, j) => {
      for (let r = 0; r < X.rows; r++) masks[j * X.rows + r] = (pattern[r >>> 5] >>> (r & 31)) & 1;
    });
    return masks;
  }
}

/** 1 where it is not zero. */
function sign(value: number): number {
  return value === 0 ? 0 : 1;
}
