import { expect, test } from "vitest";
import { wasmKernels } from "../../../../src/convex/kernels/index.js";

test("a page's own thread works alone and says why", async () => {
  expect(globalThis.crossOriginIsolated).toBe(true);
  const kernels = await wasmKernels(2);
  const n = 900;
  const [A, out] = [new Float64Array(n * n).fill(0.5), new Float64Array(n * n)];
  kernels.multiply(A, A, out, n, n, n);
  expect(out.every((value) => value === 225)).toBe(true);
  expect(kernels.threads?.()).toEqual({
    ran: 1,
    note: "a page's own thread may not wait for others; in a worker there are more",
  });
});
