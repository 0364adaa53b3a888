import { beforeAll, describe, expect, test } from "vitest";
import { isActive } from "../../../src/convex/arrangements/bits.js";
import { bindProducts, type Kernels, referenceKernels } from "../../../src/convex/kernels/index.js";
import { PooledProducts } from "../../../src/convex/kernels/pooledProducts.js";
import type { GatedProducts } from "../../../src/convex/kernels/types.js";
import type { ConvexProgram } from "../../../src/convex/types.js";
import { type Pool, randomConvProgram } from "../../helpers/convProblems.js";
import { engines } from "../../helpers/engines.js";
import { gaussianMatrix } from "../../helpers/problems.js";

/** A_i of one position [n x d], by the definition. */
function pooled({ X, gates, loss, pooling }: ConvexProgram, gate: number, position: number): Float64Array {
  if (pooling == null) throw new Error("a program over patches was expected");
  const { patches: K, positions, scale } = pooling;
  const d = X.cols;
  const A = new Float64Array(loss.rows * d);
  for (let row = 0; row < X.rows; row++) {
    if (!isActive(gates, gate, row) || (row % K) % positions !== position) continue;
    for (let p = 0; p < d; p++) A[Math.floor(row / K) * d + p] += scale * X.data[row * d + p];
  }
  return A;
}

const gaussian = (length: number, seed: number) => gaussianMatrix(1, length, seed).data;
const sizes: { pool: Pool; samples: number; patches: number; features: number; gates: number; outputs: number }[] = [
  { pool: "sum", samples: 1, patches: 1, features: 1, gates: 1, outputs: 1 },
  { pool: "mean", samples: 7, patches: 9, features: 5, gates: 13, outputs: 1 },
  { pool: "mean", samples: 40, patches: 70, features: 12, gates: 70, outputs: 3 },
  { pool: "flatten", samples: 11, patches: 6, features: 4, gates: 9, outputs: 2 },
  { pool: "windows", samples: 9, patches: 12, features: 4, gates: 70, outputs: 2 },
  { pool: "windows", samples: 8, patches: 12, features: 5, gates: 6, outputs: 4 },
];

test("where there is no room to keep pooled matrices they are made again, to the same products", () => {
  const program = randomConvProgram({ gates: 20, outputs: 2 });
  const { X, gates, loss, pooling } = program;
  if (pooling == null) throw new Error("a program over patches was expected");
  const d = X.cols;
  const R = gaussian(2 * loss.rows, 1);
  const one = 8 * loss.rows * d;
  const results = [0, 3 * one, 100 * one].map((room) => {
    const products = new PooledProducts(referenceKernels, X, gates, pooling, room);
    const out: number[] = [];
    for (const list of [null, Int32Array.of(19, 3, 7, 18, 1), null, Int32Array.of(2, 19), Int32Array.of(0)]) {
      const G = new Float64Array((list?.length ?? gates.count) * 2 * d);
      products.adjoint(R, 2, list, G);
      out.push(...G);
      const H = new Float64Array(loss.rows ** 2);
      products.addMaskedGram(H, Int32Array.of(4, 4, 19, 4, 6), Float64Array.of(1, 2, 3, 4, 5));
      out.push(...H);
    }
    products.dispose();
    return out;
  });
  expect(results[0]).toEqual(results[2]);
  expect(results[1]).toEqual(results[2]);
});

describe.each(engines)("$name", ({ make, tolerance }) => {
  let kernels: Kernels;
  beforeAll(async () => {
    kernels = await make();
  });

  describe.each(sizes)("$pool of $patches patches, $samples samples, $gates gates, $outputs outputs", (size) => {
    const program = randomConvProgram({ ...size, seed: 3 });
    const { gates, X } = program;
    const [n, d, C] = [size.samples, X.cols, size.outputs];
    const positions = program.pooling?.positions ?? 1;
    const matrices = Array.from({ length: gates.count }, (_, i) =>
      Array.from({ length: positions }, (_, a) => pooled(program, i, a)),
    );
    const R = gaussian(n * C, 1);
    const V = gaussian(gates.count * positions * C * d, 2);
    const Z = new Float64Array(n * C);
    const G = new Float64Array(V.length);
    matrices.forEach((of, i) => {
      of.forEach((A, a) => {
        for (let c = 0; c < C; c++) {
          const at = ((i * positions + a) * C + c) * d;
          for (let j = 0; j < n; j++) {
            for (let p = 0; p < d; p++) {
              Z[j * C + c] += (i % 2 === 0 ? 1 : -1) * A[j * d + p] * V[at + p];
              G[at + p] += A[j * d + p] * R[j * C + c];
            }
          }
        }
      });
    });

    const check = (use: (products: GatedProducts, near: (got: Float64Array, wanted: Float64Array) => void) => void) => {
      const products = bindProducts(program, kernels);
      use(products, (got, wanted) => {
        expect(got.length).toBe(wanted.length);
        const scale = wanted.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-300);
        const worst = got.reduce((most, value, k) => Math.max(most, Math.abs(value - wanted[k])), 0);
        expect(worst / scale).toBeLessThanOrEqual(Math.max(tolerance, 1e-13));
      });
      products.dispose();
    };

    test("forward, adjoint and norms are those of the pooled matrices", () => {
      check((products, near) => {
        const columns = Int32Array.from({ length: gates.count * positions * C }, (_, k) => k);
        const gate = columns.map((k) => Math.floor(k / (positions * C)));
        const output = columns.map((k) => k % (positions * C));
        const out = new Float64Array(n * C).fill(Number.NaN);
        products.forward(
          gate,
          output,
          Float64Array.from(gate, (i) => (i % 2 === 0 ? 1 : -1)),
          V,
          C,
          out,
        );
        near(out, Z);
        const back = new Float64Array(V.length).fill(Number.NaN);
        products.adjoint(R, C, null, back);
        near(back, G);
        const one = new Float64Array(positions * C * d);
        products.adjoint(R, C, Int32Array.of(gates.count - 1), one);
        near(one, G.subarray(G.length - one.length));
        const norms = new Float64Array(gates.count * positions * C);
        products.adjointNorms(R, C, norms);
        near(
          norms,
          norms.map((_, k) => Math.hypot(...G.subarray(k * d, (k + 1) * d))),
        );
      });
    });

    test("rows and the masked Gram matrix are those of the pooled matrices", () => {
      check((products, near) => {
        const U = gaussian(2 * d, 4);
        const [gate, position] = [gates.count - 1, positions - 1];
        const out = new Float64Array(2 * n);
        products.rows(gate, U, 2, out, position);
        const A = matrices[gate][position];
        near(
          out,
          out.map((_, k) => {
            const [r, j] = [Math.floor(k / n), k % n];
            let sum = 0;
            for (let p = 0; p < d; p++) sum += A[j * d + p] * U[r * d + p];
            return sum;
          }),
        );
        const list = Int32Array.from({ length: gates.count }, (_, i) => i);
        const weight = Float64Array.from(list, (i) => 1 + i);
        const H = new Float64Array(n * n);
        products.addMaskedGram(H, list, weight);
        const wanted = new Float64Array(n * n);
        matrices.forEach((of, i) => {
          for (const B of of) {
            for (let j = 0; j < n; j++) {
              for (let k = 0; k <= j; k++) {
                for (let p = 0; p < d; p++) wanted[j * n + k] += weight[i] * B[j * d + p] * B[k * d + p];
              }
            }
          }
        });
        near(H, wanted);
      });
    });
  });
});
