/**
 * The WASM engine: one SIMD matrix product in float64 (assembly/gemm.ts), and everything else arranged around it.
 *
 * Gates are unpacked into tiles of rows, so that every product with gates is a dense one; the factorisation is blocked, with
 * the triangular solves turned into products. What costs only O(n^2) stays in JavaScript.
 */

import { wordsPerGate } from "../arrangements/bits.js";
import type { GateSet, Matrix } from "../types.js";
import { referenceKernels } from "./cpu.js";
import type { CholeskyFactor, GatedProducts, Kernels } from "./types.js";
import { WasmHeap } from "./wasmHeap.js";
import { wasmModule } from "./wasmModule.js";

/** Static data of the module ends below this address. */
const HEAP_START = 2048;
const PAGE = 65536;
const MAX_PAGES = 65536; // 4 GiB, the reach of a 32-bit address
/** Products with fewer multiplications than this are not worth the copies. */
const SMALL = 30_000;
/** Gates or vectors that are handled together. */
const TILE = 64;
/** Columns that the blocked factorisation eliminates together. */
const FACTOR_BLOCK = 64;

type Gemm = (
  ...args: [
    ...[m: number, n: number, k: number],
    ...[A: number, rsa: number, csa: number],
    ...[B: number, rsb: number, csb: number],
    ...[C: number, ldc: number, alpha: number, lower: boolean, work: number],
  ]
) => void;

/** Compiles the module; rejects where WebAssembly or its SIMD is missing. */
export async function createWasmKernels(): Promise<Kernels> {
  const bytes = Uint8Array.from(atob(wasmModule), (character) => character.charCodeAt(0));
  const memory = new WebAssembly.Memory({ initial: 32, maximum: MAX_PAGES });
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory, abort: () => undefined } });
  const { gemm, workBytes } = instance.exports as unknown as { gemm: Gemm; workBytes: () => number };
  const heapStart = HEAP_START + workBytes();
  const missing = heapStart - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
  const heap = new WasmHeap(memory, heapStart);
  return new WasmKernels(heap, (m, n, k, A, rsa, csa, B, rsb, csb, C, ldc, alpha, lower) =>
    gemm(m, n, k, A, rsa, csa, B, rsb, csb, C, ldc, alpha, lower, HEAP_START),
  );
}

/** `gemm` with its work space filled in. */
type Product = Parameters<Gemm> extends [...infer Rest, number] ? (...args: Rest) => void : never;

class WasmKernels implements Kernels {
  readonly name = "wasm";
  readonly dtype = "float64";

  constructor(
    private readonly heap: WasmHeap,
    private readonly gemm: Product,
  ) {}

  multiply(A: Float64Array, B: Float64Array, out: Float64Array, m: number, k: number, n: number): void {
    if (m * k * n < SMALL) referenceKernels.multiply(A, B, out, m, k, n);
    else this.product(A, B, out, m, k, n, n, 1);
  }

  multiplyTransposed(A: Float64Array, B: Float64Array, out: Float64Array, m: number, k: number, n: number): void {
    if (m * k * n < SMALL) referenceKernels.multiplyTransposed(A, B, out, m, k, n);
    else this.product(A, B, out, m, k, n, 1, k);
  }

  addOuter(H: Float64Array, Y: Float64Array, n: number, k: number, alpha: number): void {
    if (n * n * k < 4 * SMALL || k < 4) {
      referenceKernels.addOuter(H, Y, n, k, alpha);
      return;
    }
    const h = this.heap.take(n * n);
    const y = this.heap.take(k * n);
    this.heap.view(h, n * n).set(H.subarray(0, n * n));
    this.heap.view(y, k * n).set(Y.subarray(0, k * n));
    this.gemm(n, n, k, y, 1, n, y, n, 1, h, n, alpha, true);
    copyLower(this.heap.view(h, n * n), H, n);
    this.heap.release(y);
    this.heap.release(h);
  }

  factor(H: Float64Array, n: number): boolean {
    if (n * n * n < 30 * SMALL) return referenceKernels.factor(H, n);
    const h = this.heap.take(n * n);
    const L = this.heap.view(h, n * n);
    L.set(H.subarray(0, n * n));
    const definite = factorInPlace(this.heap, this.gemm, h, n);
    copyLower(this.heap.view(h, n * n), H, n);
    this.heap.release(h);
    return definite;
  }

