/**
 * The WASM engine: one SIMD matrix product (assembly/gemm.ts), in float64 but for rough products, and everything else arranged around it.
 *
 * Masks are unpacked where the product packs its operands, so that every product with gates is a dense one; the factorisation
 * is blocked, with the triangular solves turned into products. What costs only O(n^2) stays in JavaScript. Where there are
 * several threads they share the rows or columns of what a product makes, and the result is that of one thread to the last bit.
 */

import { slopeOf } from "../../network.js";
import type { GateSet, Matrix, Pooling } from "../../types.js";
import { referenceKernels } from "../cpu.js";
import type {
  CholeskyFactor,
  GatedProducts,
  GrowingRows,
  HeldMatrix,
  Kernels,
  NeuronLayer,
  PoolShape,
  ThreadUse,
  VectorPairs,
} from "../types.js";
import { openCore, type WasmCore } from "./core.js";
import { WasmEngine } from "./engine.js";
import { copyLower, WasmFactor } from "./factor.js";
import { WasmGrowing } from "./growing.js";
import type { WasmHeap } from "./heap.js";
import { WasmHeld } from "./held.js";
import { hostThreads } from "./helpers.js";
import { WasmLayer } from "./layer.js";
import { WasmNeurons } from "./neurons.js";
import { WasmPairs } from "./pairs.js";
import { packPatterns, poolPatches } from "./patches.js";
import { WasmProducts } from "./products.js";
import { WasmTogether } from "./together.js";

/** Products, sums of outer products and factors with fewer multiplications than this are not worth the copies. */
const SMALL_PRODUCT = 4_000;
const SMALL_OUTER = 120_000;
const SMALL_FACTOR = 2_000;
const SMALL_HELD = 900_000;
/** Up to so many columns one factorisation without blocks is faster. */
const ONE_BLOCK = 256;
/** Threads that are used unless more are asked for: what is not shared out soon outweighs what is. */
const DEFAULT_THREADS = 4;

/** Memories of a realm, made once: the program's own for one thread, a shared one for several. */
const cores: { [threaded in "one" | "several"]?: Promise<WasmCore> } = {};

/**
 * The WASM engine; rejects where it cannot run.
 *
 * @param threads how many may work on a product; by default as many as the host runs side by side, at most 4. Where helpers
 * cannot be started it is one, and `Kernels.threads` says why.
 */
export async function wasmKernels(threads?: number): Promise<Kernels> {
  const limit = threads ?? Math.min(DEFAULT_THREADS, await hostThreads());
  const which = limit > 1 ? "several" : "one";
  cores[which] ??= openCore(limit > 1);
  return new WasmKernels(new WasmEngine(await cores[which], limit));
}

/** Ends the helper threads of this realm; those that are needed again are started again. */
export async function endHelpers(): Promise<void> {
  await (await cores.several)?.helpers?.close();
}

/** @internal The engine on a memory of the caller's. */
export class WasmKernels implements Kernels {
  readonly name = "wasm";
  readonly dtype = "float64";
  private readonly heap: WasmHeap;

  constructor(private readonly engine: WasmEngine) {
    this.heap = engine.heap;
  }

  threads(): ThreadUse {
    return this.engine.threads();
  }

  multiply(A: Float64Array, B: Float64Array, out: Float64Array, m: number, k: number, n: number): void {
    if (m * k * n < SMALL_PRODUCT) referenceKernels.multiply(A, B, out, m, k, n);
    else this.product(A, B, out, m, k, n, n, 1);
  }

  multiplyTransposed(A: Float64Array, B: Float64Array, out: Float64Array, m: number, k: number, n: number): void {
    if (m * k * n < SMALL_PRODUCT) referenceKernels.multiplyTransposed(A, B, out, m, k, n);
    else this.product(A, B, out, m, k, n, 1, k);
  }

  addOuter(H: Float64Array, Y: Float64Array, n: number, k: number, alpha: number): void {
    if (n * n * k < SMALL_OUTER || k < 4) {
      referenceKernels.addOuter(H, Y, n, k, alpha);
      return;
    }
    const [h, y] = this.heap.takeAll(n * n, k * n);
    this.heap.view(h, n * n).set(H.subarray(0, n * n));
    this.heap.view(y, k * n).set(Y.subarray(0, k * n));
    this.engine.multiply(n, n, k, y, 1, n, y, n, 1, h, n, alpha, true);
    copyLower(this.heap.view(h, n * n), H, n);
    this.heap.release(y);
    this.heap.release(h);
  }

