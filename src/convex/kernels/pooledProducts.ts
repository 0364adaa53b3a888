/**
 * Products with gates over patches that are summed, all of a sample or those of each position: A_i = S D_i X, S the pooling of
 * the K patches of each sample, for any engine.
 *
 * A_i is [A n x d] however many patches a position has, so the matrices of gates are made once and kept as far as memory goes:
 * every later product costs n A d and not n K d. Patches themselves are read in blocks. Row a n + j is position a of sample j.
 */

import { wordsPerGate } from "../arrangements/bits.js";
import { rowBlock } from "../rowBlock.js";
import type { GateSet, Matrix, Pooling } from "../types.js";
import { type PatchKernels, PatchProducts } from "./patchProducts.js";
import type { GatedProducts } from "./types.js";

/** Pooled matrices that are kept. */
const KEPT_BYTES = 2 ** 27;
/** Gates whose pooled matrices are made together: their masks make one product with the patches of an image. */
const BATCH = 64;
const BATCH_BYTES = 2 ** 25;
/** Vectors of one gate and position from which on the engine's product is faster than a loop, its copies counted. */
const MANY = 3;

/** How many gates' pooled matrices are kept. */
export function roomForPooled(X: Matrix, { patches, positions }: Pooling, keptBytes = KEPT_BYTES): number {
  return Math.floor(keptBytes / (8 * (X.rows / patches) * positions * X.cols));
}

interface Kept {
  readonly A: Float64Array; // [A n x d]
  often: boolean;
}

export class PooledProducts extends PatchProducts implements GatedProducts {
  private readonly words: number;
  private readonly height: number; // n A
  private readonly kept = new Map<number, Kept>(); // by gate
  private readonly room: number; // matrices that may be kept
  private readonly spare: Float64Array[] = []; // matrices to be written over

  constructor(kernels: PatchKernels, X: Matrix, gates: GateSet, pooling: Pooling, keptBytes = KEPT_BYTES) {
    super(kernels, X, gates, pooling);
    this.words = wordsPerGate(gates.rows);
    this.height = this.n * pooling.positions;
    this.room = roomForPooled(X, pooling, keptBytes);
  }

  forward(
    gate: Int32Array,
    output: Int32Array,
    sign: Float64Array,
    vectors: Float64Array,
    outputs: number,
    out: Float64Array,
  ): void {
    const { n } = this;
    const { positions } = this.pooling;
    out.fill(0, 0, n * outputs);
    const columns = new Map<number, number[][]>(); // by gate, then by position
    gate.forEach((i, k) => {
      const mine = columns.get(i) ?? Array.from({ length: positions }, () => []);
      mine[Math.floor(output[k] / outputs)].push(k);
      columns.set(i, mine);
    });
    this.eachMatrix(Int32Array.from(columns.keys()), true, (A, i) => {
      columns.get(i)?.forEach((mine, position) => {
        const T = this.timesRows(this.rowsAt(A, position), vectors, mine);
        mine.forEach((k, from) => {
          const c = output[k] % outputs;
          for (let j = 0; j < n; j++) out[j * outputs + c] += sign[k] * T[from * n + j];
        });
      });
    });
  }

