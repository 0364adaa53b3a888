/** The reference engine: float64, plain TypeScript, no blocking. Slow on purpose; the truth of every fast engine. */

import type { GateSet, Matrix } from "../types.js";
import type { GatedProducts, Kernels } from "./types.js";

export const referenceKernels: Kernels = {
  name: "cpu",
  dtype: "float64",

  multiply(A, B, out, m, k, n) {
    out.fill(0, 0, m * n);
    for (let i = 0; i < m; i++) {
      for (let p = 0; p < k; p++) {
        const a = A[i * k + p];
        if (a === 0) continue;
        const from = p * n;
        const to = i * n;
        for (let j = 0; j < n; j++) out[to + j] += a * B[from + j];
      }
    }
  },

  multiplyTransposed(A, B, out, m, k, n) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) out[i * n + j] = dotRows(A, i * k, B, j * k, k);
    }
  },

  addOuter(H, Y, n, k, alpha) {
    for (let p = 0; p < k; p++) {
      const row = p * n;
      for (let i = 0; i < n; i++) {
        const a = alpha * Y[row + i];
        if (a === 0) continue;
        const to = i * n;
        for (let j = 0; j <= i; j++) H[to + j] += a * Y[row + j];
      }
    }
  },

  poolPatches(rows, masks, { pooling, gates, samples, d, first, words }, out) {
    const { patches: K, positions: A, scale } = pooling;
    out.fill(0, 0, gates * A * samples * d);
    for (let i = 0; i < gates; i++) {
      for (let row = 0; row < samples * K; row++) {
        const bit = first + row;
        if (((masks[i * words + (bit >>> 5)] >>> (bit & 31)) & 1) === 0) continue;
        const patch = row % K;
        const to = ((i * A + (patch % A)) * samples + (row - patch) / K) * d;
        for (let p = 0; p < d; p++) out[to + p] += rows[row * d + p];
      }
    }
    for (let k = 0; k < gates * A * samples * d; k++) out[k] *= scale;
  },

  factor(H, n) {
    for (let j = 0; j < n; j++) {
      const pivot = H[j * n + j] - dotRows(H, j * n, H, j * n, j);
      if (!(pivot > 0)) return false;
      const root = Math.sqrt(pivot);
      H[j * n + j] = root;
      for (let i = j + 1; i < n; i++) H[i * n + j] = (H[i * n + j] - dotRows(H, i * n, H, j * n, j)) / root;
    }
    return true;
  },

  solve(L, n, b) {
    for (let i = 0; i < n; i++) {
      b[i] = (b[i] - dotRows(L, i * n, b, 0, i)) / L[i * n + i];
    }
    for (let i = n - 1; i >= 0; i--) {
      b[i] /= L[i * n + i];
      const value = b[i];
      const row = i * n;
      for (let j = 0; j < i; j++) b[j] -= value * L[row + j];
    }
  },

  cholesky(H, n) {
    const L = H.slice(0, n * n);
    if (!referenceKernels.factor(L, n)) return null;
    const column = new Float64Array(n);
    const eachColumn = (B: Float64Array, k: number, use: (b: Float64Array) => void) => {
      for (let c = 0; c < k; c++) {
        for (let i = 0; i < n; i++) column[i] = B[i * k + c];
        use(column);
        for (let i = 0; i < n; i++) B[i * k + c] = column[i];
      }
    };
    return {
      solve: (B, k) => eachColumn(B, k, (b) => referenceKernels.solve(L, n, b)),
      multiply: (B, k) => eachColumn(B, k, (b) => multiplyFactor(L, n, b)),
      dispose: () => undefined,
    };
  },

  bind: (X, gates) => new ReferenceProducts(X, gates),
};

class ReferenceProducts implements GatedProducts {
  private kept: Float64Array | null = null;

  constructor(
    private readonly X: Matrix,
    private readonly gates: GateSet,
  ) {}

  forward(
    gate: Int32Array,
    output: Int32Array,
    sign: Float64Array,
    vectors: Float64Array,
    outputs: number,
    out: Float64Array,
  ): void {
    const { data, rows: n, cols: d } = this.X;
    out.fill(0, 0, n * outputs);
    for (let k = 0; k < gate.length; k++) {
      for (let j = 0; j < n; j++) {
        if (this.open(gate[k], j)) out[j * outputs + output[k]] += sign[k] * dotRows(data, j * d, vectors, k * d, d);
      }
    }
  }

  adjoint(R: Float64Array, outputs: number, list: Int32Array | null, out: Float64Array): void {
    const { data, rows: n, cols: d } = this.X;
    const count = list === null ? this.gates.count : list.length;
    out.fill(0, 0, count * outputs * d);
    for (let k = 0; k < count; k++) {
      const gate = list === null ? k : list[k];
      for (let j = 0; j < n; j++) {
        if (!this.open(gate, j)) continue;
        for (let c = 0; c < outputs; c++) {
          const r = R[j * outputs + c];
          const to = (k * outputs + c) * d;
          for (let p = 0; p < d; p++) out[to + p] += r * data[j * d + p];
        }
      }
    }
  }

  adjointNorms(R: Float64Array, outputs: number, out: Float64Array): void {
    const d = this.X.cols;
    const block = new Float64Array(outputs * d);
    const one = new Int32Array(1);
    for (let i = 0; i < this.gates.count; i++) {
      one[0] = i;
      this.adjoint(R, outputs, one, block);
      for (let c = 0; c < outputs; c++) out[i * outputs + c] = Math.sqrt(dotRows(block, c * d, block, c * d, d));
    }
  }

  rows(gate: number, U: Float64Array, k: number, out: Float64Array): void {
    const { data, rows: n, cols: d } = this.X;
    for (let j = 0; j < n; j++) {
      const open = this.open(gate, j);
      for (let p = 0; p < k; p++) out[p * n + j] = open ? dotRows(data, j * d, U, p * d, d) : 0;
    }
  }

  addMaskedGram(H: Float64Array, gate: Int32Array, weight: Float64Array): void {
    const n = this.X.rows;
    const K = this.gram();
    for (let k = 0; k < gate.length; k++) {
      for (let i = 0; i < n; i++) {
        if (!this.open(gate[k], i)) continue;
        for (let j = 0; j <= i; j++) if (this.open(gate[k], j)) H[i * n + j] += weight[k] * K[i * n + j];
      }
    }
  }

  gram(): Float64Array {
    if (this.kept === null) {
      const { data, rows: n, cols: d } = this.X;
      this.kept = new Float64Array(n * n);
      referenceKernels.multiplyTransposed(data, data, this.kept, n, d, n);
    }
    return this.kept;
  }

  dispose(): void {
    this.kept = null;
  }

  private open(gate: number, row: number): boolean {
    const words = (this.gates.rows + 31) >>> 5;
    return ((this.gates.bits[gate * words + (row >>> 5)] >>> (row & 31)) & 1) === 1;
  }
}

/** b := L L' b, row by row. */
function multiplyFactor(L: Float64Array, n: number, b: Float64Array): void {
  const inner = new Float64Array(n);
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) inner[j] += L[i * n + j] * b[i];
  for (let i = 0; i < n; i++) b[i] = dotRows(L, i * n, inner, 0, i + 1);
}

function dotRows(A: Float64Array, a: number, B: Float64Array, b: number, length: number): number {
  let sum = 0;
  for (let p = 0; p < length; p++) sum += A[a + p] * B[b + p];
  return sum;
}
