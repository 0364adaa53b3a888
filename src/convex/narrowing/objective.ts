/**
 * The objective of a network as its layers are: m neurons w that feed all outputs (over patches: of every position) by a vector a
 * each, ReLU or with gates that are held, and a bias: loss(Z) + beta / 2 sum_j (|w_j|^2 + |a_j|^2) + ridge |c|^2.
 *
 * This is what weight decay charges, and at balance, |w| = |a|, it is beta sum_j |w_j| |a_j|.
 */

import { TogetherPasses } from "../growth/index.js";
import type { Kernels } from "../kernels/types.js";
import { patternBytes } from "../linear/bits.js";
import type { Objective } from "../linear/lbfgs.js";
import { type Network, type Neuron, ONE_PATCH } from "../network.js";
import { layerFor, layerObjective } from "../operators/neuronLayer.js";
import type { ConvexProgram, Pooling } from "../types.js";
import { packed, unpacked } from "./packing.js";

export class LayerObjective {
  private readonly pooling: Pooling;
  private readonly width: number; // A C: entries of a neuron's output
  private readonly Z: Float64Array; // [n x C]

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
  }

  /** The gradient of the loss at the outputs of a network, [n x C]. */
  residual(network: Network): Float64Array {
    this.valueOf(network);
    const N = new Float64Array(this.Z.length);
    this.program.loss.gradient(this.Z, N);
    return N;
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

  pack(network: Network): Float64Array {
    return packed(network, this.program.X.cols, this.width);
  }

  unpack(x: Float64Array, like: Network): Network {
    return unpacked(x, like, this.program.X.cols, this.width);
  }

  /** What a descent over these neurons wants; their gates, and where they share nothing the zeros of their outputs, are held. */
  over(neurons: readonly Neuron[]): Objective {
    const { program, kernels, Z, width, shares } = this;
    const m = neurons.length;
    const [weights, outputs] = [m * program.X.cols, m * width];
    const masks = this.masksOf(neurons);
    const bias = new Float64Array(program.loss.outputs);
    const held = shares
      ? null
      : this.pack({ gated: false, neurons, bias })
          .subarray(weights, weights + outputs)
          .map(sign);
    const layer =
      (masks === null ? layerFor(program, kernels, m) : null) ?? new TogetherPasses(program, kernels, m, masks);
    return layerObjective(program, layer, weights, outputs, Z, held);
  }

  /** 1[x g >= 0] of every row, [m x n K]; null for ReLU. */
  private masksOf(neurons: readonly Neuron[]): Uint8Array | null {
    if (neurons.length === 0 || neurons[0].gate === null) return null;
    const { X } = this.program;
    const generators = neurons.map(({ gate }) => gate ?? new Float64Array(X.cols));
    return patternBytes(X, generators, this.kernels);
  }
}

/** 1 where it is not zero. */
function sign(value: number): number {
  return value === 0 ? 0 : 1;
}
