/**
 * Products with gates over patches that are summed, all of a sample or those of each position: A_i = S D_i X, S the pooling of
 * the K patches of each sample, for any engine.
 *
 * A_i is [A n x d] however many patches a position has, so the matrices of gates are made once and kept as far as memory goes:
 * every later product costs n A d and not n K d. Those of the other gates are made for some samples at a time, all gates in one
 * pass over the patches, used and let go. Row a n + j is position a of sample j.
 */

import { wordsPerGate } from "../../linear/bits.js";
import { rowBlock } from "../../linear/rowBlock.js";
import { whereRoom } from "../../linear/whereRoom.js";
import type { GateSet, Matrix, Pooling } from "../../types.js";
import type { FaceSearch, GatedProducts } from "../types.js";
import { type PatchKernels, PatchProducts } from "./shared.js";

/** Masks, and what they leave of this for pooled matrices that are kept. */
const HELD_BYTES = 2 ** 30;
/** Gates whose sums are made in one pass over the patches; doubles of the patches, or sums, of the samples that are read together. */
const GATES = 512;
const ROOM = 2 ** 20;
/** Doubles of patches and masks up to which an engine has them for cones: 64 MB. */
const CONES = 2 ** 23;
/** Factors of a Gram matrix that are added together. */
const BATCH_BYTES = 2 ** 25;
/** Vectors of one gate and position from which on the engine's product is faster than a loop, its copies counted. */
const MANY = 3;

/** How many gates' pooled matrices are kept. */
export function roomForPooled(X: Matrix, { patches, positions }: Pooling, keptBytes: number): number {
  return Math.floor(keptBytes / (8 * (X.rows / patches) * positions * X.cols));
}

interface Kept {
  readonly A: Float64Array; // [A n x d]
  often: boolean;
}

/** Samples [from, from + count) of a pooled matrix [A count x d], of entry k of the list that was asked for. */
type UsePart = (part: Float64Array, k: number, from: number, count: number) => void;

export class PooledProducts extends PatchProducts implements GatedProducts {
  private readonly words: number;
  private readonly height: number; // n A
  private readonly kept = new Map<number, Kept>(); // by gate
  private readonly room: number; // matrices that may be kept
  private plain: GatedProducts | null = null; // for cones

  constructor(
    kernels: PatchKernels,
    X: Matrix,
    gates: GateSet,
    pooling: Pooling,
    /** The products of the same gates on patches as they are. */
    private readonly unpooled: (() => GatedProducts) | null,
    keptBytes = Math.max(0, HELD_BYTES - 4 * gates.count * wordsPerGate(gates.rows)),
  ) {
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
    const { positions } = this.pooling;
    out.fill(0, 0, this.n * outputs);
    const columns = new Map<number, number[][]>(); // by gate, then by position
    gate.forEach((i, k) => {
      const mine = columns.get(i) ?? Array.from({ length: positions }, () => []);
      mine[Math.floor(output[k] / outputs)].push(k);
      columns.set(i, mine);
    });
    const lists = [...columns.values()];
    this.eachPart(Int32Array.from(columns.keys()), true, (A, i, from, count) => {
      lists[i].forEach((mine, position) => {
        const T = this.timesRows(rowsAt(A, position, count * this.d), count, vectors, mine);
        mine.forEach((k, row) => {
          const c = output[k] % outputs;
          for (let j = 0; j < count; j++) out[(from + j) * outputs + c] += sign[k] * T[row * count + j];
        });
      });
    });
  }

