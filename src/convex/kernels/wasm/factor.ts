/** Cholesky factors in WASM memory: blocked, so that all but the diagonal blocks is matrix products. */

import { atOnce, type Pieces, unlessOver } from "../../linear/pieces.js";
import { transpose } from "../../linear/vectors.js";
import { referenceKernels } from "../cpu.js";
import type { CholeskyFactor } from "../types.js";
import type { Product, WasmEngine } from "./engine.js";
import type { WasmHeap } from "./heap.js";

/** Columns whose block on the diagonal is factored at once. */
const FACTOR_BLOCK = 64;
/** Columns from which those before them are subtracted together: what these pack of L then serves so many; a multiple of it. */
const FACTOR_WIDTH = 256;
/** Rows whose products with what comes before them are shared out together; a multiple of FACTOR_BLOCK. */
const SOLVE_BLOCK = 256;
/** Multiplications between two turns of the host, some 20 milliseconds, and rows that a product has at least. */
const TURN = 2e8;
const LEAST_ROWS = 512;

/**
 * Cholesky in place at address h, left-looking by blocks of columns; a panel is divided by its diagonal block by a product with
 * that block's inverse. What is above the diagonal is zero before and after. The inverses go to `blocks` [ceil(n / 64) x 64 x 64].
 * `rough`: what columns take off later ones is multiplied in float32, and summed in float64 every 256 columns. False where it is
 * not positive definite, or is told to come to an end.
 */
function* factorBlocks(engine: WasmEngine, h: number, n: number, blocks: number, rough: boolean): Pieces<boolean> {
  const { heap, multiply: gemm } = engine;
  const panel = heap.take(n * FACTOR_BLOCK);
  const at = (row: number, column: number) => h + 8 * (row * n + column);
  try {
    for (let first = 0; first < n; first += FACTOR_WIDTH) {
      const end = Math.min(n, first + FACTOR_WIDTH);
      const width = end - first;
      const rows = Math.max(LEAST_ROWS, Math.ceil(TURN / (width * first)));
      for (let row = first; first > 0 && row < n; row += rows) {
        const count = Math.min(rows, n - row);
        gemm(count, width, first, at(row, 0), n, 1, at(first, 0), 1, n, at(row, first), n, -1, false, rough);
        if (yield) return false;
      }
      for (let j = first; j < end; j += FACTOR_BLOCK) {
        const nb = Math.min(FACTOR_BLOCK, n - j);
        const done = j - first;
        if (done > 0) gemm(n - j, nb, done, at(j, first), n, 1, at(j, first), 1, n, at(j, j), n, -1, false, rough);
        const small = new Float64Array(nb * nb);
        const L = heap.view(h, n * n);
        for (let r = 0; r < nb; r++) {
          const row = (j + r) * n + j;
          for (let s = 0; s <= r; s++) small[r * nb + s] = L[row + s];
          L.fill(0, row, (j + r) * n + end);
        }
        if (!referenceKernels.factor(small, nb)) return false;
        for (let r = 0; r < nb; r++) L.set(small.subarray(r * nb, (r + 1) * nb), (j + r) * n + j);
        const inverse = blockAt(blocks, j);
        heap.view(inverse, nb * nb).set(inverseOf(small, nb));
        const below = n - j - nb;
        if (below === 0) continue;
        engine.calls.lift(at(j + nb, j), n, below, nb, panel);
        gemm(below, nb, nb, panel, nb, 1, inverse, 1, nb, at(j + nb, j), n, 1, false);
      }
      if (yield) return false;
    }
    return true;
  } finally {
    heap.release(panel);
  }
}

function blockAt(blocks: number, j: number): number {
  return blocks + 8 * j * FACTOR_BLOCK;
}

/** A factor in WASM memory, with the inverses of its diagonal blocks, so that solves are products too. */
export class WasmFactor implements CholeskyFactor {
  private constructor(
    private readonly heap: WasmHeap,
    private readonly gemm: Product,
    readonly h: number, // address of L [n x n]
    private readonly n: number,
    private readonly blocks: number, // [ceil(n / 64) x 64 x 64]: inverses of the diagonal blocks
  ) {}

  /** Factors a copy of H [n x n], lower; null when it is not positive definite. */
  static of(engine: WasmEngine, H: Float64Array, n: number): WasmFactor | null {
    return atOnce(
      WasmFactor.filling(engine, n, false, function* (h) {
        copyLower(H, engine.heap.view(h, n * n), n);
        yield;
      }),
    );
  }

