/** The engines, and the choice among them. */

import { referenceKernels } from "./cpu.js";
import type { EngineName, Kernels } from "./types.js";

export { referenceKernels } from "./cpu.js";
export type { Kernels } from "./types.js";

export type EngineChoice = "auto" | Extract<EngineName, "cpu" | "wasm">;

/** An engine that is ready, and why it was taken. */
export interface ChosenEngine {
  readonly kernels: Kernels;
  readonly reason: string;
}

/** The engine that is asked for, or the fastest that is there. */
export async function chooseEngine(_choice: EngineChoice): Promise<ChosenEngine> {
  return { kernels: referenceKernels, reason: "cpu: the reference engine in plain float64" };
}
