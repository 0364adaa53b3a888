/** Matrices in WASM memory, for products with them again and again: copying one there takes as long as multiplying a few rows. */

import type { Matrix } from "../../types.js";
import type { GrowingRows, HeldMatrix } from "../types.js";
import type { WasmEngine } from "./engine.js";

export class WasmHeld implements HeldMatrix {
  private readonly x: number; // address of X [n x d]
  private readonly n: number;
  private readonly d: number;

  constructor(
    private readonly engine: WasmEngine,
    { rows, cols, data }: Matrix,
  ) {
    [this.n, this.d] = [rows, cols];
    this.x = engine.heap.take(rows * cols);
    engine.heap.view(this.x, rows * cols).set(data.subarray(0, rows * cols));
  }

  times(A: Float64Array, out: Float64Array, m: number): void {
    this.product(A, out, m, this.n, this.d, this.d, 1);
  }

  timesTransposed(A: Float64Array, out: Float64Array, m: number): void {
    this.product(A, out, m, this.d, this.n, 1, this.d);
  }

  dispose(): void {
    this.engine.heap.release(this.x);
  }

  private product(A: Float64Array, out: Float64Array, m: number, k: number, n: number, rsb: number, csb: number): void {
    const { heap } = this.engine;
    const blocks = heap.takeAll(m * k, m * n);
    const [a, c] = blocks;
    heap.view(a, m * k).set(A.subarray(0, m * k));
    heap.view(c, m * n).fill(0);
    this.engine.multiply(m, n, k, a, k, 1, this.x, rsb, csb, c, n, 1, false);
    out.set(heap.view(c, m * n));
    for (const block of blocks) heap.release(block);
  }
}

/** Rows of which there are more and more. */
export class WasmGrowing implements GrowingRows {
  private readonly f: number; // F [most x n]
  private count = 0; // rows so far

  constructor(
    private readonly engine: WasmEngine,
    private readonly n: number,
    most: number,
  ) {
    this.f = engine.heap.take(most * n);
  }

  add(rows: Float64Array): void {
    this.engine.heap.view(this.f + 8 * this.count * this.n, rows.length).set(rows);
    this.count += rows.length / this.n;
  }

  subtract(A: Float64Array, G: Float64Array, m: number, rough: boolean): void {
    const { engine, n, count, f } = this;
    if (count === 0) return;
    const blocks = engine.heap.takeAll(m * count, m * n);
    const [a, g] = blocks;
    engine.heap.view(a, m * count).set(A);
    const left = engine.heap.view(g, m * n);
    left.set(G.subarray(0, m * n));
    engine.multiply(m, n, count, a, count, 1, f, n, 1, g, n, -1, false, rough);
    G.set(left);
    for (const block of blocks) engine.heap.release(block);
  }

  dispose(): void {
    this.engine.heap.release(this.f);
  }
}
