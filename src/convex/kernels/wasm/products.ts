/** Products with gates in WASM memory: X and the bit-packed masks stay there, so that only vectors cross the border. */

import { eachActive, wordsPerGate } from "../../linear/bits.js";
import type { Pieces } from "../../linear/pieces.js";
import { transpose } from "../../linear/vectors.js";
import type { GateSet, Matrix } from "../../types.js";
import type { CholeskyFactor, FaceSearch, GatedColumns, GatedProducts } from "../types.js";
import type { WasmEngine } from "./engine.js";
import { WasmFaceSearch } from "./faceSearch.js";
import { WasmFactor } from "./factor.js";
import { filled } from "./heap.js";

/** Doubles of vectors that are in WASM memory together: 32 MB. */
const ROOM = 4e6;
/** Vectors that are handled together at least. */
const TILE = 64;
/** Words of 64 gates that are counted together (assembly/counts.ts). */
const WORDS_TOGETHER = 4;
/** Multiplications, or words, between two turns of the host. */
const TURN = 2e8;
/** Largest n for which cones have X X' in WASM memory: 32 MB. */
const GRAM_ROWS = 2000;

export class WasmProducts implements GatedProducts {
  private readonly x: number; // X in WASM memory
  private readonly bits: number; // the masks
  private readonly z: number; // room for a vector [d] and its product [n]
  private readonly n: number;
  private readonly d: number;
  private readonly words: number;
  private readonly together: number; // vectors
  private readonly rough: boolean = false; // true in what `roughly` answers
  private kept: Float64Array | null = null;
  private product = 0; // X X' in WASM memory, for cones
  private readonly searches: WasmFaceSearch[] = [];

  constructor(
    private readonly engine: WasmEngine,
    X: Matrix,
    private readonly gates: GateSet,
  ) {
    const { heap } = engine;
    this.n = X.rows;
    this.d = X.cols;
    this.words = wordsPerGate(this.n);
    this.together = Math.max(TILE, Math.floor(ROOM / this.d));
    this.x = heap.take(this.n * this.d);
    this.z = heap.take(this.d + this.n);
    const masks = gates.count * this.words;
    this.bits = heap.take(Math.ceil(masks / 2));
    heap.view(this.x, this.n * this.d).set(X.data);
    heap.integers(this.bits, masks).set(gates.bits.subarray(0, masks));
  }

  forward(
    gate: Int32Array,
    output: Int32Array,
    sign: Float64Array,
    vectors: Float64Array,
    outputs: number,
    out: Float64Array,
  ): void {
    const { engine, n, d } = this;
    const { heap } = engine;
    const most = Math.min(this.together, gate.length);
    const blocks = heap.takeAll(most * d, 2 * most, n * outputs);
    const [v, s, z] = blocks; // s: signs, gates and outputs
    heap.view(z, n * outputs).fill(0);
    for (let from = 0; from < gate.length; from += most) {
      const count = Math.min(most, gate.length - from);
      const [g, o] = [s + 8 * count, s + 12 * count];
      heap.view(v, count * d).set(vectors.subarray(from * d, (from + count) * d));
      heap.view(s, count).set(sign.subarray(from, from + count));
      heap.integers(g, count).set(gate.subarray(from, from + count));
      heap.integers(o, count).set(output.subarray(from, from + count));
      engine.forward(this.x, n, d, this.bits, this.words, count, g, o, s, v, z, outputs, this.rough);
    }
    out.set(heap.view(z, n * outputs));
    for (const block of blocks) heap.release(block);
  }

  adjoint(R: Float64Array, outputs: number, list: Int32Array | null, out: Float64Array): void {
    const { engine, d } = this;
    const { heap } = engine;
    this.withPairs(
      R,
      outputs,
      list,
      (count) => count * d,
      (g, from, count, pairs) => {
        engine.adjoint(...pairs, g, 0, this.rough);
        out.set(heap.view(g, count * d), from * d);
      },
    );
  }

  roughly(): Pick<GatedProducts, "forward" | "adjoint"> {
    return Object.assign(Object.create(this), { rough: true });
  }

  adjointNorms(R: Float64Array, outputs: number, out: Float64Array): void {
    const { engine, d } = this;
    const { heap } = engine;
    this.withPairs(
      R,
      outputs,
      null,
      (count) => engine.roomForNorms(count) * d + count,
      (norms, from, count, pairs) => {
        engine.adjoint(...pairs, norms + 8 * count, norms, false);
        out.set(heap.view(norms, count), from);
      },
    );
  }

