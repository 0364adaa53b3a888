/** A worker that runs the cases of an engine with a number of threads, and says how many took part. */

import { wasmKernels } from "../../src/convex/kernels/index.js";
import { kernelCases, warmUp } from "./kernelCases.js";

addEventListener("message", async ({ data: threads }: MessageEvent<number>) => {
  const kernels = await wasmKernels(threads);
  await warmUp(kernels, threads);
  const results = kernelCases.map(({ run }) => run(kernels));
  postMessage({ results, use: kernels.threads?.() });
});
