/** The engines, and the choice among them. */

import type { ConvexProgram } from "../types.js";
import { PatchwiseProducts } from "./patchwiseProducts.js";
import { PooledProducts } from "./pooledProducts.js";
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
export { endHelpers, wasmKernels } from "./wasm.js";

/** The products of a program: an engine's own, or those over patches where there is pooling. The caller disposes. */
export function bindProducts(
  { X, gates, pooling }: Pick<ConvexProgram, "X" | "gates" | "pooling">,
  kernels: Kernels,
): GatedProducts {
  if (pooling == null) return kernels.bind(X, gates);
  const apart = pooling.positions > 1 && pooling.positions === pooling.patches;
  const Products = apart ? PatchwiseProducts : PooledProducts;
  return new Products(kernels, X, gates, pooling);
}

/** Whether the engine can keep the blocks of a program on its device; with pooling they stay on the host. */
export function keepsBlocks({ pooling }: Pick<ConvexProgram, "pooling">, kernels: Kernels): boolean {
  return kernels.iterate !== undefined && pooling == null;
}