  /** Rows [n x d] times vectors `mine` of a list [k x d]: [mine x n]. */
  private timesRows(rows: Float64Array, vectors: Float64Array, mine: readonly number[]): Float64Array {
    const { n, d, kernels } = this;
    const T = new Float64Array(mine.length * n);
    if (mine.length >= MANY) {
      const V = new Float64Array(mine.length * d);
      mine.forEach((k, to) => {
        V.set(vectors.subarray(k * d, (k + 1) * d), to * d);
      });
      kernels.multiplyTransposed(V, rows, T, mine.length, d, n);
      return T;
    }
    mine.forEach((k, to) => {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let p = 0; p < d; p++) sum += rows[j * d + p] * vectors[k * d + p];
        T[to * n + j] = sum;
      }
    });
    return T;
  }

  adjoint(R: Float64Array, outputs: number, list: Int32Array | null, out: Float64Array): void {
    const gates = list ?? Int32Array.from({ length: this.gates.count }, (_, i) => i);
    this.adjointOf(R, outputs, gates, list !== null, out);
  }

  private adjointOf(R: Float64Array, outputs: number, gates: Int32Array, often: boolean, out: Float64Array): void {
    const { n, d, kernels } = this;
    const { positions } = this.pooling;
    const part = outputs * d;
    out.fill(0, 0, gates.length * positions * part);
    const turned = new Float64Array(outputs * n); // R'
    for (let j = 0; j < n; j++) for (let c = 0; c < outputs; c++) turned[c * n + j] = R[j * outputs + c];
    this.eachMatrix(gates, often, (A, _, k) => {
      for (let position = 0; position < positions; position++) {
        const rows = this.rowsAt(A, position);
        const at = (k * positions + position) * part;
        const to = out.subarray(at, at + part);
        if (outputs >= MANY) {
          kernels.multiply(turned, rows, to, outputs, n, d);
          continue;
        }
        for (let j = 0; j < n; j++) {
          for (let c = 0; c < outputs; c++) {
            const r = R[j * outputs + c];
            if (r === 0) continue;
            for (let p = 0; p < d; p++) to[c * d + p] += r * rows[j * d + p];
          }
        }
      }
    });
  }

  adjointNorms(R: Float64Array, outputs: number, out: Float64Array): void {
    const { d } = this;
    const perGate = this.pooling.positions * outputs;
    const G = new Float64Array(Math.min(BATCH, this.gates.count) * perGate * d);
    for (let from = 0; from < this.gates.count; from += BATCH) {
      const list = Int32Array.from({ length: Math.min(BATCH, this.gates.count - from) }, (_, k) => from + k);
      this.adjointOf(R, outputs, list, false, G);
      for (let k = 0; k < list.length * perGate; k++) {
        let square = 0;
        for (let p = k * d; p < (k + 1) * d; p++) square += G[p] * G[p];
        out[from * perGate + k] = Math.sqrt(square);
      }
    }
  }

  rows(gate: number, U: Float64Array, k: number, out: Float64Array, position = 0): void {
    const { n, d, kernels } = this;
    this.eachMatrix(Int32Array.of(gate), true, (A) => {
      kernels.multiplyTransposed(U, this.rowsAt(A, position), out, k, d, n);
    });
  }

  addMaskedGram(H: Float64Array, gate: Int32Array, weight: Float64Array): void {
    const { n, d, kernels } = this;
    const { positions } = this.pooling;
    const size = positions * d; // a gate's columns
    const together = Math.max(1, Math.min(gate.length, Math.floor(BATCH_BYTES / (8 * size * n))));
    const Y = new Float64Array(together * size * n); // sqrt(weight) A_i', one position and gate below the other
    let filled = 0;
    this.eachMatrix(gate, true, (A, _, k) => {
      const root = Math.sqrt(weight[k]);
      const to = filled * size * n;
      for (let row = 0; row < positions * n; row++) {
        const j = row % n;
        const first = to + ((row - j) / n) * d * n + j;
        for (let p = 0; p < d; p++) Y[first + p * n] = root * A[row * d + p];
      }
      filled += 1;
      if (filled < together && k + 1 < gate.length) return;
      kernels.addOuter(H, Y, n, filled * size, 1);
      filled = 0;
    });
  }

  override dispose(): void {
    super.dispose();
    this.kept.clear();
    this.spare.length = 0;
  }

  /** The rows of one position, [n x d]. */
  private rowsAt(A: Float64Array, position: number): Float64Array {
    const size = this.n * this.d;
    return A.subarray(position * size, (position + 1) * size);
  }

  /** Hands A_i [A n x d] of each gate of the list to `use`, in the order of the list; `often`: these gates will be asked for again. */
  private eachMatrix(list: Int32Array, often: boolean, use: (A: Float64Array, gate: number, k: number) => void): void {
    const batch = Math.max(1, Math.min(BATCH, Math.floor(BATCH_BYTES / (8 * this.height * this.d))));
    for (let from = 0; from < list.length; from += batch) {
      const now = list.subarray(from, from + batch);
      const missing = new Set(now.filter((gate) => !this.kept.has(gate)));
      const made = this.makeMatrices([...missing]);
      now.forEach((gate, k) => {
        const A = this.kept.get(gate)?.A ?? made.get(gate);
        if (A !== undefined) use(A, gate, from + k);
      });
      if (often) for (const gate of now) this.note(gate);
      for (const [gate, A] of made) {
        const left = this.keep(gate, A, often);
        if (left !== null && this.spare.length < batch) this.spare.push(left);
      }
    }
  }

  /** A kept matrix that is asked for by name will be again. */
  private note(gate: number): void {
    const known = this.kept.get(gate);
    if (known !== undefined) known.often = true;
  }

  /** Keeps a matrix where there is room, or in place of one that only passes over all gates have used; answers what is left over. */
  private keep(gate: number, A: Float64Array, often: boolean): Float64Array | null {
    let left: Float64Array | null = null;
    if (this.kept.size >= this.room) {
      const rare = often ? [...this.kept].find(([, entry]) => !entry.often) : undefined;
      if (rare === undefined) return A;
      this.kept.delete(rare[0]);
      left = rare[1].A;
    }
    this.kept.set(gate, { A, often });
    return left;
  }

  /** A_i [A n x d] of some gates: for each sample and position the masks [g x K / A] times its patches there [K / A x d]. */
  private makeMatrices(list: readonly number[]): Map<number, Float64Array> {
    const { n, d, height, kernels } = this;
    const { patches, positions, scale } = this.pooling;
    const g = list.length;
    const window = patches / positions;
    const made = new Map(list.map((gate) => [gate, this.spare.pop() ?? new Float64Array(height * d)]));
    const mask = new Float64Array(g * window);
    const sums = new Float64Array(g * d);
    const gathered = positions > 1 ? new Float64Array(window * d) : null;
    for (let j = 0; j < n && g > 0; j++) {
      const rows = rowBlock(this.X, j * patches, patches);
      for (let position = 0; position < positions; position++) {
        for (let k = 0; k < g; k++) this.mask(list[k], j * patches + position, scale, mask, k * window);
        for (let t = 0; gathered !== null && t < window; t++) {
          const from = (t * positions + position) * d;
          gathered.set(rows.subarray(from, from + d), t * d);
        }
        kernels.multiply(mask, gathered ?? rows, sums, g, window, d);
        const to = (position * n + j) * d;
        for (let k = 0; k < g; k++) made.get(list[k])?.set(sums.subarray(k * d, (k + 1) * d), to);
      }
    }
    return made;
  }

  /** out[at + t] = value where the gate is open on the patches of a position, rows first, first + A, ..., else 0. */
  private mask(gate: number, first: number, value: number, out: Float64Array, at: number): void {
    const { bits } = this.gates;
    const { patches, positions } = this.pooling;
    const base = gate * this.words;
    for (let t = 0, row = first; t < patches / positions; t++, row += positions) {
      out[at + t] = (bits[base + (row >>> 5)] >>> (row & 31)) & 1 ? value : 0;
    }
  }
}
