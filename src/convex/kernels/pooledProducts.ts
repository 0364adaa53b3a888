/**
 * Products with gates over patches: A_i = S D_i X, S the pooling of the K patches of each sample, for any engine.
 *
 * Where all patches are pooled together A_i is [n x d] however many patches there are, so the matrices of gates are made once
 * and kept as far as memory goes: every later product costs n d and not n K d. Patches themselves are read in blocks.
 */

import { isActive, wordsPerGate } from "../arrangements/bits.js";
import { rowBlock } from "../rowBlock.js";
import type { GateSet, Matrix, Pooling } from "../types.js";
import type { GatedProducts, Kernels } from "./types.js";

/** Pooled matrices that are kept. */
const KEPT_BYTES = 2 ** 29;
/** Gates whose pooled matrices are made together: their masks make one product with the patches of an image. */
const BATCH = 64;
const BATCH_BYTES = 2 ** 26;

interface Kept {
  readonly A: Float64Array; // [n x d]
  often: boolean;
}

export class PooledProducts implements GatedProducts {
  private readonly n: number;
  private readonly d: number;
  private readonly words: number;
  private readonly kept = new Map<number, Kept>(); // by gate; one position only
  private readonly room: number; // matrices that may be kept
  private square: Float64Array | null = null;

  constructor(
    private readonly kernels: Pick<Kernels, "multiply" | "multiplyTransposed" | "addOuter">,
    private readonly X: Matrix,
    private readonly gates: GateSet,
    private readonly pooling: Pooling,
  ) {
    this.n = X.rows / pooling.patches;
    this.d = X.cols;
    this.words = wordsPerGate(gates.rows);
    this.room = pooling.positions > 1 ? 0 : Math.floor(KEPT_BYTES / (8 * this.n * this.d));
  }

