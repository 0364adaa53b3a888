/**
 * Neurons w that feed all outputs by a vector a each, free to move: loss(sum_j S (X w_j)_+ a_j' + 1 c') + beta / 2 sum_j (|w_j|^2 +
 * |a_j|^2), which is what weight decay charges a network with several outputs.
 */

import { columnsOf, type NeuronPasses, TogetherPasses } from "../growth/index.js";
import type { Kernels } from "../kernels/types.js";
import type { Objective } from "../linear/lbfgs.js";
import { dot, norm } from "../linear/vectors.js";
import type { Network } from "../network.js";
import { layerFor, layerObjective, roughLayerFor } from "../operators/neuronLayer.js";
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
  constructor(
    private readonly program: ConvexProgram,
    private readonly kernels: Kernels,
  ) {}

  /** Z [n x C]. */
  predict({ weights, outputs, bias }: SharedNeurons): Float64Array {
    const C = bias.length;
    const Z = Float64Array.from({ length: this.program.loss.rows * C }, (_, k) => bias[k % C]);
    const m = outputs.length / C;
    if (m === 0) return Z;
    const layer = layerFor(this.program, this.kernels, m) ?? this.passes(m);
    layer.forward(weights, outputs, Z);
    layer.dispose();
    return Z;
  }

  /** What weight decay charges the neurons included. */
  value({ weights, outputs, bias }: SharedNeurons, Z = this.predict({ weights, outputs, bias })): number {
    const { loss, beta, outputBias } = this.program;
    const charged = dot(weights, weights) + dot(outputs, outputs);
    return loss.value(Z) + 0.5 * beta * charged + (outputBias?.ridge ?? 0) * dot(bias, bias);
  }

  /** S (X w)_+ for every w, [m x n]. */
  activations(weights: Float64Array): Float64Array {
    const { X, loss } = this.program;
    const n = loss.rows;
    const m = weights.length / X.cols;
    const all = new Float64Array(m * n);
    const passes = this.passes(m);
    passes.eachBlock(weights, (_, first, count) => {
      for (let j = 0; j < m; j++) all.set(passes.pooled.subarray(j * count, (j + 1) * count), j * n + first);
    });
    return all;
  }

  /** N' S (X w)_+ for every w, [C x m]: how each output pulls at the activations of m directions. */
  pulls(weights: Float64Array, N: Float64Array): Float64Array {
    const { program, kernels } = this;
    const C = program.loss.outputs;
    const m = weights.length / program.X.cols;
    const pulls = new Float64Array(C * m);
    const part = new Float64Array(C * m);
    const passes = this.passes(m);
    passes.eachBlock(weights, (_, first, count) => {
      kernels.multiplyTransposed(columnsOf(N, C, first, count), passes.pooled, part, C, count, m);
      for (let k = 0; k < part.length; k++) pulls[k] += part[k];
    });
    return pulls;
  }

  /** What a descent over m neurons wants. */
  over(m: number): Objective {
    return this.exact(this.program, m);
  }

  /** The same for one that goes along axes, and is in float32 first. */
  descent(m: number): NeuronPasses {
    const { program, kernels } = this;
    return {
      ...{ m, outputs: m * program.loss.outputs, own: (k) => k % m },
      rough: (posed) => roughLayerFor(posed, kernels, m),
      exact: (posed) => this.exact(posed, m),
    };
  }

  private exact(posed: ConvexProgram, m: number): Objective {
    const layer = layerFor(posed, this.kernels, m) ?? new TogetherPasses(posed, this.kernels, m);
    return layerObjective(posed, layer, m * posed.X.cols, m * posed.loss.outputs);
  }

  private passes(m: number): TogetherPasses {
    return new TogetherPasses(this.program, this.kernels, m);
  }
}
