import { expect, test } from "vitest";
import { referenceKernels, rowProductsFor, wasmKernels } from "../../../src/convex/kernels/index.js";
import { forward } from "../../../src/convex/network.js";
import { gaussianMatrix } from "../../helpers/problems.js";

test.each([
  { rows: 4096, d: 64, m: 70, patches: 1, slope: 0, calls: true },
  { rows: 30_000, d: 25, m: 31, patches: 100, slope: 0.1, calls: true },
  { rows: 50, d: 3, m: 4, patches: 1, slope: 0, calls: false },
])("a network says the same by an engine's products, which many rows have ($rows x $d, $m neurons)", async (wish) => {
  const { rows, d, m, patches, slope, calls } = wish;
  const X = gaussianMatrix(rows, d, 1);
  const pooling = { patches, positions: 1, scale: 1 / patches, negativeSlope: slope };
  const [kernel, output] = [gaussianMatrix(d, m, 2), gaussianMatrix(m, 3, 3)];
  const network = { kernel, gates: null, output, bias: Float64Array.of(1, -1, 0), pooling };
  const plain = forward(network, X);
  for (const kernels of [referenceKernels, await wasmKernels(1)]) {
    let called = 0;
    const counting = {
      multiplyTransposed: (...all: Parameters<typeof kernels.multiplyTransposed>) => {
        called += 1;
        kernels.multiplyTransposed(...all);
      },
    };
    const said = forward(network, X, rowProductsFor(counting, X));
    expect(called > 0).toBe(calls);
    const off = Math.max(...said.map((value, k) => Math.abs(value - plain[k])));
    expect(off).toBeLessThan(1e-10);
  }
});
