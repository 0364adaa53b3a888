/** Solves with a diagonal and m rank-one terms, by the identity of Woodbury: what is factored has as many rows as there are terms. */

import type { CholeskyFactor, GatedProducts, Kernels } from "../../kernels/types.js";
import { wordsPerGate } from "../../linear/bits.js";
import { transpose } from "../../linear/vectors.js";
import { everyVector } from "../../operators/blocks.js";

/** Y' Y for rows Y [m x n] that stay with the engine. */
export class RankOneTerms {
  private readonly m: number; // at least one
  private readonly products: GatedProducts; // with Y, its one gate open on every row
  private readonly gram: Float64Array; // Y Y'

  constructor(
    Y: Float64Array,
    count: number,
    private readonly n: number,
    private readonly kernels: Kernels,
    private readonly rough = false, // for preconditioners
  ) {
    const m = Math.max(1, count);
    this.m = m;
    const data = count === 0 ? new Float64Array(n) : Y.subarray(0, m * n);
    const bits = new Uint32Array(wordsPerGate(m)).fill(0xffffffff);
    const generators = { data: new Float64Array(n), rows: 1, cols: n };
    this.products = kernels.bind({ data, rows: m, cols: n }, { count: 1, rows: m, bits, generators, complete: false });
    try {
      this.gram = this.products.gram();
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** A factor of s I + Y' Y, which lives no longer than the terms; null when rounding made it indefinite. */
  factor(shift: number): CholeskyFactor | null {
    const { m, gram, kernels } = this;
    const S = gram.slice();
    for (let i = 0; i < m; i++) S[i * m + i] += shift;
    const inner = kernels.cholesky(S, m);
    if (inner === null) return null;
    return {
      solve: (b, k) => {
        this.add(b, k, -1, (seen) => inner.solve(seen, k));
        for (let at = 0; at < this.n * k; at++) b[at] /= shift;
      },
      multiply: (b, k) => {
        this.add(b, k, 1 / shift, () => undefined);
        for (let at = 0; at < this.n * k; at++) b[at] *= shift;
      },
      dispose: () => inner.dispose(),
    };
  }

  dispose(): void {
    this.products.dispose();
  }

  /** b += scale Y' f(Y b), b [n x k]; f works in place. */
  private add(b: Float64Array, k: number, scale: number, f: (seen: Float64Array) => void): void {
    const { m, n, products } = this;
    const columns = new Float64Array(k * n);
    transpose(b, n, k, columns);
    const seen = new Float64Array(m * k);
    if (k === 1 && products.times && products.timesTransposed) {
      products.times(columns, seen);
      f(seen);
      products.timesTransposed(seen, columns);
    } else {
      const near = (this.rough && products.roughly?.()) || products;
      const { gate, output, sign } = everyVector(new Int32Array(1), k);
      near.forward(gate, output, sign, columns, k, seen);
      f(seen);
      near.adjoint(seen, k, null, columns);
    }
    for (let j = 0; j < n; j++) for (let c = 0; c < k; c++) b[j * k + c] += scale * columns[c * n + j];
  }
}

/** A factor of diag(T) + Y' Y, Y [m x n]; null when rounding made it indefinite. */
export function woodbury(
  T: Float64Array,
  Y: Float64Array,
  m: number,
  n: number,
  kernels: Kernels,
): CholeskyFactor | null {
  const root = T.map(Math.sqrt);
  const scaled = new Float64Array(m * n);
  for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) scaled[i * n + j] = Y[i * n + j] / root[j];
  const terms = new RankOneTerms(scaled, m, n, kernels);
  let inner: CholeskyFactor | null = null;
  try {
    inner = terms.factor(1);
  } finally {
    if (inner === null) terms.dispose();
  }
  return inner && scaledFactor(root, inner, terms);
}

/** A factor of R H R, R = diag(root), of one of H, with what it lives on. */
function scaledFactor(root: Float64Array, inner: CholeskyFactor, terms: RankOneTerms): CholeskyFactor {
  const n = root.length;
  return {
    solve: (b, k) => {
      for (let at = 0; at < n * k; at++) b[at] /= root[Math.floor(at / k)];
      inner.solve(b, k);
      for (let at = 0; at < n * k; at++) b[at] /= root[Math.floor(at / k)];
    },
    multiply: (b, k) => {
      for (let at = 0; at < n * k; at++) b[at] *= root[Math.floor(at / k)];
      inner.multiply(b, k);
      for (let at = 0; at < n * k; at++) b[at] *= root[Math.floor(at / k)];
    },
    dispose: () => {
      inner.dispose();
      terms.dispose();
    },
  };
}
