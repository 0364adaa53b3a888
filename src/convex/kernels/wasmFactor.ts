/** Cholesky factors in WASM memory: blocked, so that all but the diagonal blocks is matrix products. */

import { referenceKernels } from "./cpu.js";
import type { CholeskyFactor } from "./types.js";
import type { Product } from "./wasmEngine.js";
import type { WasmHeap } from "./wasmHeap.js";

/** Columns that the blocked factorisation eliminates together. */
const FACTOR_BLOCK = 64;

/**
 * Cholesky in place at address h, left-looking by blocks of columns; a panel is divided by its diagonal block by a product with
 * that block's inverse. What is above the diagonal becomes zero. The inverses go to `blocks` [ceil(n / 64) x 64 x 64].
 */
function factorBlocks(heap: WasmHeap, gemm: Product, h: number, n: number, blocks: number): boolean {
  const panel = heap.take(n * FACTOR_BLOCK);
  const L = heap.view(h, n * n);
  const small = new Float64Array(FACTOR_BLOCK * FACTOR_BLOCK);
  const inverted = new Float64Array(FACTOR_BLOCK * FACTOR_BLOCK);
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
    const inverse = blockAt(blocks, j);
    invertLower(small, inverted, nb);
    heap.view(inverse, nb * nb).set(inverted.subarray(0, nb * nb));
    const below = n - j - nb;
    if (below === 0) continue;
    const P = heap.view(panel, below * nb);
    for (let r = 0; r < below; r++) {
      const at = (j + nb + r) * n + j;
      P.set(L.subarray(at, at + nb), r * nb);
      L.fill(0, at, at + nb);
    }
    gemm(below, nb, nb, panel, nb, 1, inverse, 1, nb, h + 8 * ((j + nb) * n + j), n, 1, false);
  }
  heap.release(panel);
  return definite;
}

/** Cholesky in place at address h; what is above the diagonal becomes zero. */
export function factorInPlace(heap: WasmHeap, gemm: Product, h: number, n: number): boolean {
  const blocks = heap.take(roomForBlocks(n));
  const definite = factorBlocks(heap, gemm, h, n, blocks);
  heap.release(blocks);
  return definite;
}

function roomForBlocks(n: number): number {
  return Math.ceil(n / FACTOR_BLOCK) * FACTOR_BLOCK * FACTOR_BLOCK;
}

function blockAt(blocks: number, j: number): number {
  return blocks + 8 * j * FACTOR_BLOCK;
}

/** A factor in WASM memory, with the inverses of its diagonal blocks, so that solves are products too. */
export class WasmFactor implements CholeskyFactor {
  private constructor(
    private readonly heap: WasmHeap,
    private readonly gemm: Product,
    private readonly h: number,
    private readonly n: number,
    private readonly blocks: number, // [ceil(n / 64) x 64 x 64]: inverses of the diagonal blocks
  ) {}

  /** Factors H at address h in place and takes it over; null, with h released, when it is not positive definite. */
  static of(heap: WasmHeap, gemm: Product, h: number, n: number): WasmFactor | null {
    const blocks = heap.take(roomForBlocks(n));
    if (factorBlocks(heap, gemm, h, n, blocks)) return new WasmFactor(heap, gemm, h, n, blocks);
    heap.release(blocks);
    heap.release(h);
    return null;
  }

  solve(B: Float64Array, k: number): void {
    this.withCopy(B, k, (b, x) => {
      const { gemm, h, n } = this;
      for (let j = 0; j < n; j += FACTOR_BLOCK) {
        const nb = Math.min(FACTOR_BLOCK, n - j);
        const row = 8 * j * k;
        if (j > 0) gemm(nb, k, j, h + 8 * j * n, n, 1, x, k, 1, b + row, k, -1, false);
        gemm(nb, k, nb, blockAt(this.blocks, j), nb, 1, b + row, k, 1, x + row, k, 1, false);
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
        gemm(nb, k, nb, blockAt(this.blocks, j), 1, nb, b + row, k, 1, x + row, k, 1, false);
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
