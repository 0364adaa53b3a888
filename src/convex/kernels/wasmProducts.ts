/** Products with gates in WASM memory: masks are unpacked into tiles of rows, so that every product is a dense one. */

import { wordsPerGate } from "../arrangements/bits.js";
import type { GateSet, Matrix } from "../types.js";
import type { GatedProducts } from "./types.js";
import type { Matvec, Product, WasmHeap } from "./wasmHeap.js";

/** Gates or vectors that are handled together. */
const TILE = 64;

export class WasmProducts implements GatedProducts {
  private readonly x: number; // X in WASM memory
  private readonly z: number; // room for a vector [d] and its product [n]
  private readonly n: number;
  private readonly d: number;
  private readonly words: number;
  private kept: Float64Array | null = null;

  constructor(
    private readonly heap: WasmHeap,
    private readonly gemm: Product,
    private readonly matvec: Matvec,
    X: Matrix,
    private readonly gates: GateSet,
  ) {
    this.n = X.rows;
    this.d = X.cols;
    this.words = wordsPerGate(this.n);
    this.x = heap.take(this.n * this.d);
    this.z = heap.take(this.d + this.n);
    heap.view(this.x, this.n * this.d).set(X.data);
  }

  forward(
    gate: Int32Array,
    output: Int32Array,
    sign: Float64Array,
    vectors: Float64Array,
    outputs: number,
    out: Float64Array,
  ): void {
    const { heap, n, d } = this;
    out.fill(0, 0, n * outputs);
    const v = heap.take(TILE * d);
    const t = heap.take(TILE * n);
    for (let from = 0; from < gate.length; from += TILE) {
      const count = Math.min(TILE, gate.length - from);
      heap.view(v, count * d).set(vectors.subarray(from * d, (from + count) * d));
      const T = heap.view(t, count * n);
      T.fill(0);
      this.gemm(count, n, d, v, d, 1, this.x, 1, d, t, n, 1, false);
      for (let k = 0; k < count; k++) {
        this.addMasked(T, k * n, gate[from + k], sign[from + k], out, output[from + k], outputs);
      }
    }
    heap.release(t);
    heap.release(v);
  }

  adjoint(R: Float64Array, outputs: number, list: Int32Array | null, out: Float64Array): void {
    this.tiles(R, outputs, list, (G, from, count) => out.set(G.subarray(0, count * this.d), from * this.d));
  }

  adjointNorms(R: Float64Array, outputs: number, out: Float64Array): void {
    const { d } = this;
    this.tiles(R, outputs, null, (G, from, count) => {
      for (let k = 0; k < count; k++) {
        let square = 0;
        for (let p = k * d; p < (k + 1) * d; p++) square += G[p] * G[p];
        out[from + k] = Math.sqrt(square);
      }
    });
  }

  times(z: Float64Array, out: Float64Array): void {
    const { heap, n, d } = this;
    const y = this.z + 8 * d;
    heap.view(this.z, d).set(z);
    this.matvec(this.x, n, d, this.z, y);
    out.set(heap.view(y, n));
  }

  rows(gate: number, U: Float64Array, k: number, out: Float64Array): void {
    const { heap, n, d } = this;
    const u = heap.take(k * d);
    const t = heap.take(k * n);
    heap.view(u, k * d).set(U.subarray(0, k * d));
    const T = heap.view(t, k * n);
    T.fill(0);
    this.gemm(k, n, d, u, d, 1, this.x, 1, d, t, n, 1, false);
    const { bits } = this.gates;
    for (let r = 0; r < k; r++) {
      for (let j = 0; j < n; j++) {
        const open = (bits[gate * this.words + (j >>> 5)] >>> (j & 31)) & 1;
        out[r * n + j] = open * T[r * n + j];
      }
    }
    heap.release(t);
    heap.release(u);
  }

