/**
 * Neurons that feed all outputs, in float32 in WASM memory (assembly/together.ts): X stays there, and so do activations where there is
 * room. Where rows are patches, what they say of those of a sample is pooled first (assembly/filters.ts).
 */

import { ONE_PATCH } from "../../network.js";
import type { Matrix, Pooling } from "../../types.js";
import type { NeuronLayer } from "../types.js";
import { GROUP, type WasmEngine } from "./engine.js";
import { filled } from "./heap.js";
import { copyRows, FOUR } from "./neurons.js";

/** Activations that are kept from the way forward to the way back: 64 MB. Where there are more they are made twice. */
const KEPT = 2 ** 24;
/** Integers that a layer says of itself. */
const FIELDS = 17;

export class WasmTogether implements NeuronLayer {
  private readonly n: number; // samples
  private readonly d: number;
  private readonly samples: number; // n, filled up
  private readonly patches: number; // rows of a sample, filled up
  private readonly stride: number; // d, filled up
  private readonly wide: number; // C, filled up
  private readonly groups: number;
  private readonly scale: number;
  private readonly blocks: Readonly<
    Record<"layer" | "x" | "w" | "a" | "across" | "kept" | "signs" | "z" | "n" | "g" | "inA" | "room", number>
  >;

  constructor(
    private readonly engine: WasmEngine,
    X: Matrix,
    private readonly m: number,
    private readonly C: number,
    private readonly slope: number,
    { patches, scale }: Pick<Pooling, "patches" | "scale"> = ONE_PATCH,
  ) {
    this.n = X.rows / patches;
    this.scale = scale;
    this.patches = patches === 1 ? 1 : filled(patches, FOUR);
    this.d = X.cols;
    this.samples = filled(this.n, FOUR);
    this.stride = filled(this.d, FOUR);
    this.wide = filled(C, FOUR);
    this.groups = Math.ceil(m / GROUP);
    const { d, samples, stride, groups, wide } = this;
    const rows = samples * this.patches;
    const { heap } = engine;
    const floats = (length: number) => heap.take(Math.ceil(length / 2));
    const activations = groups * samples * GROUP;
    const keeps = patches > 1 || activations <= KEPT;
    const blocks = {
      layer: floats(FIELDS),
      x: floats(rows * stride),
      w: floats(groups * d * GROUP),
      a: floats(groups * GROUP * wide),
      across: floats(groups * GROUP * wide),
      kept: keeps ? floats(activations) : 0,
      signs: heap.take(Math.ceil((groups * rows) / 8)),
      z: floats(samples * wide),
      n: floats(samples * wide),
      g: heap.take(groups * stride * GROUP),
      inA: heap.take(groups * wide * GROUP),
      room: heap.take(engine.roomForNeurons(rows, stride)),
    };
    this.blocks = blocks;
    heap
      .integers(blocks.layer, FIELDS)
      .set([
        ...[blocks.x, rows, d, stride, groups, wide, blocks.w, blocks.a, blocks.across, blocks.kept],
        ...[blocks.signs, blocks.z, blocks.n, blocks.g, blocks.inA, blocks.room, this.patches],
      ]);
    heap.floats(blocks.w, groups * d * GROUP).fill(0);
    heap.floats(blocks.a, groups * GROUP * wide).fill(0);
    heap.floats(blocks.across, groups * GROUP * wide).fill(0);
    heap.floats(blocks.n, samples * wide).fill(0);
    copyRows(heap, X, blocks.x, rows, stride, [patches, this.patches]);
  }

  forward(W: Float64Array, A: Float64Array, Z: Float64Array): void {
    const { engine, blocks, n, C, samples, wide, scale } = this;
    this.write(W, A);
    this.run(false);
    addRows(engine.heap.floats(blocks.z, samples * wide), wide, scale, Z, n, C);
  }

  /** After `forward` with the same weights. */
  backward(_W: Float64Array, _A: Float64Array, N: Float64Array, inW: Float64Array, inA: Float64Array): void {
    const { engine, blocks, n, d, m, C, samples, wide, stride, groups, scale } = this;
    copyPulls(N, n, C, scale, engine.heap.floats(blocks.n, samples * wide), wide);
    this.run(true);
    addTurned(engine.heap.view(blocks.g, groups * stride * GROUP), m, d, stride, inW, d, 1);
    addTurned(engine.heap.view(blocks.inA, groups * wide * GROUP), m, C, wide, inA, 1, m);
  }

  dispose(): void {
    for (const block of Object.values(this.blocks)) this.engine.heap.release(block);
  }

  private run(backward: boolean): void {
    const { engine, blocks, samples, patches, groups, d, wide, slope } = this;
    engine.neurons(blocks.layer, samples, groups, patches * d + wide, true, backward, slope);
  }

  private write(W: Float64Array, A: Float64Array): void {
    const { blocks, m, d, C, groups, wide } = this;
    const { heap } = this.engine;
    writeTurned(W, m, d, d, 1, heap.floats(blocks.w, groups * d * GROUP), d);
    writeTurned(A, m, C, 1, m, heap.floats(blocks.across, groups * GROUP * wide), wide);
    const a = heap.floats(blocks.a, groups * GROUP * wide);
    for (let c = 0, k = 0; c < C; c++) for (let j = 0, at = c; j < m; j++, k++, at += wide) a[at] = A[k];
  }
}

// Functions of their own, since V8 does not keep its code for long ones with loops.

/** Z [n x C] += scale z [n x wide]. */
function addRows(z: Float32Array, wide: number, scale: number, Z: Float64Array, n: number, C: number): void {
  for (let s = 0, k = 0, at = 0; s < n; s++, at += wide) for (let c = 0; c < C; c++, k++) Z[k] += scale * z[at + c];
}

/** to := scale N [n x C] in panels [wide x FOUR]. */
function copyPulls(N: Float64Array, n: number, C: number, scale: number, to: Float32Array, wide: number): void {
  for (let s = 0, k = 0; s < n; s++) {
    const lane = s % FOUR;
    for (let c = 0, at = (s - lane) * wide + lane; c < C; c++, k++, at += FOUR) to[at] = scale * N[k];
  }
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
