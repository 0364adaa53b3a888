/** The engines, and the choice among them. */

export {
  type ChosenEngine,
  chooseEngine,
  type EngineChoice,
  engineFor,
  engineNames,
  hostKernels,
  threadsOf,
  type Workload,
} from "./choose.js";
export { referenceKernels } from "./cpu.js";
export { bindProducts, keepsPooled, rowProductsFor } from "./products.js";
export { trialSeconds } from "./trial.js";
export type { Kernels, ThreadUse } from "./types.js";
export { endHelpers, wasmKernels } from "./wasm/index.js";
