import { beforeAll, describe, expect, test } from "vitest";
import { bindProducts, type Kernels, referenceKernels } from "../../../../src/convex/kernels/index.js";
import { PooledProducts } from "../../../../src/convex/kernels/patches/pooled.js";
import type { GatedProducts } from "../../../../src/convex/kernels/types.js";
import { isActive, packPatterns } from "../../../../src/convex/linear/bits.js";
import { dot } from "../../../../src/convex/linear/vectors.js";
import type { ConvexProgram } from "../../../../src/convex/types.js";
import { type Pool, randomConvProgram } from "../../../helpers/convProblems.js";
import { engines } from "../../../helpers/engines.js";
import { gaussianMatrix } from "../../../helpers/problems.js";

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
    const products = new PooledProducts(referenceKernels, X, gates, pooling, null, room);
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

/** Random masks, of which some select everything and some nothing. */
function randomMasks(gates: number, words: number): Uint32Array {
  const draws = gaussian(gates * words, 6);
  return Uint32Array.from(draws, (value, k) => [0xffffffff, 0][k % 5] ?? Math.floor(Math.abs(value) * 2 ** 31));
}

describe.each(engines)("$name", ({ make, tolerance }) => {
  let kernels: Kernels;
  beforeAll(async () => {
    kernels = await make();
  });

  test.each([
    { samples: 1, patches: 1, positions: 1, d: 1, gates: 1, first: 0 },
    { samples: 5, patches: 33, positions: 1, d: 33, gates: 7, first: 31 },
    { samples: 40, patches: 70, positions: 1, d: 27, gates: 70, first: 5 }, // enough for several threads
    { samples: 3, patches: 66, positions: 2, d: 70, gates: 3, first: 17 },
    { samples: 4, patches: 12, positions: 4, d: 2, gates: 5, first: 8 },
  ])("sums of patches are those of the reference: %o", ({ samples, patches, positions, d, gates, first }) => {
    const words = Math.ceil((first + samples * patches) / 32);
    const shape = { pooling: { patches, positions, scale: 0.3 }, gates, samples, d, first, words };
    const rows = gaussian(samples * patches * d, 5);
    const masks = randomMasks(gates, words);
    const got = new Float64Array(gates * positions * samples * d).fill(Number.NaN);
    const wanted = new Float64Array(got.length);
    kernels.poolPatches(rows, masks, shape, got);
    referenceKernels.poolPatches(rows, masks, shape, wanted);
    expect(wanted.some((value) => value !== 0)).toBe(true);
    expect(got.every((value, k) => Math.abs(value - wanted[k]) <= 1e-13)).toBe(true);
  });

  test.each([
    { rows: 1, d: 1, count: 1 },
    { rows: 45, d: 5, count: 3 },
    { rows: 2000, d: 40, count: 18 },
    { rows: 70, d: 3000, count: 5 }, // more than one block of rows
  ])("patterns of $count generators on $rows rows of $d columns are plain sums' to the last bit", (size) => {
    const X = gaussianMatrix(size.rows, size.d, 7);
    // Sums that are next to zero: each generator is orthogonal to a row, up to rounding.
    const generators = Array.from({ length: size.count }, (_, i) => {
      const g = gaussian(size.d, 8 + i);
      const x = X.data.subarray((i % size.rows) * size.d, ((i % size.rows) + 1) * size.d);
      const share = dot(g, x) / dot(x, x);
      return g.map((value, p) => value - share * x[p]);
    });
    const masks = () => generators.map(() => new Uint32Array(Math.ceil(size.rows / 32)).fill(0xffffffff));
    const [got, wanted] = [masks(), masks()];
    (kernels.packPatterns?.bind(kernels) ?? packPatterns)(X, generators, got);
    packPatterns(X, generators, wanted);
    expect(got).toEqual(wanted);
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