  solve(L: Float64Array, n: number, b: Float64Array): void {
    referenceKernels.solve(L, n, b);
  }

  cholesky(H: Float64Array, n: number): CholeskyFactor | null {
    if (n * n * n < 30 * SMALL) return referenceKernels.cholesky(H, n);
    const h = this.heap.take(n * n);
    const L = this.heap.view(h, n * n);
    L.fill(0);
    for (let i = 0; i < n; i++) L.set(H.subarray(i * n, i * n + i + 1), i * n);
    if (factorInPlace(this.heap, this.gemm, h, n)) return new WasmFactor(this.heap, this.gemm, h, n);
    this.heap.release(h);
    return null;
  }

  bind(X: Matrix, gates: GateSet): GatedProducts {
    return new WasmProducts(this.heap, this.gemm, X, gates);
  }

  private product(...[A, B, out, m, k, n, rsb, csb]: [Float64Array, Float64Array, Float64Array, ...number[]]): void {
    const a = this.heap.take(m * k);
    const b = this.heap.take(k * n);
    const c = this.heap.take(m * n);
    this.heap.view(a, m * k).set(A.subarray(0, m * k));
    this.heap.view(b, k * n).set(B.subarray(0, k * n));
    this.heap.view(c, m * n).fill(0);
    this.gemm(m, n, k, a, k, 1, b, rsb, csb, c, n, 1, false);
    out.set(this.heap.view(c, m * n));
    for (const block of [c, b, a]) this.heap.release(block);
  }
}

/**
 * Cholesky in place at address h, left-looking by blocks of columns; a panel is divided by its diagonal block by a product with
 * that block's inverse. What is above the diagonal becomes zero.
 */
function factorInPlace(heap: WasmHeap, gemm: Product, h: number, n: number): boolean {
  const panel = heap.take(n * FACTOR_BLOCK);
  const inverse = heap.take(FACTOR_BLOCK * FACTOR_BLOCK);
  const L = heap.view(h, n * n);
  const small = new Float64Array(FACTOR_BLOCK * FACTOR_BLOCK);
  let definite = true;
  for (let j = 0; j < n; j += FACTOR_BLOCK) {
    const nb = Math.min(FACTOR_BLOCK, n - j);
    if (j > 0) gemm(n - j, nb, j, h + 8 * j * n, n, 1, h + 8 * j * n, 1, n, h + 8 * (j * n + j), n, -1, false);
    for (let r = 0; r < nb; r++) for (let s = 0; s <= r; s++) small[r * nb + s] = L[(j + r) * n + j + s];
    definite = referenceKernels.factor(small, nb);
    if (!definite) break;
    for (let r = 0; r < nb; r++) {
      L.set(small.subarray(r * nb, r * nb + r + 1), (j + r) * n + j);
      L.fill(0, (j + r) * n + j + r + 1, (j + r + 1) * n);
    }
    const below = n - j - nb;
    if (below === 0) continue;
    invertLower(small, heap.view(inverse, nb * nb), nb);
    const P = heap.view(panel, below * nb);
    for (let r = 0; r < below; r++) {
      const at = (j + nb + r) * n + j;
      P.set(L.subarray(at, at + nb), r * nb);
      L.fill(0, at, at + nb);
    }
    gemm(below, nb, nb, panel, nb, 1, inverse, 1, nb, h + 8 * ((j + nb) * n + j), n, 1, false);
  }
  heap.release(inverse);
  heap.release(panel);
  return definite;
}

/** A factor in WASM memory, with the inverses of its diagonal blocks, so that solves are products too. */
class WasmFactor implements CholeskyFactor {
  private readonly blocks: number; // [ceil(n / 64) x 64 x 64]: inverses of the diagonal blocks

