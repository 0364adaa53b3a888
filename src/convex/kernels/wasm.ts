/**
 * The WASM engine: one SIMD matrix product in float64 (assembly/gemm.ts), and everything else arranged around it.
 *
 * Gates are unpacked into tiles of rows, so that every product with gates is a dense one; the factorisation is blocked, with
 * the triangular solves turned into products. What costs only O(n^2) stays in JavaScript.
 */

import type { GateSet, Matrix } from "../types.js";
import { referenceKernels } from "./cpu.js";
import type { CholeskyFactor, GatedProducts, Kernels } from "./types.js";
import { factorInPlace, WasmFactor } from "./wasmFactor.js";
import { type Gemm, type Matvec, type Product, WasmHeap } from "./wasmHeap.js";
import { wasmModule } from "./wasmModule.js";
import { WasmProducts } from "./wasmProducts.js";

/** Static data of the module ends below this address. */
const HEAP_START = 2048;
const PAGE = 65536;
const MAX_PAGES = 65536; // 4 GiB, the reach of a 32-bit address
/** Products with fewer multiplications than this are not worth the copies. */
const SMALL = 30_000;

/** Compiles the module; rejects where WebAssembly or its SIMD is missing. */
export async function createWasmKernels(): Promise<Kernels> {
  const bytes = Uint8Array.from(atob(wasmModule), (character) => character.charCodeAt(0));
  const memory = new WebAssembly.Memory({ initial: 32, maximum: MAX_PAGES });
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory, abort: () => undefined } });
  const { gemm, matvec, workBytes } = instance.exports as unknown as {
    gemm: Gemm;
    matvec: Matvec;
    workBytes: () => number;
  };
  const heapStart = HEAP_START + workBytes();
  const missing = heapStart - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
  const heap = new WasmHeap(memory, heapStart);
  const product: Product = (m, n, k, A, rsa, csa, B, rsb, csb, C, ldc, alpha, lower) =>
    gemm(m, n, k, A, rsa, csa, B, rsb, csb, C, ldc, alpha, lower, HEAP_START);
  return new WasmKernels(heap, product, matvec);
}

class WasmKernels implements Kernels {
  readonly name = "wasm";
  readonly dtype = "float64";

  constructor(
    private readonly heap: WasmHeap,
    private readonly gemm: Product,
    private readonly matvec: Matvec,
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
    return new WasmProducts(this.heap, this.gemm, this.matvec, X, gates);
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

function copyLower(from: Float64Array, to: Float64Array, n: number): void {
  for (let i = 0; i < n; i++) to.set(from.subarray(i * n, i * n + i + 1), i * n);
}
