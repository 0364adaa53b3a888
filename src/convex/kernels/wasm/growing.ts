/** Rows that grow in WASM memory, where each new block is freed of what those before it span. */

import type { GrowingRows } from "../types.js";
import type { WasmEngine } from "./engine.js";

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
