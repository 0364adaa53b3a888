/**
 * Neurons that move: the network's own objective, where a neuron may cross into another arrangement.
 *
 * A block v with output c and sign s is the neuron s a (X w)_+ with w = v / sqrt|v|, a = sqrt|v|, and beta |v| is its weight
 * decay beta / 2 (|w|^2 + a^2) (Pilanci and Ergen 2020, section 2.2). The objective is not convex in (w, a), but a descent
 * from a point of the convex program leaves it only for networks that are better.
 */

import type { Kernels } from "../../kernels/types.js";
import type { DeviceObjective, Objective, Worthwhile } from "../../linear/lbfgs.js";
import { concatenated, norm } from "../../linear/vectors.js";
import { blockOutputs, columnsOf } from "../../operators/blocks.js";
import { deviceObjective, layerObjective, neuronsThereFor } from "../../operators/neuronLayer.js";
import { liftNeurons } from "../../recovery/index.js";
import type { ConvexProgram, SparseBlocks } from "../../types.js";
import { BlockPass, passesOf, roughPassesOf } from "../passes.js";
import { readingOf } from "../sampleBlocks.js";
import { descendNeurons, type NeuronPasses } from "./neuronDescent.js";

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
  kernels: Kernels,
): { program: ConvexProgram; blocks: SparseBlocks } {
  const d = program.X.cols;
  const { weights, scales, outputs, bias } = living(neurons, DEAD);
  const hidden = Array.from(scales, (a, j) => {
    const output = new Float64Array(blockOutputs(program));
    output[outputs[j]] = a;
    return { weights: weights.subarray(j * d, (j + 1) * d), outputs: output };
  });
  return liftNeurons(program, hidden, bias, null, kernels);
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
export function living(neurons: MovingNeurons, share: number): MovingNeurons {
  const { weights, scales } = neurons;
  const d = weights.length / Math.max(1, scales.length);
  const sizes = scales.map((a, j) => Math.abs(a) * norm(weights.subarray(j * d, (j + 1) * d)));
  const smallest = share * sizes.reduce((a, b) => Math.max(a, b), 0);
  return picked(
    neurons,
    Array.from(sizes.keys()).filter((j) => sizes[j] >= smallest),
  );
}

/** Some of the neurons. */
export function picked({ weights, scales, outputs, bias }: MovingNeurons, kept: readonly number[]): MovingNeurons {
  const d = weights.length / Math.max(1, scales.length);
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
  return concatenated(weights, scales, bias);
}

export function unpacked(x: Float64Array, like: MovingNeurons): MovingNeurons {
  const [a, b] = [like.weights.length, like.weights.length + like.scales.length];
  return { weights: x.slice(0, a), scales: x.slice(a, b), outputs: like.outputs, bias: x.slice(b) };
}

/** The neurons after at most `steps` steps down the network's objective, and its value there (`descendNeurons`). */
export async function descended(
  program: ConvexProgram,
  kernels: Kernels,
  neurons: MovingNeurons,
  steps: number,
  pause: () => Promise<boolean>,
  wish?: Pick<Worthwhile, "window" | "share">,
): Promise<{ readonly neurons: MovingNeurons; readonly value: number; readonly steps: number }> {
  const { outputs } = neurons;
  const m = outputs.length;
  const passes: NeuronPasses = {
    ...{ m, outputs: m, own: (k) => k },
    rough: (posed) => roughPassesOf(posed, kernels, outputs),
    there: (posed) => networkObjectiveThere(posed, kernels, outputs),
    exact: (posed) => networkObjective(posed, kernels, outputs),
  };
  const { x, ...ended } = await descendNeurons(program, kernels, passes, packed(neurons), steps, pause, wish);
  return { neurons: unpacked(x, neurons), ...ended };
}

/** The network's objective at packed neurons that feed the given outputs. */
export function networkObjective(program: ConvexProgram, kernels: Kernels, outputs: Int32Array): Objective {
  const m = outputs.length;
  return layerObjective(program, passesOf(program, kernels, outputs), m * program.X.cols, m);
}

/** The same in float32 on a device, where the engine has neurons there and these are enough for it to be asked. */
async function networkObjectiveThere(
  program: ConvexProgram,
  kernels: Kernels,
  outputs: Int32Array,
): Promise<DeviceObjective | null> {
  const neurons = await neuronsThereFor(program, kernels, program.loss.outputs, outputs.length);
  return neurons === null ? null : deviceObjective(program, neurons, outputs);
}

/** Z [n x C] of the neurons, with their bias. */
export function outputsOf(program: ConvexProgram, kernels: Kernels, neurons: MovingNeurons): Float64Array {
  const { X, loss, pooling } = program;
  const { weights, scales, outputs, bias } = neurons;
  const Z = Float64Array.from({ length: loss.rows * loss.outputs }, (_, k) => bias[k % loss.outputs]);
  new BlockPass(X, kernels, readingOf(pooling, loss.outputs, outputs)).forward(weights, scales, Z);
  return Z;
}

/** [n x m]: what each neuron alone adds to its output. */
export function activationsOf(
  { X, loss, pooling }: ConvexProgram,
  kernels: Kernels,
  { weights, scales, outputs }: MovingNeurons,
): Float64Array {
  const m = scales.length;
  const apart = outputs.map((column, j) => Math.floor(column / loss.outputs) * m + j);
  const Phi = new Float64Array(loss.rows * m);
  new BlockPass(X, kernels, readingOf(pooling, m, apart)).forward(weights, scales, Phi);
  return Phi;
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
