import { beforeAll, describe, expect, test } from "vitest";
import { sampleGates } from "../../../src/convex/arrangements/index.js";
import { type Kernels, referenceKernels } from "../../../src/convex/kernels/index.js";
import { atOnce } from "../../../src/convex/linear/pieces.js";
import { nullspace } from "../../../src/convex/operators/nullspace.js";
import { engines } from "../../helpers/engines.js";
import { gaussianMatrix, wellConditioned } from "../../helpers/problems.js";

/** Sizes that meet every edge of tiles of 4, 32, 64, 256 and 512. */
const products = [
  [1, 1, 1],
  [3, 5, 7],
  [4, 4, 4],
  [33, 17, 65],
  [64, 257, 31],
  [129, 40, 130],
  [70, 300, 520],
] as const;
const orders = [1, 2, 7, 33, 64, 65, 130, 200];
/** Orders and columns about the borders of blocks of 64 and 256 rows, and where products of few columns end. */
const solves = [
  [97, 1],
  [255, 2],
  [256, 1],
  [257, 4],
  [321, 5],
  [515, 1],
  [577, 3],
] as const;
const sets = [
  { n: 1, d: 1, P: 1, C: 1 },
  { n: 33, d: 1, P: 3, C: 2 },
  { n: 31, d: 5, P: 9, C: 1 },
  { n: 64, d: 7, P: 70, C: 3 },
  { n: 150, d: 67, P: 130, C: 2 },
  { n: 301, d: 5, P: 7, C: 1 },
];
/** Rows and gates about the borders of blocks of rows, and of words of gates that are counted together. */
const factors = [
  [33, 1],
  [256, 70],
  [517, 300],
] as const;

