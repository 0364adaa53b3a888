/** Layers of neurons that move: the engine's own, where that has one and rows are plain, and the objective over any. */

import { ConvexError } from "../../errors.js";
import type { DeviceNeurons, Kernels, NeuronLayer } from "../kernels/types.js";
import type { DeviceObjective, Objective } from "../linear/lbfgs.js";
import { dot, dotAt, multipleInto, repeatInto } from "../linear/vectors.js";
import { whereRoom } from "../linear/whereRoom.js";
import { ONE_PATCH, slopeOf } from "../network.js";
import type { ConvexProgram } from "../types.js";
import { lossAndGradient } from "./lossAndGradient.js";
import { biasGradient } from "./outputBias.js";

/** Entries of patches, and of what neurons say of each, that a layer holds at most: 256 MB in float64. */
const HELD = 2 ** 25;

/** Patches from which it is cheaper to pool activations than outputs, beside what fills patches up to a multiple of four. */
const FEWEST_POOLED = 3;

type Rows = Pick<ConvexProgram, "X" | "loss" | "pooling">;

/** Null, also where the engine has no memory for it: who descends multiplies himself. The caller disposes it. */
export function layerFor(program: Rows, kernels: Kernels, m: number): NeuronLayer | null {
  const { X, loss, pooling } = program;
  return pooledLayer(program, m, () => kernels.layer?.(X, m, loss.outputs, slopeOf(pooling)));
}

/** The same in float32. */
export function roughLayerFor(program: Rows, kernels: Kernels, m: number): NeuronLayer | null {
  const { X, loss, pooling } = program;
  if (pooling != null && pooling.patches >= FEWEST_POOLED && holdsPooled(program, m)) {
    const layer = whereRoom(() => kernels.roughFilters?.(X, m, loss.outputs, pooling));
    if (layer != null) return layer;
  }
  return pooledLayer(program, m, () => kernels.roughLayer?.(X, m, loss.outputs, slopeOf(pooling)));
}

/** Whether what m neurons say of samples finds room, beside the rows. */
function holdsPooled({ X, loss, pooling }: Rows, m: number): boolean {
  return m > 0 && (pooling?.positions ?? 1) === 1 && Math.max(X.rows * X.cols, loss.rows * m) <= HELD;
}

/**
 * At most m neurons on a device that feed one of so many outputs each. Null where there are none, these are too few to wait for a device, or it has
 * no room for them: then the host multiplies. The caller disposes them.
 */
export async function neuronsThereFor(
  { X, pooling }: Pick<ConvexProgram, "X" | "pooling">,
  kernels: Pick<Kernels, "neuronsThere" | "neuronsFrom">,
  outputs: number,
  m: number,
): Promise<DeviceNeurons | null> {
  const { neuronsFrom = Number.POSITIVE_INFINITY } = kernels;
  if (!plainRows(pooling) || slopeOf(pooling) !== 0 || m * X.rows * X.cols < neuronsFrom) return null;
  try {
    return (await kernels.neuronsThere?.(X, outputs, m)) ?? null;
  } catch (error) {
    if (error instanceof ConvexError && error.code === "engine/unavailable") return null;
    throw error;
  }
}

/**
 * The layer of m neurons on all rows that `make` makes, whose outputs are pooled where rows are patches: a mean over activations is one
 * over outputs, since these are linear in them. Null where there is no such layer, no memory, and where patches are read out apart.
 */
export function pooledLayer(
  { X, loss, pooling }: Rows,
  m: number,
  make: () => NeuronLayer | undefined,
): NeuronLayer | null {
  const { patches, positions, scale } = pooling ?? ONE_PATCH;
  const C = loss.outputs;
  if (m === 0 || positions > 1 || (patches > 1 && X.rows * Math.max(X.cols, C) > HELD)) return null;
  return whereRoom(() => {
    const layer = make();
    if (layer === undefined || plainRows(pooling)) return layer;
    const ofRows = beside(layer, () => new Float64Array(X.rows * C));
    return {
      forward(weights, outputs, Z) {
        layer.forward(weights, outputs, ofRows.fill(0));
        for (let k = 0, at = 0; k < Z.length; k += C)
          for (const end = at + patches * C; at < end; at += C)
            for (let c = 0; c < C; c++) Z[k + c] += scale * ofRows[at + c];
      },
      backward(weights, outputs, N, inWeights, inOutputs) {
        for (let k = 0, at = 0; k < N.length; k += C)
          for (const end = at + patches * C; at < end; at += C)
            for (let c = 0; c < C; c++) ofRows[at + c] = scale * N[k + c];
        layer.backward(weights, outputs, ofRows, inWeights, inOutputs);
      },
      dispose: () => layer.dispose(),
    };
  });
}