  /** Rows [count x d] times vectors `mine` of a list [k x d]: [mine x count]. */
  private timesRows(rows: Float64Array, count: number, vectors: Float64Array, mine: readonly number[]): Float64Array {
    const { d, kernels } = this;
    const T = new Float64Array(mine.length * count);
    if (mine.length >= MANY) {
      const V = new Float64Array(mine.length * d);
      mine.forEach((k, to) => {
        V.set(vectors.subarray(k * d, (k + 1) * d), to * d);
      });
      kernels.multiplyTransposed(V, rows, T, mine.length, d, count);
      return T;
    }
    mine.forEach((k, to) => {
      for (let j = 0; j < count; j++) {
        let sum = 0;
        for (let p = 0; p < d; p++) sum += rows[j * d + p] * vectors[k * d + p];
        T[to * count + j] = sum;
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
    const turned = new Float64Array(outputs * n); // R', of the samples of a part
    const product = new Float64Array(part);
    this.eachPart(gates, often, (A, k, from, count) => {
      if (outputs >= MANY) {
        for (let j = 0; j < count; j++) {
          for (let c = 0; c < outputs; c++) turned[c * count + j] = R[(from + j) * outputs + c];
        }
      }
      for (let position = 0; position < positions; position++) {
        const rows = rowsAt(A, position, count * d);
        const at = (k * positions + position) * part;
        const to = out.subarray(at, at + part);
        if (outputs >= MANY) {
          kernels.multiply(turned, rows, product, outputs, count, d);
          for (let p = 0; p < part; p++) to[p] += product[p];
          continue;
        }
        for (let j = 0; j < count; j++) {
          for (let c = 0; c < outputs; c++) {
            const r = R[(from + j) * outputs + c];
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
    const G = new Float64Array(Math.min(GATES, this.gates.count) * perGate * d);
    for (let from = 0; from < this.gates.count; from += GATES) {
      const list = Int32Array.from({ length: Math.min(GATES, this.gates.count - from) }, (_, k) => from + k);
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
    this.eachPart(Int32Array.of(gate), true, (A, _, from, count) => {
      const rows = rowsAt(A, position, count * d);
      if (count === n) {
        kernels.multiplyTransposed(U, rows, out, k, d, n);
        return;
      }
      const T = new Float64Array(k * count);
      kernels.multiplyTransposed(U, rows, T, k, d, count);
      for (let r = 0; r < k; r++) out.set(T.subarray(r * count, (r + 1) * count), r * n + from);
    });
  }

  addMaskedGram(H: Float64Array, gate: Int32Array, weight: Float64Array): void {
    const { n, d, kernels } = this;
    const { positions } = this.pooling;
    const size = positions * d; // a gate's columns
    const together = Math.max(1, Math.min(gate.length, Math.floor(BATCH_BYTES / (8 * size * n))));
    const Y = new Float64Array(together * size * n); // sqrt(weight) A_i', one position and gate below the other
    for (let first = 0; first < gate.length; first += together) {
      const list = gate.subarray(first, first + together);
      this.eachPart(list, true, (A, k, from, count) => {
        const root = Math.sqrt(weight[first + k]);
        for (let row = 0; row < positions * count; row++) {
          const j = row % count;
          const to = (k * size + ((row - j) / count) * d) * n + from + j;
          for (let p = 0; p < d; p++) Y[to + p * n] = root * A[row * d + p];
        }
      });
      kernels.addOuter(H, Y, n, list.length * size, 1);
    }
  }

  /** Cones are those of the patches as they are, which the engine's own products see where all patches have room beside these. */
  faceSearch(): FaceSearch | null {
    const { X, gates, unpooled, pooling } = this;
    const size = X.rows * X.cols + (gates.count * this.words) / 2;
    if (unpooled === null || pooling.positions > 1 || size > CONES) return null;
    this.plain ??= whereRoom(unpooled);
    return this.plain?.faceSearch?.() ?? null;
  }

  override dispose(): void {
    super.dispose();
    this.plain?.dispose();
    this.plain = null;
    this.kept.clear();
  }

  /**
   * Hands A_i of each gate of the list to `use`: as a whole where it is kept, else in parts, whose samples come in order. `often`:
   * these gates will be asked for again.
   */
  private eachPart(list: Int32Array, often: boolean, use: UsePart): void {
    const places = new Map<number, number[]>(); // by gate that is not kept
    list.forEach((gate, k) => {
      const entry = this.kept.get(gate);
      if (entry !== undefined) entry.often ||= often;
      else if (places.get(gate)?.push(k) === undefined) places.set(gate, [k]);
    });
    const missing = [...places.keys()];
    const room = this.makeRoom(missing.length, often);
    missing.slice(0, room).forEach((gate) => {
      this.kept.set(gate, { A: new Float64Array(this.height * this.d), often });
    });
    for (let first = 0; first < missing.length; first += GATES) {
      this.eachSum(missing.slice(first, first + GATES), (sums, gate, from, count) => {
        const entry = this.kept.get(gate);
        if (entry === undefined) for (const k of places.get(gate) ?? []) use(sums, k, from, count);
        else this.store(entry.A, sums, from, count);
      });
    }
    list.forEach((gate, k) => {
      const entry = this.kept.get(gate);
      if (entry !== undefined) use(entry.A, k, 0, this.n);
    });
  }

  /** Says how many of so many matrices may be kept; those that will be asked for again take the place of others. */
  private makeRoom(wanted: number, often: boolean): number {
    for (const [gate, entry] of often ? [...this.kept] : []) {
      if (this.kept.size + wanted <= this.room) break;
      if (!entry.often) this.kept.delete(gate);
    }
    return Math.max(0, Math.min(wanted, this.room - this.kept.size));
  }

  /** Copies the rows of samples [from, from + count) into a whole matrix. */
  private store(A: Float64Array, sums: Float64Array, from: number, count: number): void {
    const size = count * this.d;
    for (let position = 0; position < this.pooling.positions; position++) {
      A.set(rowsAt(sums, position, size), (position * this.n + from) * this.d);
    }
  }

  /** The pooled matrices of some gates, for some samples at a time: [A count x d]. */
  private eachSum(
    list: readonly number[],
    use: (sums: Float64Array, gate: number, from: number, count: number) => void,
  ): void {
    if (list.length === 0) return;
    const { n, d, words, gates, pooling, kernels } = this;
    const { patches: K, positions: A } = pooling;
    const g = list.length;
    const together = Math.min(n, Math.max(1, Math.floor(ROOM / (d * Math.max(K, g * A)))));
    const most = Math.ceil((together * K) / 32) + 1; // words of a mask
    const masks = new Uint32Array(g * most);
    const sums = new Float64Array(g * A * together * d);
    for (let from = 0; from < n; from += together) {
      const count = Math.min(together, n - from);
      const start = (from * K) >>> 5;
      const mine = Math.min(words, ((from + count) * K + 31) >>> 5) - start;
      list.forEach((gate, k) => {
        masks.set(gates.bits.subarray(gate * words + start, gate * words + start + mine), k * mine);
      });
      const rows = rowBlock(this.X, from * K, count * K);
      const shape = { pooling, gates: g, samples: count, d, first: (from * K) & 31, words: mine };
      kernels.poolPatches(rows, masks, shape, sums);
      const size = A * count * d;
      for (let k = 0; k < g; k++) use(sums.subarray(k * size, (k + 1) * size), list[k], from, count);
    }
  }
}

/** The rows of one position, `size` entries each. */
function rowsAt(A: Float64Array, position: number, size: number): Float64Array {
  return A.subarray(position * size, (position + 1) * size);
}