  times(z: Float64Array, out: Float64Array): void {
    const { n, d } = this;
    this.timesOne(z, out, n, d, 1, d);
  }

  timesTransposed(z: Float64Array, out: Float64Array): void {
    const { n, d } = this;
    this.timesOne(z, out, d, n, d, 1);
  }

  /** out [m] = z [k] times X, whose rows and columns are so far apart. */
  private timesOne(z: Float64Array, out: Float64Array, m: number, k: number, rsb: number, csb: number): void {
    const { engine, x } = this;
    const at = this.z + 8 * k;
    engine.heap.view(this.z, k).set(z);
    const y = engine.heap.view(at, m);
    y.fill(0);
    engine.multiply(1, m, k, this.z, k, 1, x, rsb, csb, at, m, 1, false);
    out.set(y);
  }

  faceSearch(): FaceSearch {
    const { engine, x: at, n, d, bits, words } = this;
    if (n <= GRAM_ROWS && this.product === 0) this.product = this.makeGram(false);
    const search = new WasmFaceSearch(engine, { at, rows: n, cols: d }, bits, words, this.product);
    this.searches.push(search);
    return search;
  }

  rows(gate: number, U: Float64Array, k: number, out: Float64Array): void {
    const { heap } = this.engine;
    const { n, d } = this;
    const [u, t] = heap.takeAll(k * d, k * n);
    heap.view(u, k * d).set(U.subarray(0, k * d));
    this.multiplyRows(gate, u, k, t, out);
    heap.release(t);
    heap.release(u);
  }

  faceRows(gate: number, face: Int32Array, basis: Float64Array, out: Float64Array): void {
    const { n, d } = this;
    const { heap } = this.engine;
    const F = face.length;
    const k = d - F;
    if (k === 0) return;
    const blocks = heap.takeAll(d * d, Math.ceil(F / 2), k * n);
    const [u, list, t] = blocks; // u: the basis, and the reflectors
    heap.integers(list, F).set(face);
    this.engine.calls.nullspace(this.x, d, list, F, u + 8 * k * d, u);
    this.multiplyRows(gate, u, k, t, out);
    basis.set(heap.view(u, k * d));
    for (const block of blocks) heap.release(block);
  }

  /** out [k x n] = U X' D_i for U [k x d] in WASM memory, with room t [k x n] there. */
  private multiplyRows(gate: number, u: number, k: number, t: number, out: Float64Array): void {
    const { n, d } = this;
    const T = this.engine.heap.view(t, k * n);
    T.fill(0);
    this.engine.multiply(k, n, d, u, d, 1, this.x, 1, d, t, n, 1, false);
    out.set(T);
    const { bits } = this.gates;
    for (let j = 0; j < n; j++) {
      if ((bits[gate * this.words + (j >>> 5)] >>> (j & 31)) & 1) continue;
      for (let at = j; at < k * n; at += n) out[at] = 0;
    }
  }