  poolPatches(rows: Float64Array, masks: Uint32Array, shape: PoolShape, out: Float64Array): void {
    poolPatches(this.engine, rows, masks, shape, out);
  }

  packPatterns(X: Matrix, generators: readonly Float64Array[], words: readonly Uint32Array[]): void {
    packPatterns(this.engine, X, generators, words);
  }

  factor(H: Float64Array, n: number): boolean {
    if (n * n * n < SMALL_FACTOR) return referenceKernels.factor(H, n);
    if (n <= ONE_BLOCK) return this.factorSmall(H, n);
    const held = WasmFactor.of(this.engine, H, n);
    if (held === null) return false;
    copyLower(this.heap.view(held.h, n * n), H, n);
    held.dispose();
    return true;
  }

  inverse(H: Float64Array, n: number): boolean {
    const [h, room] = this.heap.takeAll(n * n, n * n);
    this.heap.view(h, n * n).set(H);
    const definite = this.engine.calls.inverseSmall(h, n, room) !== 0;
    H.set(this.heap.view(h, n * n));
    this.heap.release(room);
    this.heap.release(h);
    return definite;
  }

  private factorSmall(H: Float64Array, n: number): boolean {
    const h = this.heap.take(n * n);
    this.heap.view(h, n * n).set(H.length === n * n ? H : H.subarray(0, n * n));
    const definite = this.engine.calls.choleskySmall(h, n) !== 0;
    H.set(this.heap.view(h, n * n));
    this.heap.release(h);
    return definite;
  }

  solve(L: Float64Array, n: number, b: Float64Array): void {
    referenceKernels.solve(L, n, b);
  }

  cholesky(H: Float64Array, n: number): CholeskyFactor | null {
    if (n * n * n < SMALL_HELD) return referenceKernels.cholesky(H, n);
    return WasmFactor.of(this.engine, H, n);
  }

  layer(X: Matrix, m: number, C: number, slope: number): NeuronLayer {
    return this.heap.whole(() => new WasmLayer(this.engine, X, m, C, slope));
  }

  neurons(X: Matrix, outputs: Int32Array, C: number, slope: number): NeuronLayer {
    return this.heap.whole(() => new WasmNeurons(this.engine, X, outputs, C, slope));
  }

  roughLayer(X: Matrix, m: number, C: number, slope: number): NeuronLayer {
    return this.heap.whole(() => new WasmTogether(this.engine, X, m, C, slope));
  }

  roughFilters(X: Matrix, m: number, C: number, pooling: Pooling): NeuronLayer {
    return this.heap.whole(() => new WasmTogether(this.engine, X, m, C, slopeOf(pooling), pooling));
  }

  pairs(size: number, count: number): VectorPairs {
    return this.heap.whole(() => new WasmPairs(this.engine, size, count));
  }

  hold(X: Matrix): HeldMatrix {
    return this.heap.whole(() => new WasmHeld(this.engine, X));
  }

  growing(n: number, most: number): GrowingRows {
    return new WasmGrowing(this.engine, n, most);
  }

  bind(X: Matrix, gates: GateSet): GatedProducts {
    return this.heap.whole(() => new WasmProducts(this.engine, X, gates));
  }

  private product(...[A, B, out, m, k, n, rsb, csb]: [Float64Array, Float64Array, Float64Array, ...number[]]): void {
    const blocks = this.heap.takeAll(m * k, k * n, m * n);
    const [a, b, c] = blocks;
    this.heap.view(a, m * k).set(A.subarray(0, m * k));
    this.heap.view(b, k * n).set(B.subarray(0, k * n));
    this.heap.view(c, m * n).fill(0);
    this.engine.multiply(m, n, k, a, k, 1, b, rsb, csb, c, n, 1, false);
    out.set(this.heap.view(c, m * n));
    for (const block of blocks) this.heap.release(block);
  }
}
