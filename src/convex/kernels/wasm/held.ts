/** A matrix in WASM memory, for products with it again and again: copying it there takes as long as multiplying a few rows. */

import type { Matrix } from "../../types.js";
import type { HeldMatrix } from "../types.js";
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
