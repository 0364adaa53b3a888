/** The rows of a program, dealt into batches at random: each with its products, its gates and its terms of the loss. */

import { bindProducts } from "../../kernels/index.js";
import { nonzeroVectors } from "../../kernels/nonzero.js";
import type { GatedProducts, Kernels } from "../../kernels/types.js";
import { wordsPerGate } from "../../linear/bits.js";
import { uniformSource } from "../../linear/random.js";
import { rowBlock } from "../../linear/rowBlock.js";
import { columnSums, norm } from "../../linear/vectors.js";
import type { ConvexProgram, GateSet, Loss, Matrix } from "../../types.js";

/** Rows of a batch: enough for products to run at speed, few enough that an epoch has many steps. */
const ROWS = 512;
const LEAST_BATCHES = 4;
const MOST_BATCHES = 64;
/** Of the norm of a batch, by power steps on so many batches; what they and the other batches miss. */
export const POWER_STEPS = 10;
export const PROBED = 2;
const MISSED = 1.2;
/** Of patterns: so many are read between two turns of the host. */
const BITS = 2 ** 20;

export interface Batch {
  readonly rows: Int32Array; // increasing
  /** Of these rows, multiplied in float32 where the engine has that faster: for differences from a point whose products are known. */
  readonly products: Pick<GatedProducts, "forward" | "adjoint">;
  readonly loss: Loss; // the terms of these rows
}

/** What a batch makes of a difference from the snapshot: m (L_b'(v) - L_b'(w)), over blocks and bias. */
export interface Turn {
  readonly pull: Float64Array; // [gates x C x d]
  readonly sums: Float64Array; // [C]
}

/** Batches of n rows. */
export function batchCount(n: number): number {
  return Math.min(n, Math.max(LEAST_BATCHES, Math.min(MOST_BATCHES, Math.floor(n / ROWS))));
}

/** What |A|^2 of all rows is by a batch, times their number, from the largest norm of those that were looked at. */
export function squaredNormFrom(largest: number, batches: number): number {
  return largest > 0 ? MISSED * batches * largest : 1;
}

/** Some rows of a program by themselves, whose gates are bound already; the caller disposes the products. */
export function batchOf(
  { X, loss, pooling }: Pick<ConvexProgram, "X" | "loss" | "pooling">,
  rows: Int32Array,
  gates: GateSet,
  kernels: Kernels,
): { readonly batch: Batch; readonly bound: GatedProducts } {
  if (loss.part === undefined) throw new Error(`stochastic: a loss "${loss.name}" that cannot be dealt by rows.`);
  const bound = bindProducts({ X: rowsOf(X, rows), gates, pooling: pooling ?? null }, kernels);
  return { batch: { rows, products: bound.roughly?.() ?? bound, loss: loss.part(rows) }, bound };
}

/** Of outputs Z [n x C] those of a batch, [rows x C]. */
export function outputsAt({ rows }: Batch, Z: Float64Array, C: number): Float64Array {
  const out = new Float64Array(rows.length * C);
  rows.forEach((row, k) => {
    out.set(Z.subarray(row * C, (row + 1) * C), k * C);
  });
  return out;
}

/**
 * The turn of one of `count` batches from the snapshot, whose outputs are `here` [rows x C], by `away` [gates x C x d] of the blocks of some
 * gates and `shift` [C] of the bias.
 */
export function turnOf(
  { rows, products, loss }: Batch,
  count: number,
  gates: Int32Array,
  { away, shift }: { readonly away: Float64Array; readonly shift: Float64Array },
  here: Float64Array,
): Turn {
  const C = shift.length;
  const { index, vectors } = nonzeroVectors(away, gates.length * C, away.length / Math.max(1, gates.length * C));
  const gate = Int32Array.from(index, (k) => gates[Math.floor(k / C)]);
  const output = Int32Array.from(index, (k) => k % C);
  const there = new Float64Array(rows.length * C);
  products.forward(gate, output, new Float64Array(index.length).fill(1), vectors, C, there);
  for (let k = 0; k < there.length; k++) there[k] += here[k] + shift[k % C];
  const R = new Float64Array(there.length);
  const before = new Float64Array(there.length);
  loss.gradient(there, R);
  loss.gradient(here, before);
  for (let k = 0; k < R.length; k++) R[k] = count * (R[k] - before[k]);
  const pull = new Float64Array(away.length);
  products.adjoint(R, C, gates, pull);
  return { pull, sums: columnSums(R, C) };
}

/** The numbers below `count` in an order by chance. */
export function shuffled(count: number, uniform: () => number): Int32Array {
  const list = Int32Array.from({ length: count }, (_, k) => k);
  shuffle(list, uniform);
  return list;
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
  program: ConvexProgram,
  kernels: Kernels,
  { uniform, pause, bound }: { uniform: () => number; pause: Pause; bound: GatedProducts[] },
): Promise<Batch[] | null> {
  const n = program.loss.rows;
  const count = batchCount(n);
  const dealt = shuffled(n, uniform);
  const list: Batch[] = [];
  for (let b = 0; b < count; b++) {
    const rows = dealt.slice(Math.floor((b * n) / count), Math.floor(((b + 1) * n) / count)).sort();
    const some = await gatesInTurns(program.gates, rows, pause);
    if (some === null) return null;
    const made = batchOf(program, rows, some, kernels);
    bound.push(made.bound);
    list.push(made.batch);
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
  return squaredNormFrom(largest, list.length);
}

function shuffle(list: Int32Array, uniform: () => number): void {
  for (let k = list.length - 1; k > 0; k--) {
    const other = Math.floor(uniform() * (k + 1));
    [list[k], list[other]] = [list[other], list[k]];
  }
}

function rowsOf(X: Matrix, rows: Int32Array): Matrix {
  const { cols } = X;
  const some = new Float64Array(rows.length * cols);
  rows.forEach((row, k) => {
    some.set(rowBlock(X, row, 1), k * cols);
  });
  return { rows: rows.length, cols, data: some };
}

/** The patterns on some rows. */
export function gatesOn(gates: GateSet, rows: Int32Array): GateSet {
  const some = patternsAt(gates, rows);
  for (let i = 0; i < gates.count; i++) some.take(i);
  return some.gates;
}

/** Null when time is up. */
async function gatesInTurns(gates: GateSet, rows: Int32Array, pause: Pause): Promise<GateSet | null> {
  const some = patternsAt(gates, rows);
  const between = Math.ceil(BITS / rows.length);
  for (let i = 0; i < gates.count; i++) {
    if (i % between === between - 1 && (await pause())) return null;
    some.take(i);
  }
  return some.gates;
}

/** Gates on some rows, of which `take` reads the pattern of one. */
function patternsAt(gates: GateSet, rows: Int32Array) {
  const [all, some] = [wordsPerGate(gates.rows), wordsPerGate(rows.length)];
  const bits = new Uint32Array(gates.count * some);
  const take = (i: number) =>
    pick(gates.bits.subarray(i * all, (i + 1) * all), rows, bits.subarray(i * some, (i + 1) * some));
  return { take, gates: { ...gates, rows: rows.length, bits, complete: false } satisfies GateSet };
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
