/** A layer of neurons in WASM memory: X stays there, and products never leave it. */

import { eachBlock } from "../../linear/rowBlock.js";
import type { Matrix } from "../../types.js";
import type { NeuronLayer } from "../types.js";
import type { WasmEngine } from "./engine.js";

/** Parts of the rows, each with gradients of its own: as many on one thread as on several, so that sums are the same. */
const PARTS = 8;
/** Rows of a part at least, and for each neuron. */
const ROWS = 512;
const OF_NEURON = 2;
/** Columns from which it is cheaper to keep the products of neurons and rows than to make them twice, and how many are kept: 64 MB. */
const WIDE = 24;
const KEPT = 2 ** 23;
/** Rows that are copied together. */
const COPIED = 4096;

export class WasmLayer implements NeuronLayer {
  private readonly n: number;
  private readonly d: number;
  private readonly part: number; // rows
  private readonly x: number;
  private readonly w: number; // W, then A, then Z
  private readonly places: number;
  private readonly gradients: number;
  private readonly kept: number; // products [n x m], or 0

  constructor(
    private readonly engine: WasmEngine,
    X: Matrix,
    private readonly m: number,
    private readonly C: number,
    private readonly slope: number,
  ) {
    const { heap } = engine;
    this.n = X.rows;
    this.d = X.cols;
    // Adding up the gradients of the parts should cost little beside making them.
    this.part = Math.max(ROWS, OF_NEURON * m, Math.ceil(this.n / PARTS));
    this.x = heap.take(this.n * this.d);
    this.w = heap.take(this.size + this.n * C);
    this.places = heap.take(engine.roomForLayer(m));
    this.gradients = heap.take(Math.ceil(this.n / this.part) * this.size);
    this.kept = this.d > WIDE && this.n * m <= KEPT ? heap.take(this.n * m) : 0;
    eachBlock(X, COPIED, (rows, from) => {
      heap.view(this.x, this.n * this.d).set(rows, from * this.d);
    });
  }

  forward(W: Float64Array, A: Float64Array, Z: Float64Array): void {
    this.run(W, A, Z, 0);
    Z.set(this.engine.heap.view(this.w + 8 * this.size, Z.length));
  }

  backward(W: Float64Array, A: Float64Array, N: Float64Array, inW: Float64Array, inA: Float64Array): void {
    const { engine, gradients, size, n, part } = this;
    this.run(W, A, N, gradients);
    for (let p = 0; p * part < n; p++) {
      const own = engine.heap.view(gradients + 8 * p * size, size);
      for (let k = 0; k < inW.length; k++) inW[k] += own[k];
      for (let k = 0, at = inW.length; k < inA.length; k++, at++) inA[k] += own[at];
    }
  }

  dispose(): void {
    for (const block of [this.x, this.w, this.places, this.gradients, this.kept]) this.engine.heap.release(block);
  }

  private run(W: Float64Array, A: Float64Array, Z: Float64Array, gradients: number): void {
    const { engine, n, d, m, C, w, size } = this;
    const [a, z] = [w + 8 * m * d, w + 8 * size];
    engine.heap.view(w, m * d).set(W);
    engine.heap.view(a, C * m).set(A);
    engine.heap.view(z, n * C).set(Z);
    engine.layer(this.x, n, d, w, m, a, C, z, this.places, gradients, this.part, this.kept, this.slope);
  }

  /** Numbers of the weights, and of their gradient. */
  private get size(): number {
    return this.m * (this.d + this.C);
  }
}
