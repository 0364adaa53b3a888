/** The engines, and the choice among them. */

import type { ConvexProgram, Pooling } from "../types.js";
import { PatchwiseProducts } from "./patches/patchwise.js";
import { PooledProducts, roomForPooled } from "./patches/pooled.js";
import type { GatedProducts, Kernels } from "./types.js";

export {
  type ChosenEngine,
  chooseEngine,
  type EngineChoice,
  engineFor,
  engineNames,
  threadsOf,
  type Workload,
} from "./choose.js";
export { referenceKernels } from "./cpu.js";
export type { Kernels, ThreadUse } from "./types.js";
export { endHelpers, wasmKernels } from "./wasm/index.js";

/** The products of a program: an engine's own, or those over patches where there is pooling. The caller disposes. */
export function bindProducts(
  { X, gates, pooling }: Pick<ConvexProgram, "X" | "gates" | "pooling">,
  kernels: Kernels,
): GatedProducts {
  if (pooling == null) return kernels.bind(X, gates);
  const Products = readApart(pooling) ? PatchwiseProducts : PooledProducts;
  return new Products(kernels, X, gates, pooling);
}

/** Pooled matrices of this size make the host faster than a device. */
const POOLED_BYTES = 2 ** 28;

/** Whether the host keeps the pooled matrices of all gates in little room, so that its products are K / A times smaller than a device's. */
export function keepsPooled({ X, gates, pooling }: Pick<ConvexProgram, "X" | "gates" | "pooling">): boolean {
  if (pooling == null || readApart(pooling)) return false;
  return roomForPooled(X, pooling, POOLED_BYTES) >= gates.count;
}

function readApart({ positions, patches }: Pooling): boolean {
  return positions > 1 && positions === patches;
}
