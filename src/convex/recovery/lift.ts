/** The way back of recovery: a network as a point of the convex program, with the gates that it needs. */

import { GateCollector } from "../arrangements/gateCollector.js";
import type { Kernels } from "../kernels/types.js";
import { slopeOf } from "../network.js";
import type { ConvexProgram, GateSet, SparseBlocks } from "../types.js";

/** A hidden neuron as layers hold it: w [d] and its outputs a [C] (over patches [A C]); with a gate of its own [d], or the gate that w makes. */
export interface HiddenNeuron {
  readonly weights: Float64Array;
  readonly outputs: Float64Array;
  readonly gate?: Float64Array;
}

/**
 * A ReLU neuron is the block |a_c| w of every output c that it feeds, in the cone of its own pattern 1[X w >= 0]; a gated
 * neuron adds a_c w to the block of its gate. Blocks of one gate, sign and output add up, which never raises the penalty.
 *
 * The program comes back with the gates of `keep` first and those of the neurons that are not among them after.
 */
export function liftNeurons(
  program: ConvexProgram,
  neurons: readonly HiddenNeuron[],
  bias: Float64Array, // [C]
  keep: GateSet | null = null,
  kernels: Pick<Kernels, "packPatterns"> | null = null, // what reads patterns off the rows, where that is faster
): { program: ConvexProgram; blocks: SparseBlocks } {
  const { X, loss, cones, pooling } = program;
  const d = X.cols;
  const C = (pooling?.positions ?? 1) * loss.outputs;
  const collector = new GateCollector(X, undefined, kernels?.packPatterns?.bind(kernels));
  if (keep !== null) {
    const kept = Array.from({ length: keep.count }, (_, i) => keep.generators.data.subarray(i * d, (i + 1) * d));
    collector.placesOf(kept, true);
  }
  const places = collector.placesOf(
    neurons.map(({ weights, gate }) => gate ?? weights),
    slopeOf(pooling) !== 0,
  );
  const vectors = new Map<number, Float64Array>();
  neurons.forEach(({ weights, outputs }, j) => {
    if (places[j] < 0) return;
    for (let c = 0; c < C; c++) {
      if (outputs[c] === 0) continue;
      const half = cones && outputs[c] < 0 ? collector.count : 0;
      const factor = cones ? Math.abs(outputs[c]) : outputs[c];
      const index = (places[j] + half) * C + c;
      const vector = vectors.get(index) ?? new Float64Array(d);
      for (let p = 0; p < d; p++) vector[p] += factor * weights[p];
      vectors.set(index, vector);
    }
  });
  const gates = collector.gateSet(keep?.complete ?? false);
  return { program: { ...program, gates }, blocks: { ...sparse(vectors, d), bias: bias.slice() } };
}

/** Vectors by their index -> sparse blocks without a bias. */
export function sparse(vectors: ReadonlyMap<number, Float64Array>, d: number): Omit<SparseBlocks, "bias"> {
  const index = Int32Array.from(vectors.keys()).sort();
  const packed = new Float64Array(index.length * d);
  index.forEach((key, k) => {
    packed.set(vectors.get(key) as Float64Array, k * d);
  });
  return { index, vectors: packed };
}