describe.each(engines)("$name", ({ make, tolerance }) => {
  let kernels: Kernels;
  beforeAll(async () => {
    kernels = await make();
  });

  const near = (got: Float64Array, wanted: Float64Array, most = tolerance) => {
    let scale = 1e-300;
    for (const value of wanted) scale = Math.max(scale, Math.abs(value));
    let worst = 0;
    wanted.forEach((value, k) => {
      worst = Math.max(worst, Number.isNaN(got[k]) ? Number.POSITIVE_INFINITY : Math.abs(got[k] - value) / scale);
    });
    expect(worst).toBeLessThanOrEqual(most);
  };
  const gaussian = (length: number, seed: number) => gaussianMatrix(1, length, seed).data;

  test.each(products)("multiplies %i x %i by %i columns", (m, k, n) => {
    const A = gaussian(m * k, 1);
    const B = gaussian(k * n, 2);
    const [got, wanted] = [new Float64Array(m * n), new Float64Array(m * n)];
    kernels.multiply(A, B, got, m, k, n);
    referenceKernels.multiply(A, B, wanted, m, k, n);
    near(got, wanted);
    kernels.multiplyTransposed(A, B, got, m, k, n);
    referenceKernels.multiplyTransposed(A, B, wanted, m, k, n);
    near(got, wanted);
  });

  test.each(orders)("factors, solves and updates matrices of order %i, and leaves what is above the diagonal", (n) => {
    const Y = gaussian(n * (n + 3), 3);
    const start = new Float64Array(n * n).fill(Number.NaN);
    for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) start[i * n + j] = i === j ? 1 : 0;
    const [got, wanted] = [start.slice(), start.slice()];
    kernels.addOuter(got, Y, n, n + 3, 0.5);
    referenceKernels.addOuter(wanted, Y, n, n + 3, 0.5);
    const lower = (H: Float64Array) => H.filter((_, k) => k % n <= Math.floor(k / n));
    near(lower(got), lower(wanted));
    expect(got.filter((value) => Number.isNaN(value))).toHaveLength((n * (n - 1)) / 2);
    const b = gaussian(n, 4);
    const [x, y] = [b.slice(), b.slice()];
    const held = kernels.cholesky(wanted, n);
    const truth = referenceKernels.cholesky(wanted, n);
    const B = gaussian(3 * n, 9);
    const [solved, multiplied] = [B.slice(), B.slice()];
    const [solvedTruth, multipliedTruth] = [B.slice(), B.slice()];
    held?.solve(solved, 3);
    held?.multiply(multiplied, 3);
    truth?.solve(solvedTruth, 3);
    truth?.multiply(multipliedTruth, 3);
    near(multiplied, multipliedTruth);
    expect(Math.max(...solved.map((value, k) => Math.abs(value - solvedTruth[k])))).toBeLessThanOrEqual(
      1e3 * tolerance,
    );
    held?.multiply(solved, 3);
    expect(Math.max(...solved.map((value, k) => Math.abs(value - B[k])))).toBeLessThan(1e-9);
    held?.dispose();
    expect(kernels.factor(got, n)).toBe(true);
    expect(referenceKernels.factor(wanted, n)).toBe(true);
    kernels.solve(got, n, x);
    referenceKernels.solve(wanted, n, y);
    expect(Math.max(...x.map((value, k) => Math.abs(value - y[k])))).toBeLessThanOrEqual(1e3 * tolerance);
  });

  test.each(solves)("a factor of order %i gives back %i columns from their products", (n, k) => {
    const H = wellConditioned(n, 20);
    const X = gaussian(n * k, 21);
    const B = new Float64Array(n * k);
    referenceKernels.multiply(H, X, B, n, n, k);
    const held = kernels.cholesky(H, n);
    const got = B.slice();
    held?.solve(got, k);
    near(got, X, 1e-12);
    held?.multiply(got, k);
    near(got, B, 1e-12);
    held?.dispose();
  });

  test.each(products)("a matrix that is held, %i x %i, gives the products with it, of %i rows", (n, d, m) => {
    const X = gaussianMatrix(n, d, 1);
    const [A, T] = [gaussian(m * n, 2), gaussian(m * d, 3)];
    const [times, turned, wanted, other] = [m * d, m * n, m * d, m * n].map((size) => new Float64Array(size));
    referenceKernels.multiply(A, X.data, wanted, m, n, d);
    referenceKernels.multiplyTransposed(T, X.data, other, m, d, n);
    const held = kernels.hold?.(X);
    if (held === undefined) return; // who needs it multiplies himself
    held.times(A, times, m);
    held.timesTransposed(T, turned, m);
    held.dispose();
    near(times, wanted);
    near(turned, other);
  });

  test.each(orders)("inverts matrices of order %i by their lower triangles", (n) => {
    const H = wellConditioned(n, 7);
    const inverse = H.map((value, k) => (k % n <= Math.floor(k / n) ? value : Number.NaN));
    if (kernels.inverse === undefined) return; // by columns of solves then
    expect(kernels.inverse(inverse, n)).toBe(true);
    const product = new Float64Array(n * n);
    referenceKernels.multiply(H, inverse, product, n, n, n);
    product.forEach((value, k) => {
      expect(Math.abs(value - Number(k % n === Math.floor(k / n)))).toBeLessThan(1e-9);
    });
  });

  test.each([2, 40, 150])("says that a matrix of order %i is not positive definite", (n) => {
    const H = new Float64Array(n * n);
    for (let i = 0; i < n; i++) H[i * n + i] = i === n - 1 ? -1 : 1;
    expect(kernels.cholesky(H, n)).toBeNull();
    expect(kernels.factor(H.slice(), n)).toBe(false);
    expect(kernels.inverse?.(H.slice(), n) ?? false).toBe(false);
  });

  test.each(sets)("gated products agree for n $n, d $d, $P gates, $C outputs", ({ n, d, P, C }) => {
    const X = gaussianMatrix(n, d, 5);
    const gates = sampleGates(X, { count: P, seed: 1 });
    const mine = kernels.bind(X, gates);
    const truth = referenceKernels.bind(X, gates);
    const both = (length: number, run: (products: typeof mine, out: Float64Array) => void) => {
      const [got, wanted] = [new Float64Array(length), new Float64Array(length)];
      run(mine, got);
      run(truth, wanted);
      near(got, wanted);
    };
    const R = gaussian(n * C, 6);
    const every = Int32Array.from({ length: gates.count * C }, (_, k) => Math.floor(k / C));
    const output = every.map((_, k) => k % C);
    const sign = Float64Array.from(every, (_, k) => (k % 3 === 0 ? -1 : 1));
    if (mine.times !== undefined) {
      const z = gaussian(d, 8);
      const [got, wanted] = [new Float64Array(n), new Float64Array(n)];
      mine.times(z, got);
      referenceKernels.multiplyTransposed(X.data, z, wanted, n, d, 1);
      near(got, wanted);
    }
    if (mine.timesTransposed !== undefined) {
      const [got, wanted] = [new Float64Array(d), new Float64Array(d)];
      mine.timesTransposed(R.subarray(0, n), got);
      referenceKernels.multiply(R.subarray(0, n), X.data, wanted, 1, n, d);
      near(got, wanted);
    }
    const vectors = gaussian(every.length * d, 7);
    both(n * C, (products, out) => products.forward(every, output, sign, vectors, C, out));
    both(n * C, (products, out) =>
      products.forward(new Int32Array(0), new Int32Array(0), new Float64Array(0), vectors, C, out),
    );
    both(gates.count * C * d, (products, out) => products.adjoint(R, C, null, out));
    both(C * d, (products, out) => products.adjoint(R, C, Int32Array.of(gates.count - 1), out));
    both(gates.count * C, (products, out) => products.adjointNorms(R, C, out));
    for (const k of [1, 3]) both(k * n, (products, out) => products.rows(0, gaussian(3 * d, 8), k, out));
    const weight = Float64Array.from(every, (_, k) => k / every.length);
    both(n * n, (products, out) => products.addMaskedGram(out, every, weight));
    near(mine.gram(), truth.gram());
    mine.dispose();
    truth.dispose();
  });

  test.each(factors)(
    "the factor of a sum over gates, %i rows and %i gates, solves as that of the matrix does",
    (n, P) => {
      const X = gaussianMatrix(n, 4, 5);
      const gates = sampleGates(X, { count: P, seed: 1 });
      const mine = kernels.bind(X, gates);
      expect(mine.gatedFactor !== undefined).toBe(kernels.name === "wasm");
      if (mine.gatedFactor === undefined) return;
      const list = Int32Array.from({ length: gates.count }, (_, k) => k).filter((k) => k % 3 !== 1);
      const [shift, more] = [0.2 * list.length, 0.5 * list.length];
      const H = new Float64Array(n * n).fill(more);
      referenceKernels.bind(X, gates).addMaskedGram(H, list, new Float64Array(list.length).fill(1));
      for (let k = 0; k < n; k++) H[k * n + k] += shift;
      const wanted = gaussian(n, 6);
      const b = wanted.slice();
      referenceKernels.cholesky(H, n)?.solve(wanted, 1);
      for (const [rough, most] of [
        [false, 10 * tolerance], // a solve
        [true, 1e-3],
      ] as const) {
        const factor = atOnce(mine.gatedFactor(list, shift, more, rough));
        const got = b.slice();
        factor?.solve(got, 1);
        factor?.dispose();
        near(got, wanted, most);
        if (rough && n > 256) expect(got).not.toEqual(wanted);
      }
      expect(atOnce(mine.gatedFactor(list, -9 * n * list.length, more, false))).toBeNull();
      const stopped = mine.gatedFactor(list, shift, more, false);
      stopped.next();
      let pieces = 1;
      while (stopped.next(true).done !== true) pieces += 1;
      expect(pieces).toBe(1);
      mine.dispose();
    },
  );

  test.each(factors)("columns of a sum over gates, %i rows and %i gates, are those of the matrix", (n, P) => {
    const X = gaussianMatrix(n, 4, 5);
    const gates = sampleGates(X, { count: P, seed: 1 });
    const mine = kernels.bind(X, gates);
    expect(mine.gatedColumns !== undefined).toBe(kernels.name === "wasm");
    const list = Int32Array.from({ length: gates.count }, (_, k) => k).filter((k) => k % 3 !== 1);
    const columns = mine.gatedColumns?.(list, 0.5);
    if (columns === undefined) return;
    const H = new Float64Array(n * n).fill(0.5);
    referenceKernels.bind(X, gates).addMaskedGram(H, list, new Float64Array(list.length).fill(1));
    for (const pivots of [[n - 1], [0, 2, n >> 1].filter((j, s, all) => all.indexOf(j) === s && j < n)]) {
      const got = new Float64Array(pivots.length * n);
      columns.columns(pivots, got);
      const wanted = Float64Array.from(got, (_, at) => {
        const [j, k] = [pivots[Math.floor(at / n)], at % n];
        return H[Math.max(j, k) * n + Math.min(j, k)];
      });
      near(got, wanted);
    }
    columns.dispose();
    mine.dispose();
  });

  test.each([
    [1, 300],
    [64, 70],
  ])("rows that grow are multiplied like any, %i of %i at a time", (b, n) => {
    const held = kernels.growing?.(n, 3 * b);
    expect(held !== undefined).toBe(kernels.name === "wasm");
    if (held === undefined) return;
    const F = gaussian(3 * b * n, 1);
    const G = gaussian(5 * n, 2);
    const untouched = G.slice();
    held.subtract(new Float64Array(0), untouched, 5, false);
    expect(untouched).toEqual(G);
    for (let r = b; r <= 3 * b; r += b) {
      held.add(F.subarray((r - b) * n, r * n));
      const A = gaussian(5 * r, 3);
      const wanted = new Float64Array(5 * n);
      referenceKernels.multiply(A, F, wanted, 5, r, n);
      for (let k = 0; k < wanted.length; k++) wanted[k] = G[k] - wanted[k];
      for (const [rough, most] of [
        [false, tolerance],
        [true, 1e-5],
      ] as const) {
        const got = G.slice();
        held.subtract(A, got, 5, rough);
        near(got, wanted, most);
      }
    }
    held.dispose();
  });

  test.each(sets)("rough products are those of float32 for n $n, d $d, $P gates, $C outputs", ({ n, d, P, C }) => {
    const X = gaussianMatrix(n, d, 5);
    const gates = sampleGates(X, { count: P, seed: 1 });
    const mine = kernels.bind(X, gates);
    const rough = mine.roughly?.();
    expect(rough !== undefined).toBe(kernels.name === "wasm");
    if (rough === undefined) return;
    const R = gaussian(n * C, 6);
    const every = Int32Array.from({ length: gates.count * C }, (_, k) => Math.floor(k / C));
    const output = every.map((_, k) => k % C);
    const sign = Float64Array.from(every, (_, k) => (k % 3 === 0 ? -1 : 1));
    const vectors = gaussian(every.length * d, 7);
    for (const [length, run] of [
      [n * C, (by: typeof rough, out: Float64Array) => by.forward(every, output, sign, vectors, C, out)],
      [gates.count * C * d, (by: typeof rough, out: Float64Array) => by.adjoint(R, C, null, out)],
    ] as const) {
      const [got, wanted] = [new Float64Array(length), new Float64Array(length)];
      run(rough, got);
      run(mine, wanted);
      near(got, wanted, 1e-6);
      if (n > 1) expect(got).not.toEqual(wanted);
    }
    mine.dispose();
  });

  test.each(sets)("what a face of $n x $d rows does not see has the products of any basis of it", ({ n, d }) => {
    const X = gaussianMatrix(n, d, 4);
    const gates = sampleGates(X, { count: 2, seed: 3 });
    const [mine, truth] = [kernels.bind(X, gates), referenceKernels.bind(X, gates)];
    for (const F of new Set([0, 1, Math.min(n, d >> 1), Math.min(n, d)])) {
      const face = Int32Array.from({ length: F }, (_, k) => n - 1 - k);
      const k = d - F;
      const basis = new Float64Array(k * d);
      nullspace(X, face, basis);
      const [got, wanted] = [new Float64Array(k * n).fill(Number.NaN), new Float64Array(k * n)];
      if (mine.faceRows === undefined) mine.rows(1, basis, k, got);
      else mine.faceRows(1, face, new Float64Array(basis.length), got);
      truth.rows(1, basis, k, wanted);
      const [square, squareWanted] = [new Float64Array(n * n), new Float64Array(n * n)];
      referenceKernels.addOuter(square, got, n, k, 1);
      referenceKernels.addOuter(squareWanted, wanted, n, k, 1);
      if (k > 0) near(square, squareWanted);
    }
    mine.dispose();
    truth.dispose();
  });

  test("the adjoint is the adjoint of the forward product", () => {
    const { n, d, P, C } = sets[3];
    const X = gaussianMatrix(n, d, 9);
    const gates = sampleGates(X, { count: P, seed: 2 });
    const bound = kernels.bind(X, gates);
    const R = gaussian(n * C, 10);
    const V = gaussian(gates.count * C * d, 11);
    const gate = Int32Array.from({ length: gates.count * C }, (_, k) => Math.floor(k / C));
    const Z = new Float64Array(n * C);
    const G = new Float64Array(V.length);
    bound.forward(
      gate,
      gate.map((_, k) => k % C),
      new Float64Array(gate.length).fill(1),
      V,
      C,
      Z,
    );
    bound.adjoint(R, C, null, G);
    const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, k) => sum + value * b[k], 0);
    expect(Math.abs(dot(Z, R) - dot(V, G))).toBeLessThan(1e-12 * dot(R, R) * Math.sqrt(dot(V, V)));
    bound.dispose();
  });
});
