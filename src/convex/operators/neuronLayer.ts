/** The engine's layer of neurons for a program's rows, where that has one and they are plain rows. */

import type { Kernels, NeuronLayer } from "../kernels/types.js";
import { ONE_PATCH, slopeOf } from "../network.js";
import type { ConvexProgram } from "../types.js";

/** Null, also where the engine has no memory for it: who descends multiplies himself. The caller disposes it. */
export function layerFor(
  { X, loss, pooling }: Pick<ConvexProgram, "X" | "loss" | "pooling">,
  kernels: Kernels,
  m: number,
): NeuronLayer | null {
  const { patches, scale } = pooling ?? ONE_PATCH;
  if (m === 0 || patches !== 1 || scale !== 1) return null;
  try {
    return kernels.layer?.(X, m, loss.outputs, slopeOf(pooling)) ?? null;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
