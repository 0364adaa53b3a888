/** Neurons that feed all outputs, in float32 in WASM memory (assembly/together.ts): X stays there, and so do activations where there is room. */

import type { Matrix } from "../../types.js";
import type { NeuronLayer } from "../types.js";
import { GROUP, type WasmEngine } from "./engine.js";
import { filled } from "./heap.js";
import { copyRows, FOUR, PAIR } from "./neurons.js";

/** Activations that are kept from the way forward to the way back: 64 MB. Where there are more they are made twice. */
const KEPT = 2 ** 24;

export class WasmTogether implements NeuronLayer {
  private readonly n: number;
  private readonly d: number;
  private readonly rows: number; // n, filled up
  private readonly stride: number; // d, filled up
  private readonly columns: number; // d, filled up to a pair
  private readonly wide: number; // C, filled up
  private readonly groups: number;
  private readonly blocks: Readonly<
    Record<"layer" | "x" | "w" | "a" | "across" | "kept" | "signs" | "z" | "n" | "g" | "inA" | "room", number>
  >;

  constructor(
    private readonly engine: WasmEngine,
    X: Matrix,
    private readonly m: number,
    private readonly C: number,
    private readonly slope: number,
  ) {
    this.n = X.rows;
    this.d = X.cols;
    this.rows = filled(this.n, FOUR);
    this.stride = filled(this.d, FOUR);
    this.columns = filled(this.d, PAIR);
    this.wide = filled(C, FOUR);
    this.groups = Math.ceil(m / GROUP);
    const { rows, stride, columns, groups, wide } = this;
    const { heap } = engine;
    const floats = (length: number) => heap.take(Math.ceil(length / 2));
    const activations = groups * rows * GROUP;
    const blocks = {
      layer: floats(16),
      x: floats(rows * stride),
      w: floats(groups * columns * GROUP),
      a: floats(groups * GROUP * wide),
      across: floats(groups * GROUP * wide),
      kept: activations <= KEPT ? floats(activations) : 0,
      signs: heap.take(Math.ceil((groups * rows) / 8)),
      z: floats(rows * wide),
      n: floats(rows * wide),
      g: heap.take(groups * stride * GROUP),
      inA: heap.take(groups * wide * GROUP),
      room: heap.take(engine.roomForNeurons(rows, stride)),
    };
    this.blocks = blocks;
    heap
      .integers(blocks.layer, 16)
      .set([
        ...[blocks.x, rows, columns, stride, groups, wide, blocks.w, blocks.a, blocks.across, blocks.kept],
        ...[blocks.signs, blocks.z, blocks.n, blocks.g, blocks.inA, blocks.room],
      ]);
    heap.floats(blocks.w, groups * columns * GROUP).fill(0);
    heap.floats(blocks.a, groups * GROUP * wide).fill(0);
    heap.floats(blocks.across, groups * GROUP * wide).fill(0);
    heap.floats(blocks.n, rows * wide).fill(0);
    copyRows(heap, X, blocks.x, rows, stride);
  }

  forward(W: Float64Array, A: Float64Array, Z: Float64Array): void {
    const { engine, blocks, n, C, rows, wide } = this;
    this.write(W, A);
    this.run(false);
    addRows(engine.heap.floats(blocks.z, rows * wide), wide, Z, n, C);
  }

  /** After `forward` with the same weights. */
  backward(_W: Float64Array, _A: Float64Array, N: Float64Array, inW: Float64Array, inA: Float64Array): void {
    const { engine, blocks, n, d, m, C, rows, wide, stride, groups } = this;
    copyPulls(N, n, C, engine.heap.floats(blocks.n, rows * wide), wide);
    this.run(true);
    addTurned(engine.heap.view(blocks.g, groups * stride * GROUP), m, d, stride, inW, d, 1);
    addTurned(engine.heap.view(blocks.inA, groups * wide * GROUP), m, C, wide, inA, 1, m);
  }

  dispose(): void {
    for (const block of Object.values(this.blocks)) this.engine.heap.release(block);
  }

  private run(backward: boolean): void {
    const { engine, blocks, rows, groups, columns, wide, slope } = this;
    engine.neurons(blocks.layer, rows, groups, columns + wide, true, backward, slope);
  }

  private write(W: Float64Array, A: Float64Array): void {
    const { blocks, m, d, C, columns, groups, wide } = this;
    const { heap } = this.engine;
    writeTurned(W, m, d, d, 1, heap.floats(blocks.w, groups * columns * GROUP), columns);
    writeTurned(A, m, C, 1, m, heap.floats(blocks.across, groups * GROUP * wide), wide);
    const a = heap.floats(blocks.a, groups * GROUP * wide);
    for (let c = 0, k = 0; c < C; c++) for (let j = 0, at = c; j < m; j++, k++, at += wide) a[at] = A[k];
  }
}

// Functions of their own, since V8 does not keep its code for long ones with loops.

/** Z [n x C] += z [n x wide]. */
function addRows(z: Float32Array, wide: number, Z: Float64Array, n: number, C: number): void {
  for (let s = 0, k = 0, at = 0; s < n; s++, at += wide) for (let c = 0; c < C; c++, k++) Z[k] += z[at + c];
}

function copyPulls(N: Float64Array, n: number, C: number, to: Float32Array, wide: number): void {
  for (let s = 0, k = 0, at = 0; s < n; s++, at += wide) for (let c = 0; c < C; c++, k++) to[at + c] = N[k];
}

/** to [groups x long x GROUP] := `size` numbers of each of m neurons, which lie `apart` from neuron to neuron and `step` from one to the next. */
function writeTurned(
  from: Float64Array,
  m: number,
  size: number,
  apart: number,
  step: number,
  to: Float32Array,
  long: number,
): void {
  for (let j = 0; j < m; j++) {
    const lane = j % GROUP;
    for (let p = 0, k = j * apart, at = (j - lane) * long + lane; p < size; p++, k += step, at += GROUP)
      to[at] = from[k];
  }
}

/** The way back: adds to where they lie. */
function addTurned(
  from: Float64Array,
  m: number,
  size: number,
  long: number,
  to: Float64Array,
  apart: number,
  step: number,
): void {
  for (let j = 0; j < m; j++) {
    const lane = j % GROUP;
    for (let p = 0, k = j * apart, at = (j - lane) * long + lane; p < size; p++, k += step, at += GROUP)
      to[k] += from[at];
  }
}