  constructor(
    private readonly heap: WasmHeap,
    private readonly gemm: Product,
    private readonly h: number,
    private readonly n: number,
  ) {
    const count = Math.ceil(n / FACTOR_BLOCK);
    this.blocks = heap.take(count * FACTOR_BLOCK * FACTOR_BLOCK);
    const L = heap.view(h, n * n);
    const small = new Float64Array(FACTOR_BLOCK * FACTOR_BLOCK);
    for (let j = 0; j < n; j += FACTOR_BLOCK) {
      const nb = Math.min(FACTOR_BLOCK, n - j);
      for (let r = 0; r < nb; r++) small.set(L.subarray((j + r) * n + j, (j + r) * n + j + nb), r * nb);
      invertLower(small, heap.view(this.blockAt(j), nb * nb), nb);
    }
  }

  solve(B: Float64Array, k: number): void {
    this.withCopy(B, k, (b, x) => {
      const { gemm, h, n } = this;
      for (let j = 0; j < n; j += FACTOR_BLOCK) {
        const nb = Math.min(FACTOR_BLOCK, n - j);
        const row = 8 * j * k;
        if (j > 0) gemm(nb, k, j, h + 8 * j * n, n, 1, x, k, 1, b + row, k, -1, false);
        gemm(nb, k, nb, this.blockAt(j), nb, 1, b + row, k, 1, x + row, k, 1, false);
      }
      this.heap.view(b, n * k).set(this.heap.view(x, n * k));
      this.heap.view(x, n * k).fill(0);
      const last = FACTOR_BLOCK * (Math.ceil(n / FACTOR_BLOCK) - 1);
      for (let j = last; j >= 0; j -= FACTOR_BLOCK) {
        const nb = Math.min(FACTOR_BLOCK, n - j);
        const row = 8 * j * k;
        const below = j + nb;
        if (below < n) {
          gemm(nb, k, n - below, h + 8 * (below * n + j), 1, n, x + 8 * below * k, k, 1, b + row, k, -1, false);
        }
        gemm(nb, k, nb, this.blockAt(j), 1, nb, b + row, k, 1, x + row, k, 1, false);
      }
    });
  }

  multiply(B: Float64Array, k: number): void {
    this.withCopy(B, k, (b, x) => {
      const { gemm, h, n } = this;
      gemm(n, k, n, h, 1, n, b, k, 1, x, k, 1, false);
      const inner = this.heap.view(b, n * k);
      inner.set(this.heap.view(x, n * k));
      this.heap.view(x, n * k).fill(0);
      gemm(n, k, n, h, n, 1, b, k, 1, x, k, 1, false);
    });
  }

  dispose(): void {
    this.heap.release(this.blocks);
    this.heap.release(this.h);
  }

  private blockAt(j: number): number {
    return this.blocks + 8 * j * FACTOR_BLOCK;
  }

  /** Hands B and a zeroed matrix of its size to `use` in WASM memory, and copies the second back. */
  private withCopy(B: Float64Array, k: number, use: (b: number, x: number) => void): void {
    const size = this.n * k;
    const b = this.heap.take(size);
    const x = this.heap.take(size);
    this.heap.view(b, size).set(B.subarray(0, size));
    this.heap.view(x, size).fill(0);
    use(b, x);
    B.set(this.heap.view(x, size));
    this.heap.release(x);
    this.heap.release(b);
  }
}

class WasmProducts implements GatedProducts {
  private readonly x: number; // X in WASM memory
  private readonly n: number;
  private readonly d: number;
  private readonly words: number;
  private kept: Float64Array | null = null;

  constructor(
    private readonly heap: WasmHeap,
    private readonly gemm: Product,
    X: Matrix,
    private readonly gates: GateSet,
  ) {
    this.n = X.rows;
    this.d = X.cols;
    this.words = wordsPerGate(this.n);
    this.x = heap.take(this.n * this.d);
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

/** The inverse of a lower triangular matrix [n x n]; zeros above the diagonal. */
function invertLower(L: Float64Array, out: Float64Array, n: number): void {
  out.fill(0);
  for (let c = 0; c < n; c++) {
    out[c * n + c] = 1 / L[c * n + c];
    for (let r = c + 1; r < n; r++) {
      let sum = 0;
      for (let s = c; s < r; s++) sum += L[r * n + s] * out[s * n + c];
      out[r * n + c] = -sum / L[r * n + r];
    }
  }
}

function copyLower(from: Float64Array, to: Float64Array, n: number): void {
  for (let i = 0; i < n; i++) to.set(from.subarray(i * n, i * n + i + 1), i * n);
}