  addMaskedGram(H: Float64Array, gate: Int32Array, weight: Float64Array): void {
    const { engine, n } = this;
    const { heap } = engine;
    const K = this.gram();
    const count = gate.length;
    const blocks = heap.takeAll(n * n, count, Math.ceil(count / 2));
    const [s, w, g] = blocks;
    const S = heap.view(s, n * n);
    S.fill(0);
    heap.view(w, count).set(weight.subarray(0, count));
    heap.integers(g, count).set(gate);
    engine.maskedGram(this.bits, this.words, count, g, w, s, n);
    const row = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      row.set(S.subarray(i * n, i * n + i + 1)); // reads of shared memory are slow one by one
      for (let j = 0; j <= i; j++) H[i * n + j] += row[j] * K[i * n + j];
    }
    for (const block of blocks) heap.release(block);
  }

  *gatedFactor(list: Int32Array, shift: number, more: number, rough: boolean): Pieces<CholeskyFactor | null> {
    const { engine, n, d, x } = this;
    const { heap } = engine;
    const { open, words } = this.opened(list);
    try {
      const rows = filled(TURN / (n * (d + words)), TILE);
      return yield* WasmFactor.filling(engine, n, rough, function* (h) {
        for (let row = 0; row < n; row += rows) {
          const count = Math.min(rows, n - row);
          const [from, to] = [x + 8 * row * d, h + 8 * row * n];
          if (row > 0) engine.multiply(count, row, d, from, d, 1, x, 1, d, to, n, 1, false, rough);
          engine.multiply(count, count, d, from, d, 1, from, 1, d, to + 8 * row, n, 1, true, rough);
          engine.timesCounts(to, n, count, row + 1, 1, open + 8 * row * words, open, words, more);
          const H = heap.view(to, count * n);
          for (let k = 0; k < count; k++) H[k * n + row + k] += shift;
          yield;
        }
      });
    } finally {
      heap.release(open);
    }
  }

  gatedColumns(list: Int32Array, more: number): GatedColumns {
    const { engine, n, d, x } = this;
    const { heap } = engine;
    const { open, words } = this.opened(list);
    return {
      columns: (pivots, out) => {
        const b = pivots.length;
        const blocks = heap.takeAll(b * d, b * words, b * n);
        const [rows, mine, to] = blocks;
        const [X, bits] = [heap.view(x, n * d), heap.view(open, n * words)];
        pivots.forEach((j, s) => {
          heap.view(rows, b * d).set(X.subarray(j * d, (j + 1) * d), s * d);
          heap.view(mine, b * words).set(bits.subarray(j * words, (j + 1) * words), s * words);
        });
        const made = heap.view(to, b * n).fill(0);
        engine.multiply(b, n, d, rows, d, 1, x, 1, d, to, n, 1, false);
        engine.timesCounts(to, n, b, n, 0, mine, open, words, more);
        out.set(made);
        for (const block of blocks) heap.release(block);
      },
      dispose: () => heap.release(open),
    };
  }

  /** [n x words]: bit k of a sample says whether gate k of the list is open there; the caller releases it. */
  private opened(list: Int32Array): { open: number; words: number } {
    const { engine, n, gates } = this;
    const words = filled(Math.ceil(list.length / 64), WORDS_TOGETHER);
    const open = engine.heap.take(n * words);
    const out = engine.heap.integers(open, 2 * n * words).fill(0);
    list.forEach((gate, k) => {
      const bit = 1 << (k & 31);
      eachActive(gates, gate, (row) => {
        out[2 * row * words + (k >>> 5)] |= bit;
      });
    });
    return { open, words };
  }

  gram(): Float64Array {
    if (this.kept === null) {
      const { n } = this;
      const K = new Float64Array(n * n);
      const k = this.product === 0 ? this.makeGram(true) : this.product;
      K.set(this.engine.heap.view(k, n * n));
      if (k !== this.product) this.engine.heap.release(k);
      for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) K[j * n + i] = K[i * n + j];
      this.kept = K;
    }
    return this.kept;
  }

  dispose(): void {
    this.kept = null;
    for (const search of this.searches) search.dispose();
    for (const block of [this.product, this.bits, this.z, this.x]) this.engine.heap.release(block);
  }

  /** X X' in WASM memory, or its lower triangle; the caller releases it. */
  private makeGram(lower: boolean): number {
    const { n, d } = this;
    const { heap } = this.engine;
    const k = heap.take(n * n);
    heap.view(k, n * n).fill(0);
    this.engine.multiply(n, n, d, this.x, d, 1, this.x, 1, d, k, n, 1, lower);
    return k;
  }

  /**
   * Puts R' and lists of (gate, output) pairs into WASM memory, some pairs at a time, beside as much room as `doubles` says.
   * `use` gets the room, the first pair, how many they are, and the arguments by which the module finds them.
   */
  private withPairs(
    R: Float64Array,
    outputs: number,
    list: Int32Array | null,
    doubles: (count: number) => number,
    use: (room: number, from: number, count: number, pairs: Pairs) => void,
  ): void {
    const { n, d, x, bits, words } = this;
    const { heap } = this.engine;
    const total = (list === null ? this.gates.count : list.length) * outputs;
    const most = Math.min(this.together, total);
    const columns = new Float64Array(n * outputs);
    transpose(R, n, outputs, columns); // one by one outside shared memory
    const numbers = new Int32Array(2 * most);
    const blocks = heap.takeAll(n * outputs, most, doubles(most));
    const [r, pairs, room] = blocks; // pairs: gates and columns
    heap.view(r, n * outputs).set(columns);
    for (let from = 0; from < total; from += most) {
      const count = Math.min(most, total - from);
      for (let k = 0; k < count; k++) {
        const output = (from + k) % outputs;
        const index = (from + k - output) / outputs;
        numbers[k] = list === null ? index : list[index];
        numbers[count + k] = output;
      }
      heap.integers(pairs, 2 * count).set(numbers.subarray(0, 2 * count));
      use(room, from, count, [x, n, d, bits, words, count, pairs, pairs + 4 * count, r]);
    }
    for (const block of blocks) heap.release(block);
  }
}

/** The arguments of `adjoint` before the room for its results. */
type Pairs = Parameters<WasmEngine["adjoint"]> extends [...infer Front, number, number, boolean] ? Front : never;
