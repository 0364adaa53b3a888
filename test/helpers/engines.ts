/** The engines that are held to the reference; a new one is tested by being listed. */

import { type Kernels, referenceKernels, wasmKernels } from "../../src/convex/kernels/index.js";

export const engines: readonly { name: string; make: () => Promise<Kernels>; tolerance: number }[] = [
  { name: "cpu", make: async () => referenceKernels, tolerance: 0 },
  { name: "wasm", make: () => wasmKernels(1), tolerance: 1e-13 },
  { name: "wasm, 2 threads", make: () => wasmKernels(2), tolerance: 1e-13 },
];
