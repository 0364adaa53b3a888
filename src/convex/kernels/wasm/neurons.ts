/** Neurons that feed one output each, in float32 in WASM memory (assembly/neurons.ts): X stays there, and of products the signs. */

import { eachBlock } from "../../linear/rowBlock.js";
import type { Matrix } from "../../types.js";
import type { NeuronLayer } from "../types.js";
import { GROUP, type WasmEngine } from "./engine.js";
import { filled, type WasmHeap } from "./heap.js";

/** Rows, and columns of X, come in fours, the last filled up with zeros. */
export const FOUR = 4;
/** Rows that are copied together. */
const COPIED = 4096;

/** Copies X to panels [stride x 4] of four rows in float32, so many rows to the first of the next `room`; what fills up is zero. */
export function copyRows(
  heap: WasmHeap,
  X: Matrix,
  block: number,
  rows: number,
  stride: number,
  [patches, room] = [1, 1],
): void {
  heap.floats(block, rows * stride).fill(0);
  eachBlock(X, COPIED, (some, from) => {
    const x = heap.floats(block, rows * stride); // rows that are made may have taken memory, which detaches it
    for (let k = 0, row = from; k < some.length; row++) {
      const place = Math.floor(row / patches) * room + (row % patches);
      const lane = place % FOUR;
      for (let at = (place - lane) * stride + lane, end = k + X.cols; k < end; k++, at += FOUR) x[at] = some[k];
    }
  });
}

export class WasmNeurons implements NeuronLayer {
  private readonly n: number;
  private readonly d: number;
  private readonly rows: number; // n, filled up
  private readonly stride: number; // d, filled up
  private readonly groups: number;
  private readonly places: Int32Array; // [m]: of each neuron among those of the groups
  private readonly blocks: Readonly<
    Record<"layer" | "x" | "outputs" | "w" | "a" | "signs" | "z" | "n" | "g" | "room", number>
  >;

  constructor(
    private readonly engine: WasmEngine,
    X: Matrix,
    outputs: Int32Array,
    private readonly C: number,
    private readonly slope: number,
  ) {
    this.n = X.rows;
    this.d = X.cols;
    this.rows = filled(this.n, FOUR);
    this.stride = filled(this.d, FOUR);
    const { d, rows, stride } = this;
    const { places, ofGroups } = grouped(outputs, C);
    this.places = places;
    this.groups = ofGroups.length;
    const { groups } = this;
    const { heap } = engine;
    const floats = (length: number) => heap.take(Math.ceil(length / 2));
    const blocks = {
      layer: floats(16),
      x: floats(rows * stride),
      outputs: floats(groups),
      w: floats(groups * d * GROUP),
      a: floats(groups * GROUP),
      signs: heap.take(Math.ceil((groups * rows) / 8)),
      z: heap.take(C * rows),
      n: floats(C * rows),
      g: heap.take(groups * stride * GROUP),
      room: heap.take(engine.roomForNeurons(rows, stride)),
    };
    this.blocks = blocks;
    heap
      .integers(blocks.layer, 13)
      .set([
        ...[blocks.x, rows, d, stride, groups, blocks.outputs, blocks.w, blocks.a],
        ...[blocks.signs, blocks.z, blocks.n, blocks.g, blocks.room],
      ]);
    heap.integers(blocks.outputs, groups).set(ofGroups);
    heap.floats(blocks.w, groups * d * GROUP).fill(0);
    heap.floats(blocks.a, groups * GROUP).fill(0);
    heap.view(blocks.z, C * rows).fill(0); // an output may have no neurons
    heap.floats(blocks.n, C * rows).fill(0);
    copyRows(heap, X, blocks.x, rows, stride);
  }

  forward(W: Float64Array, A: Float64Array, Z: Float64Array): void {
    const { engine, blocks, d, n, C, rows } = this;
    this.write(W, A);
    engine.neurons(blocks.layer, rows, this.groups, d, false, false, this.slope);
    const z = engine.heap.view(blocks.z, C * rows);
    for (let c = 0; c < C; c++) for (let s = 0, at = c * rows; s < n; s++, at++) Z[s * C + c] += z[at];
  }

  /** After `forward` with the same weights. */
  backward(W: Float64Array, A: Float64Array, N: Float64Array, inW: Float64Array, inA: Float64Array): void {
    const { engine, blocks, places, d, n, C, rows, stride } = this;
    const pulls = engine.heap.floats(blocks.n, C * rows);
    for (let c = 0; c < C; c++) for (let s = 0, at = c * rows; s < n; s++, at++) pulls[at] = N[s * C + c];
    engine.neurons(blocks.layer, rows, this.groups, d, false, true, this.slope);
    const G = engine.heap.view(blocks.g, this.groups * stride * GROUP);
    for (let j = 0, k = 0; j < places.length; j++) {
      const lane = places[j] % GROUP;
      const a = A[j];
      let sum = 0;
      for (let p = 0, at = (places[j] - lane) * stride + lane; p < d; p++, k++, at += GROUP) {
        inW[k] += a * G[at];
        sum += W[k] * G[at];
      }
      inA[j] += sum;
    }
  }

  dispose(): void {
    for (const block of Object.values(this.blocks)) this.engine.heap.release(block);
  }

  private write(W: Float64Array, A: Float64Array): void {
    const { blocks, places, d, groups } = this;
    const { heap } = this.engine;
    const w = heap.floats(blocks.w, groups * d * GROUP);
    const a = heap.floats(blocks.a, groups * GROUP);
    for (let j = 0, k = 0; j < places.length; j++) {
      const lane = places[j] % GROUP;
      a[places[j]] = A[j];
      for (let p = 0, at = (places[j] - lane) * d + lane; p < d; p++, k++, at += GROUP) w[at] = W[k];
    }
  }
}

/** Places of neurons, those of one output next to each other from a multiple of a group, and the output of each group. */
function grouped(outputs: Int32Array, C: number): { places: Int32Array; ofGroups: number[] } {
  const places = new Int32Array(outputs.length);
  const ofGroups: number[] = [];
  let next = 0;
  for (let c = 0; c < C; c++) {
    for (let j = 0; j < outputs.length; j++) if (outputs[j] === c) places[j] = next++;
    next = filled(next, GROUP);
    while (ofGroups.length * GROUP < next) ofGroups.push(c);
  }
  return { places, ofGroups };
}