  forward(
    gate: Int32Array,
    output: Int32Array,
    sign: Float64Array,
    vectors: Float64Array,
    outputs: number,
    out: Float64Array,
  ): void {
    const { n, d } = this;
    out.fill(0, 0, n * outputs);
    if (this.pooling.positions > 1) {
      this.forwardApart(gate, output, sign, vectors, outputs, out);
      return;
    }
    const columns = new Map<number, number[]>();
    gate.forEach((i, k) => {
      const mine = columns.get(i);
      if (mine === undefined) columns.set(i, [k]);
      else mine.push(k);
    });
    this.eachMatrix(Int32Array.from(columns.keys()), true, (A, i) => {
      for (const k of columns.get(i) ?? []) {
        const c = output[k];
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let p = 0; p < d; p++) sum += A[j * d + p] * vectors[k * d + p];
          out[j * outputs + c] += sign[k] * sum;
        }
      }
    });
  }

  adjoint(R: Float64Array, outputs: number, list: Int32Array | null, out: Float64Array): void {
    const gates = list ?? Int32Array.from({ length: this.gates.count }, (_, i) => i);
    this.adjointOf(R, outputs, gates, list !== null, out);
  }

  private adjointOf(R: Float64Array, outputs: number, gates: Int32Array, often: boolean, out: Float64Array): void {
    const { n, d } = this;
    const size = this.pooling.positions * outputs * d;
    out.fill(0, 0, gates.length * size);
    if (this.pooling.positions > 1) {
      this.adjointApart(R, outputs, gates, out);
      return;
    }
    this.eachMatrix(gates, often, (A, _, k) => {
      for (let j = 0; j < n; j++) {
        for (let c = 0; c < outputs; c++) {
          const r = R[j * outputs + c];
          if (r === 0) continue;
          const to = k * size + c * d;
          for (let p = 0; p < d; p++) out[to + p] += r * A[j * d + p];
        }
      }
    });
  }

  adjointNorms(R: Float64Array, outputs: number, out: Float64Array): void {
    const { d } = this;
    const count = this.pooling.positions * outputs;
    const batch = Math.max(1, Math.min(BATCH, Math.floor(2 ** 22 / (count * d))));
    const G = new Float64Array(batch * count * d);
    for (let from = 0; from < this.gates.count; from += batch) {
      const list = Int32Array.from({ length: Math.min(batch, this.gates.count - from) }, (_, k) => from + k);
      this.adjointOf(R, outputs, list, false, G);
      for (let k = 0; k < list.length * count; k++) {
        let square = 0;
        for (let p = k * d; p < (k + 1) * d; p++) square += G[p] * G[p];
        out[from * count + k] = Math.sqrt(square);
      }
    }
  }

  rows(gate: number, U: Float64Array, k: number, out: Float64Array, position = 0): void {
    const { n, d, kernels } = this;
    if (this.pooling.positions > 1) {
      kernels.multiplyTransposed(U, this.rowsOfPosition(gate, position), out, k, d, n);
      return;
    }
    this.eachMatrix(Int32Array.of(gate), true, (A) => kernels.multiplyTransposed(U, A, out, k, d, n));
  }

  addMaskedGram(H: Float64Array, gate: Int32Array, weight: Float64Array): void {
    const { n, d, kernels } = this;
    const { positions } = this.pooling;
    const Y = new Float64Array(d * n); // sqrt(weight) A_i'
    const add = (A: Float64Array, w: number) => {
      for (let j = 0; j < n; j++) for (let p = 0; p < d; p++) Y[p * n + j] = Math.sqrt(w) * A[j * d + p];
      kernels.addOuter(H, Y, n, d, 1);
    };
    if (positions === 1) this.eachMatrix(gate, true, (A, _, k) => add(A, weight[k]));
    else
      gate.forEach((i, k) => {
        for (let a = 0; a < positions; a++) add(this.rowsOfPosition(i, a), weight[k]);
      });
  }

  /** X X' of the patches: only where there are few of them. */
  gram(): Float64Array {
    const { rows, cols, data } = this.X;
    if (this.square === null) {
      this.square = new Float64Array(rows * rows);
      this.kernels.multiplyTransposed(data, data, this.square, rows, cols, rows);
    }
    return this.square;
  }

  dispose(): void {
    this.kept.clear();
    this.square = null;
  }

  /** Hands A_i [n x d] of each gate of the list to `use`, in the order of the list; `often`: these gates will be asked for again. */
  private eachMatrix(list: Int32Array, often: boolean, use: (A: Float64Array, gate: number, k: number) => void): void {
    const batch = Math.max(1, Math.min(BATCH, Math.floor(BATCH_BYTES / (8 * this.n * this.d))));
    for (let from = 0; from < list.length; from += batch) {
      const now = list.subarray(from, from + batch);
      const made = this.makeMatrices(now.filter((gate) => !this.kept.has(gate)));
      now.forEach((gate, k) => {
        const A = this.kept.get(gate)?.A ?? made.get(gate);
        if (A !== undefined) use(A, gate, from + k);
      });
      for (const gate of now) this.keep(gate, made.get(gate), often);
    }
  }

  /** Keeps a matrix where there is room, or in place of one that only passes over all gates have used. */
  private keep(gate: number, A: Float64Array | undefined, often: boolean): void {
    const known = this.kept.get(gate);
    if (known !== undefined) {
      known.often ||= often;
      return;
    }
    if (A === undefined) return;
    if (this.kept.size >= this.room) {
      if (!often) return;
      const rare = [...this.kept].find(([, entry]) => !entry.often);
      if (rare === undefined) return;
      this.kept.delete(rare[0]);
    }
    this.kept.set(gate, { A, often });
  }

  /** A_i [n x d] of some gates: for each sample the masks [g x K] times its patches [K x d]. */
  private makeMatrices(list: Int32Array): Map<number, Float64Array> {
    const { n, d, kernels } = this;
    const { patches, scale } = this.pooling;
    const g = list.length;
    const made = new Map(Array.from(list, (gate) => [gate, new Float64Array(n * d)]));
    const mask = new Float64Array(g * patches);
    const sums = new Float64Array(g * d);
    for (let j = 0; j < n && g > 0; j++) {
      for (let k = 0; k < g; k++) this.mask(list[k], j, scale, mask, k * patches);
      kernels.multiply(mask, rowBlock(this.X, j * patches, patches), sums, g, patches, d);
      for (let k = 0; k < g; k++) made.get(list[k])?.set(sums.subarray(k * d, (k + 1) * d), j * d);
    }
    return made;
  }

  /** out[at + k] = value where the gate is open on patch k of sample j, else 0. */
  private mask(gate: number, j: number, value: number, out: Float64Array, at: number): void {
    const { bits } = this.gates;
    const { patches } = this.pooling;
    const base = gate * this.words;
    for (let k = 0, row = j * patches; k < patches; k++, row++) {
      out[at + k] = (bits[base + (row >>> 5)] >>> (row & 31)) & 1 ? value : 0;
    }
  }

  /** A_i of one position of many [n x d]: its patches where the gate is open. */
  private rowsOfPosition(gate: number, position: number): Float64Array {
    const { n, d } = this;
    const { patches, scale } = this.pooling;
    const out = new Float64Array(n * d);
    for (let j = 0; j < n; j++) {
      const row = j * patches + position;
      if (!isActive(this.gates, gate, row)) continue;
      const x = rowBlock(this.X, row, 1);
      for (let p = 0; p < d; p++) out[j * d + p] = scale * x[p];
    }
    return out;
  }

  private forwardApart(
    gate: Int32Array,
    output: Int32Array,
    sign: Float64Array,
    vectors: Float64Array,
    outputs: number,
    out: Float64Array,
  ): void {
    const { n, d } = this;
    const { patches, scale } = this.pooling;
    for (let j = 0; j < n; j++) {
      const x = rowBlock(this.X, j * patches, patches);
      for (let k = 0; k < gate.length; k++) {
        const c = output[k] % outputs;
        const position = (output[k] - c) / outputs;
        if (!isActive(this.gates, gate[k], j * patches + position)) continue;
        let sum = 0;
        for (let p = 0; p < d; p++) sum += x[position * d + p] * vectors[k * d + p];
        out[j * outputs + c] += scale * sign[k] * sum;
      }
    }
  }

  private adjointApart(R: Float64Array, outputs: number, list: Int32Array, out: Float64Array): void {
    const { n, d } = this;
    const { patches, positions, scale } = this.pooling;
    const size = positions * outputs * d;
    for (let j = 0; j < n; j++) {
      const x = rowBlock(this.X, j * patches, patches);
      for (let i = 0; i < list.length; i++) {
        for (let k = 0; k < patches; k++) {
          if (!isActive(this.gates, list[i], j * patches + k)) continue;
          for (let c = 0; c < outputs; c++) {
            const r = scale * R[j * outputs + c];
            const to = i * size + (k * outputs + c) * d;
            for (let p = 0; p < d; p++) out[to + p] += r * x[k * d + p];
          }
        }
      }
    }
  }
}