  addMaskedGram(H: Float64Array, gate: Int32Array, weight: Float64Array): void {
    const { heap, n } = this;
    const K = this.gram();
    const s = heap.take(n * n);
    const u = heap.take(TILE * n);
    heap.view(s, n * n).fill(0);
    for (let from = 0; from < gate.length; from += TILE) {
      const count = Math.min(TILE, gate.length - from);
      const U = heap.view(u, count * n);
      for (let k = 0; k < count; k++) this.unpack(gate[from + k], Math.sqrt(weight[from + k]), U, k * n);
      this.gemm(n, n, count, u, 1, n, u, n, 1, s, n, 1, true);
    }
    const S = heap.view(s, n * n);
    for (let i = 0; i < n; i++) for (let j = i * n; j <= i * n + i; j++) H[j] += S[j] * K[j];
    heap.release(u);
    heap.release(s);
  }

  gram(): Float64Array {
    if (this.kept === null) {
      const { heap, n, d } = this;
      const k = heap.take(n * n);
      heap.view(k, n * n).fill(0);
      this.gemm(n, n, d, this.x, d, 1, this.x, 1, d, k, n, 1, false);
      this.kept = heap.view(k, n * n).slice();
      heap.release(k);
    }
    return this.kept;
  }

  dispose(): void {
    this.kept = null;
    this.heap.release(this.z);
    this.heap.release(this.x);
  }

  /** X' D_i R_c for all (gate, output) pairs, a tile of rows at a time. */
  private tiles(
    R: Float64Array,
    outputs: number,
    list: Int32Array | null,
    use: (G: Float64Array, from: number, count: number) => void,
  ): void {
    const { heap, n, d } = this;
    const total = (list === null ? this.gates.count : list.length) * outputs;
    const m = heap.take(TILE * n);
    const g = heap.take(TILE * d);
    const column = new Float64Array(n);
    for (let from = 0; from < total; from += TILE) {
      const count = Math.min(TILE, total - from);
      const M = heap.view(m, count * n);
      const G = heap.view(g, count * d);
      G.fill(0);
      for (let k = 0; k < count; k++) {
        const pair = from + k;
        const output = pair % outputs;
        const index = (pair - output) / outputs;
        if (outputs > 1) for (let j = 0; j < n; j++) column[j] = R[j * outputs + output];
        this.mask(list === null ? index : list[index], outputs > 1 ? column : R, M, k * n);
      }
      this.gemm(count, d, n, m, n, 1, this.x, d, 1, g, d, 1, false);
      use(G, from, count);
    }
    heap.release(g);
    heap.release(m);
  }

  /** out[at + j] = D_gate[j, j] value[j]. */
  private mask(gate: number, value: Float64Array, out: Float64Array, at: number): void {
    const { bits } = this.gates;
    for (let w = 0; w < this.words; w++) {
      let word = bits[gate * this.words + w];
      const end = Math.min(this.n, (w + 1) << 5);
      for (let j = w << 5; j < end; j++) {
        out[at + j] = word & 1 ? value[j] : 0;
        word >>>= 1;
      }
    }
  }

  private unpack(gate: number, value: number, out: Float64Array, at: number): void {
    const { bits } = this.gates;
    for (let w = 0; w < this.words; w++) {
      let word = bits[gate * this.words + w];
      const end = Math.min(this.n, (w + 1) << 5);
      for (let j = w << 5; j < end; j++) {
        out[at + j] = word & 1 ? value : 0;
        word >>>= 1;
      }
    }
  }

  private addMasked(
    T: Float64Array,
    at: number,
    gate: number,
    sign: number,
    out: Float64Array,
    output: number,
    outputs: number,
  ): void {
    const { bits } = this.gates;
    for (let w = 0; w < this.words; w++) {
      let word = bits[gate * this.words + w];
      if (word === 0) continue;
      const end = Math.min(this.n, (w + 1) << 5);
      for (let j = w << 5; j < end; j++) {
        if (word & 1) out[j * outputs + output] += sign * T[at + j];
        word >>>= 1;
      }
    }
  }
}