  /**
   * Factors what `fill` writes, at h [n x n], below the diagonal; `rough`: multiplied in float32. Null when that is not positive
   * definite, or when it is told to come to an end.
   */
  static *filling(
    engine: WasmEngine,
    n: number,
    rough: boolean,
    fill: (h: number) => Pieces<void>,
  ): Pieces<WasmFactor | null> {
    const { heap, multiply } = engine;
    const size = Math.ceil(n / FACTOR_BLOCK) * FACTOR_BLOCK * FACTOR_BLOCK;
    const [h, blocks] = heap.takeAll(n * n, size);
    const factor = new WasmFactor(heap, multiply, h, n, blocks);
    let whole = false;
    try {
      heap.view(h, n * n).fill(0);
      const filled = yield* unlessOver(fill(h));
      whole = filled !== null && (yield* factorBlocks(engine, h, n, blocks, rough));
      return whole ? factor : null;
    } finally {
      if (!whole) factor.dispose();
    }
  }

  /** Back begins with the last rows, which are in the caches yet. */
  solve(B: Float64Array, k: number): void {
    const { h, n, blocks } = this;
    const count = Math.ceil(n / FACTOR_BLOCK);
    this.twice(B, k, [false, true], (back, product) => {
      for (let q = 0; q < count; q++) {
        const j = FACTOR_BLOCK * (back ? count - 1 - q : q);
        const nb = Math.min(FACTOR_BLOCK, n - j);
        // On the left of the block: all columns for the rows of several blocks at once, or those between for its own.
        const inside = j % SOLVE_BLOCK;
        const column = inside && j - inside;
        const rows = inside ? nb : Math.min(SOLVE_BLOCK, n - j);
        const subtract = () => j > 0 && product(h + 8 * (j * n + column), n, j, rows, column, j - column, -1);
        if (!back) subtract();
        product(blockAt(blocks, j), nb, j, nb, j, nb, 1);
        if (back) subtract();
      }
    });
  }

  multiply(B: Float64Array, k: number): void {
    const { h, n } = this;
    this.twice(B, k, [true, false], (_, product) => product(h, n, 0, n, 0, n, 1));
  }

  dispose(): void {
    this.heap.release(this.blocks);
    this.heap.release(this.h);
  }

  /**
   * Two passes of `run`, which makes x of b, by L or (`back`) by L'; the first one's x is the second one's b, and the last becomes B.
   * Columns of B are rows there [k x n], so that products of few read L from where it lies.
   */
  private twice(
    B: Float64Array,
    k: number,
    passes: boolean[],
    run: (back: boolean, product: PartProduct) => void,
  ): void {
    const { heap, gemm, n } = this;
    const size = n * k;
    const [b, x] = heap.takeAll(size, size);
    transpose(B, n, k, heap.view(b, size));
    for (const back of passes) {
      heap.view(x, size).fill(0);
      run(back, (at, stride, row, rows, column, columns, alpha) => {
        const [from, to] = alpha > 0 ? [b, x] : [x, b];
        if (back) gemm(k, columns, rows, from + 8 * row, n, 1, at, stride, 1, to + 8 * column, n, alpha, false);
        else gemm(k, rows, columns, from + 8 * column, n, 1, at, 1, stride, to + 8 * row, n, alpha, false);
      });
      heap.view(b, size).set(heap.view(x, size));
    }
    transpose(heap.view(b, size), k, n, B);
    heap.release(x);
    heap.release(b);
  }
}

/** Adds to x the product of b with a part of L, or of L' on the way back; or subtracts that of x from b (alpha -1). */
type PartProduct = (
  ...args: [
    ...[at: number, stride: number],
    ...[row: number, rows: number, column: number, columns: number],
    alpha: number,
  ]
) => void;

/** The inverse of a lower triangular matrix [n x n]; zeros above the diagonal. */
function inverseOf(L: Float64Array, n: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let c = 0; c < n; c++) {
    out[c * n + c] = 1 / L[c * n + c];
    for (let r = c + 1; r < n; r++) {
      let sum = 0;
      for (let s = c; s < r; s++) sum += L[r * n + s] * out[s * n + c];
      out[r * n + c] = -sum / L[r * n + r];
    }
  }
  return out;
}

/** Copies the lower triangle of a matrix [n x n]. */
export function copyLower(from: Float64Array, to: Float64Array, n: number): void {
  for (let i = 0; i < n; i++) to.set(from.subarray(i * n, i * n + i + 1), i * n);
}
