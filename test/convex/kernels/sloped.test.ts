import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sampleGates } from "../../../src/convex/arrangements/index.js";
import { bindProducts, referenceKernels, wasmKernels } from "../../../src/convex/kernels/index.js";
import { isActive } from "../../../src/convex/linear/bits.js";
import type { GateSet, Matrix, Pooling } from "../../../src/convex/types.js";
import { gaussianMatrix } from "../../helpers/problems.js";

/** scale sum over the patches k of a position of m_jk x_jk, m the mask's entry: 1, or the slope. [n x d] */
function pooledRows(X: Matrix, gates: GateSet, gate: number, pooling: Pooling, position: number): number[][] {
  const { patches: K, positions: A, scale, negativeSlope = 0 } = pooling;
  return Array.from({ length: X.rows / K }, (_, j) =>
    Array.from({ length: X.cols }, (_, p) => {
      let sum = 0;
      for (let k = position; k < K; k += A) {
        const row = j * K + k;
        sum += scale * (isActive(gates, gate, row) ? 1 : negativeSlope) * X.data[row * X.cols + p];
      }
      return sum;
    }),
  );
}

const poolings: readonly Pooling[] = [
  { patches: 1, positions: 1, scale: 1 },
  { patches: 3, positions: 1, scale: 1 / 3 },
  { patches: 3, positions: 3, scale: 1 },
  { patches: 4, positions: 2, scale: 0.5 },
];

describe.each([
  ["cpu", async () => referenceKernels],
  ["wasm", wasmKernels],
] as const)("products of units with a slope on %s", (_, kernelsOf) => {
  test("are those of the definition, row by row, for any slope and pooling", async () => {
    const kernels = await kernelsOf();
    fc.assert(
      fc.property(
        fc.constantFrom(...poolings),
        fc.constantFrom(0.3, -1, 2.5, -0.01),
        fc.integer({ min: 1, max: 999 }),
        (base, negativeSlope, seed) => {
          const pooling = { ...base, negativeSlope };
          const [n, d, C] = [5, 3, 2];
          const X = gaussianMatrix(n * base.patches, d, seed);
          const gates = sampleGates(X, { count: 4, seed });
          const products = bindProducts({ X, gates, pooling }, kernels);
          const A = base.positions;
          const P = gates.count;
          const rows = Array.from({ length: P * A }, (_, k) => pooledRows(X, gates, Math.floor(k / A), pooling, k % A));
          // forward
          const gate = Int32Array.from({ length: P * A * C }, (_, k) => Math.floor(k / (A * C)));
          const output = Int32Array.from(gate, (_, k) => k % (A * C));
          const sign = Float64Array.from(gate, (_, k) => (k % 3 === 0 ? -1 : 1));
          const V = gaussianMatrix(gate.length, d, seed + 1).data;
          const Z = new Float64Array(n * C);
          products.forward(gate, output, sign, V, C, Z);
          const wanted = new Float64Array(n * C);
          gate.forEach((i, k) => {
            const position = Math.floor(output[k] / C);
            for (let j = 0; j < n; j++) {
              for (let p = 0; p < d; p++)
                wanted[j * C + (output[k] % C)] += sign[k] * rows[i * A + position][j][p] * V[k * d + p];
            }
          });
          near(Z, wanted);
          // adjoint, all and some, and its norms
          const R = gaussianMatrix(n, C, seed + 2).data;
          const adjointOf = (list: readonly number[]) =>
            Float64Array.from({ length: list.length * A * C * d }, (_, at) => {
              const p = at % d;
              const c = Math.floor(at / d) % C;
              const block = rows[list[Math.floor(at / (A * C * d))] * A + (Math.floor(at / (d * C)) % A)];
              return block.reduce((sum, row, j) => sum + row[p] * R[j * C + c], 0);
            });
          const everyone = Array.from({ length: P }, (_, i) => i);
          const all = new Float64Array(P * A * C * d);
          products.adjoint(R, C, null, all);
          near(all, adjointOf(everyone));
          const some = new Float64Array(A * C * d);
          products.adjoint(R, C, Int32Array.of(P - 1), some);
          near(some, adjointOf([P - 1]));
          const norms = new Float64Array(P * A * C);
          products.adjointNorms(R, C, norms);
          near(
            norms,
            norms.map((_, k) => Math.hypot(...adjointOf(everyone).subarray(k * d, (k + 1) * d))),
          );
          // rows of directions, and the masked Gram matrix
          const U = gaussianMatrix(2, d, seed + 3).data;
          const out = new Float64Array(2 * n);
          products.rows(P - 1, U, 2, out, A - 1);
          near(
            out,
            out.map((_, k) => rows[P * A - 1][k % n].reduce((sum, x, p) => sum + x * U[Math.floor(k / n) * d + p], 0)),
          );
          const H = new Float64Array(n * n);
          const weights = Float64Array.from({ length: P }, (_, i) => 0.2 + i);
          products.addMaskedGram(H, Int32Array.from(everyone), weights);
          for (let i = 0; i < n; i++) {
            for (let j = 0; j <= i; j++) {
              let sum = 0;
              rows.forEach((block, k) => {
                for (let p = 0; p < d; p++) sum += weights[Math.floor(k / A)] * block[i][p] * block[j][p];
              });
              expect(H[i * n + j]).toBeCloseTo(sum, 9);
            }
          }
          products.dispose();
        },
      ),
      { numRuns: 24 },
    );
  });
});

function near(got: Float64Array, wanted: Float64Array): void {
  expect(got.length).toBe(wanted.length);
  got.forEach((value, k) => {
    expect(value).toBeCloseTo(wanted[k], 9);
  });
}