/**
 * loss(Z) + beta / 2 (|W|^2 + |A|^2) + ridge |c|^2 of the packed (W, A, c), W of `weights` numbers and A of `outputs`: what weight decay
 * charges a network. Entries of A that are `held` at zero have no gradient. Z [n x C] is left as it was last; the layer goes with it, also
 * where there is no memory for what stands beside it.
 */
export function layerObjective(
  { loss, beta, outputBias }: Pick<ConvexProgram, "loss" | "beta" | "outputBias">,
  layer: NeuronLayer,
  weights: number,
  outputs: number,
  given: Float64Array | null = null, // Z
  held: Float64Array | null = null, // [outputs]: 0 where it is
): Objective {
  const [Z, N] = beside(layer, () => {
    const made = given ?? new Float64Array(loss.rows * loss.outputs);
    return [made, new Float64Array(made.length)];
  });
  const end = weights + outputs;
  let last: Float64Array | null = null;
  const predicted = (x: Float64Array) => {
    last = x;
    const [W, A, bias] = [x.subarray(0, weights), x.subarray(weights, end), x.subarray(end)];
    repeatInto(bias, Z);
    layer.forward(W, A, Z);
    return [W, A, bias];
  };
  const objective = (x: Float64Array, gradient: Float64Array) => {
    const [W, A, bias] = predicted(x);
    const value = chargedLoss(loss, beta, x.subarray(0, end), Z, N, gradient);
    const inOutputs = gradient.subarray(weights, end);
    layer.backward(W, A, N, gradient.subarray(0, weights), inOutputs);
    if (held !== null) for (let k = 0; k < outputs; k++) inOutputs[k] *= held[k];
    return value + biasGradient(outputBias, bias, N, gradient.subarray(end));
  };
  const value = (x: Float64Array) => {
    const [W, A, bias] = predicted(x);
    const charged = 0.5 * beta * (dot(W, W) + dot(A, A));
    return loss.value(Z) + charged + (outputBias?.ridge ?? 0) * dot(bias, bias);
  };
  const outputsAt = (x: Float64Array) => (x === last ? Z : null);
  return Object.assign(objective, { value, outputsAt, dispose: () => layer.dispose() });
}

/** The same of neurons on a device that feed one output each, `columns` [m]; these go with it. */
export function deviceObjective(
  { X, loss, beta, outputBias }: Pick<ConvexProgram, "X" | "loss" | "beta" | "outputBias">,
  neurons: DeviceNeurons,
  columns: Int32Array,
): DeviceObjective {
  const [m, d] = [columns.length, X.cols];
  const end = m * (d + 1);
  const [Z, N] = [0, 1].map(() => new Float64Array(loss.rows * loss.outputs));
  const pulls = new Float64Array(m * d);
  const objective = async (x: Float64Array, gradient: Float64Array) => {
    const [W, A, bias] = [x.subarray(0, m * d), x.subarray(m * d, end), x.subarray(end)];
    repeatInto(bias, Z);
    await neurons.outputs(W, A, columns, Z);
    const value = chargedLoss(loss, beta, x.subarray(0, end), Z, N, gradient);
    neurons.turn(N);
    await neurons.pulls(W, columns, pulls);
    for (let j = 0; j < m; j++) {
      gradient[m * d + j] += dotAt(W, j * d, pulls, j * d, d);
      for (let k = j * d; k < (j + 1) * d; k++) gradient[k] += A[j] * pulls[k];
    }
    return value + biasGradient(outputBias, bias, N, gradient.subarray(end));
  };
  return Object.assign(objective, { dispose: () => neurons.dispose() });
}

/** loss(Z) + beta / 2 |x|^2, whose gradients N, and beta x, are written. */
function chargedLoss(
  loss: ConvexProgram["loss"],
  beta: number,
  x: Float64Array,
  Z: Float64Array,
  N: Float64Array,
  gradient: Float64Array,
): number {
  multipleInto(beta, x, gradient);
  return lossAndGradient(loss, Z, N) + 0.5 * beta * dot(x, x);
}

/** True where neurons read rows as they are. */
export function plainRows(pooling: ConvexProgram["pooling"]): boolean {
  const { patches, scale } = pooling ?? ONE_PATCH;
  return patches === 1 && scale === 1;
}

/** What is made for a layer, which is disposed where that fails. */
function beside<T>(layer: NeuronLayer, make: () => T): T {
  try {
    return make();
  } catch (error) {
    layer.dispose();
    throw error;
  }
}
