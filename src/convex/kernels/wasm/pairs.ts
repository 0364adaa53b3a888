/** Pairs of a quasi-Newton metric in WASM memory (assembly/pairs.ts). */

import type { VectorPair, VectorPairs } from "../types.js";
import type { WasmEngine } from "./engine.js";
import { filled } from "./heap.js";

const FOUR = 4;

export class WasmPairs implements VectorPairs {
  private readonly filled: number; // size, a multiple of four; what fills up is zero
  private readonly moves: readonly number[];
  private readonly turns: readonly number[];
  private readonly scales: number;
  private readonly q: number;
  private readonly table: number;
  private readonly curvatures: number;

  constructor(
    private readonly engine: WasmEngine,
    private readonly size: number,
    readonly count: number,
  ) {
    const { heap } = engine;
    this.filled = filled(size, FOUR);
    const place = (length: number) => {
      const at = heap.take(length);
      heap.view(at, length).fill(0);
      return at;
    };
    this.moves = Array.from({ length: count }, () => place(this.filled / 2));
    this.turns = Array.from({ length: count }, () => place(this.filled / 2));
    this.scales = place(this.filled);
    this.q = place(this.filled);
    this.table = place(count);
    this.curvatures = place(2 * count);
  }

  at(k: number): VectorPair {
    const { heap } = this.engine;
    return { move: heap.floats(this.moves[k], this.size), turn: heap.floats(this.turns[k], this.size) };
  }

  products(k: number): { readonly curvature: number; readonly square: number } {
    const { calls } = this.engine;
    const [move, turn] = [this.moves[k], this.turns[k]];
    return {
      curvature: calls.pairProduct(move, turn, this.filled),
      square: calls.pairProduct(turn, turn, this.filled),
    };
  }

  apply(order: readonly number[], curvatures: readonly number[], scales: Float64Array, q: Float64Array): void {
    const { engine, size } = this;
    const { heap, calls } = engine;
    const count = order.length;
    heap.view(this.q, size).set(q);
    heap.view(this.scales, size).set(scales);
    heap.view(this.curvatures, count).set(curvatures);
    heap.integers(this.table, 2 * count).set([...order.map((k) => this.moves[k]), ...order.map((k) => this.turns[k])]);
    calls.twoLoops(this.table, count, this.curvatures, this.scales, this.q, this.filled);
    q.set(heap.view(this.q, size));
  }

  dispose(): void {
    const blocks = [...this.moves, ...this.turns, this.scales, this.q, this.table, this.curvatures];
    for (const block of blocks) this.engine.heap.release(block);
  }
}
