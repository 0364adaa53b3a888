/** The engines, and the choice among them. */

import { ConvexError } from "../../errors.js";
import type { ConvexProgram } from "../types.js";
import { referenceKernels } from "./cpu.js";
import { PatchwiseProducts } from "./patchwiseProducts.js";
import { PooledProducts } from "./pooledProducts.js";
import type { EngineName, GatedProducts, Kernels } from "./types.js";
import { createWasmKernels } from "./wasm.js";

export { referenceKernels } from "./cpu.js";
export type { Kernels } from "./types.js";

export type EngineChoice = "auto" | Extract<EngineName, "cpu" | "wasm">;

/** An engine that is ready, and why it was taken. */
export interface ChosenEngine {
  readonly kernels: Kernels;
  readonly reason: string;
}

/** The module is compiled once a realm. */
let compiled: Promise<Kernels> | null = null;

/** The WASM engine; rejects where it cannot run. */
export function wasmKernels(): Promise<Kernels> {
  compiled ??= createWasmKernels();
  return compiled;
}

/**
 * The engine that is asked for, or the fastest that is there.
 *
 * @throws ConvexError "engine/unavailable" when "wasm" is asked for by name and cannot run.
 */
export async function chooseEngine(choice: EngineChoice): Promise<ChosenEngine> {
  if (choice === "cpu") return { kernels: referenceKernels, reason: "cpu: asked for" };
  try {
    const kernels = await wasmKernels();
    return { kernels, reason: choice === "wasm" ? "wasm: asked for" : "wasm: SIMD float64, the fastest engine here" };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (choice === "auto")
      return { kernels: referenceKernels, reason: `cpu: WebAssembly with SIMD is not there (${why})` };
    throw new ConvexError(
      "engine/unavailable",
      `engine: expected WebAssembly with SIMD for "wasm", got: ${why}. Use engine: "auto" or "cpu".`,
    );
  }
}

/** The products of a program: an engine's own, or those over patches where there is pooling. The caller disposes. */
export function bindProducts(
  { X, gates, pooling }: Pick<ConvexProgram, "X" | "gates" | "pooling">,
  kernels: Kernels,
): GatedProducts {
  if (pooling == null) return kernels.bind(X, gates);
  const Products = pooling.positions > 1 ? PatchwiseProducts : PooledProducts;
  return new Products(kernels, X, gates, pooling);
}
