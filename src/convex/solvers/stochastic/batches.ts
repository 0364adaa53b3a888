/** The rows of a program, dealt into batches at random: each with its products, its gates and its terms of the loss. */

import { bindProducts } from "../../kernels/index.js";
import type { GatedProducts, Kernels } from "../../kernels/types.js";
import { wordsPerGate } from "../../linear/bits.js";
import { uniformSource } from "../../linear/random.js";
import { norm } from "../../linear/vectors.js";
import type { ConvexProgram, GateSet, Loss, Matrix } from "../../types.js";

/** Rows of a batch: enough for products to run at speed, few enough that an epoch has many steps. */
const ROWS = 512;
const LEAST_BATCHES = 4;
const MOST_BATCHES = 64;
/** Of the norm of a batch, by power steps on so many batches; what they and the other batches miss. */
const POWER_STEPS = 10;
const PROBED = 2;
const MISSED = 1.2;
/** Of patterns: so many are read between two turns of the host. */
const BITS = 2 ** 20;

export interface Batch {
  readonly rows: Int32Array; // increasing
  /** Of these rows, multiplied in float32 where the engine has that faster: for differences from a point whose products are known. */
  readonly products: Pick<GatedProducts, "forward" | "adjoint">;
  readonly loss: Loss; // the terms of these rows
}

/** Lets the host breathe; true when time is up or someone asked to stop. */
type Pause = () => Promise<boolean>;

export class Batches {
  private readonly order: Int32Array;

  private constructor(
    readonly list: readonly Batch[],
    /** What |A|^2 of all rows is by a batch, times their number: the largest of those that are looked at. */
    readonly squaredNorm: number,
    private readonly bound: readonly GatedProducts[],
    private readonly uniform: () => number,
  ) {
    this.order = Int32Array.from({ length: list.length }, (_, b) => b);
  }

  /** Null when time is up before they are made. The caller disposes them. */
  static async of(program: ConvexProgram, kernels: Kernels, seed: number, pause: Pause): Promise<Batches | null> {
    const bound: GatedProducts[] = [];
    let made: Batches | null = null;
    try {
      const uniform = uniformSource(seed);
      const list = await deal(program, kernels, { uniform, pause, bound });
      const largest = list && (await squaredNormOf(program, list, pause));
      if (list === null || largest === null) return null;
      made = new Batches(list, largest, bound, uniform);
      return made;
    } finally {
      if (made === null) for (const products of bound) products.dispose();
    }
  }

  /** All batches, in another order each time. */
  *pass(): Generator<Batch> {
    shuffle(this.order, this.uniform);
    for (const b of this.order) yield this.list[b];
  }

  dispose(): void {
    for (const products of this.bound) products.dispose();
  }
}

/** Batch by batch, since each takes long of many rows and gates; `bound` takes up what is to be disposed. */
async function deal(
  { X, gates, loss, pooling }: ConvexProgram,
  kernels: Kernels,
  { uniform, pause, bound }: { uniform: () => number; pause: Pause; bound: GatedProducts[] },
): Promise<Batch[] | null> {
  if (loss.part === undefined) throw new Error(`stochastic: a loss "${loss.name}" that cannot be dealt by rows.`);
  const n = loss.rows;
  const count = Math.min(n, Math.max(LEAST_BATCHES, Math.min(MOST_BATCHES, Math.floor(n / ROWS))));
  const dealt = Int32Array.from({ length: n }, (_, k) => k);
  shuffle(dealt, uniform);
  const list: Batch[] = [];
  for (let b = 0; b < count; b++) {
    const rows = dealt.slice(Math.floor((b * n) / count), Math.floor(((b + 1) * n) / count)).sort();
    const some = await gatesOn(gates, rows, pause);
    if (some === null) return null;
    const products = bindProducts({ X: rowsOf(X, rows), gates: some, pooling: pooling ?? null }, kernels);
    bound.push(products);
    list.push({ rows, products: products.roughly?.() ?? products, loss: loss.part(rows) });
    if (await pause()) return null;
  }
  return list;
}

async function squaredNormOf(
  { X, gates }: ConvexProgram,
  list: readonly Batch[],
  pause: Pause,
): Promise<number | null> {
  const every = Int32Array.from({ length: gates.count }, (_, i) => i);
  const [first, signs] = [new Int32Array(gates.count), new Float64Array(gates.count).fill(1)];
  const vectors = new Float64Array(gates.count * X.cols);
  let largest = 0;
  for (const { rows, products } of list.slice(0, PROBED)) {
    const U = new Float64Array(rows.length).fill(1 / Math.sqrt(rows.length));
    for (let step = 0; step < POWER_STEPS; step++) {
      products.adjoint(U, 1, null, vectors);
      products.forward(every, first, signs, vectors, 1, U);
      const length = norm(U);
      largest = Math.max(largest, length);
      if (length > 0) for (let k = 0; k < U.length; k++) U[k] /= length;
      if (await pause()) return null;
    }
  }
  return largest > 0 ? MISSED * list.length * largest : 1;
}

function shuffle(list: Int32Array, uniform: () => number): void {
  for (let k = list.length - 1; k > 0; k--) {
    const other = Math.floor(uniform() * (k + 1));
    [list[k], list[other]] = [list[other], list[k]];
  }
}

function rowsOf({ cols, data }: Matrix, rows: Int32Array): Matrix {
  const some = new Float64Array(rows.length * cols);
  rows.forEach((row, k) => {
    some.set(data.subarray(row * cols, (row + 1) * cols), k * cols);
  });
  return { rows: rows.length, cols, data: some };
}

/** The patterns on some rows; null when time is up. */
async function gatesOn(gates: GateSet, rows: Int32Array, pause: Pause): Promise<GateSet | null> {
  const [all, some] = [wordsPerGate(gates.rows), wordsPerGate(rows.length)];
  const bits = new Uint32Array(gates.count * some);
  const between = Math.ceil(BITS / rows.length);
  for (let i = 0; i < gates.count; i++) {
    if (i % between === between - 1 && (await pause())) return null;
    pick(gates.bits.subarray(i * all, (i + 1) * all), rows, bits.subarray(i * some, (i + 1) * some));
  }
  return { ...gates, rows: rows.length, bits, complete: false };
}

/** to: the bits of these rows, word by word. */
function pick(pattern: Uint32Array, rows: Int32Array, to: Uint32Array): void {
  for (let w = 0, k = 0; w < to.length; w++) {
    let word = 0;
    for (let bit = 0; bit < 32 && k < rows.length; bit++, k++) {
      const row = rows[k];
      word |= ((pattern[row >>> 5] >>> (row & 31)) & 1) << bit;
    }
    to[w] = word;
  }
}
