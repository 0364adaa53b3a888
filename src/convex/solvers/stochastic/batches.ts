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

export interface Batch {
  readonly rows: Int32Array; // increasing
  /** Of these rows, multiplied in float32 where the engine has that faster: for differences from a point whose products are known. */
  readonly products: Pick<GatedProducts, "forward" | "adjoint">;
  readonly loss: Loss; // the terms of these rows
}

export class Batches {
  readonly list: readonly Batch[];
  private readonly bound: GatedProducts[] = [];
  private readonly uniform: () => number;
  private readonly order: Int32Array;

  constructor(
    private readonly program: ConvexProgram,
    kernels: Kernels,
    seed: number,
  ) {
    const { X, gates, loss, pooling } = program;
    this.uniform = uniformSource(seed);
    const n = loss.rows;
    const count = Math.min(n, Math.max(LEAST_BATCHES, Math.min(MOST_BATCHES, Math.floor(n / ROWS))));
    const dealt = Int32Array.from({ length: n }, (_, k) => k);
    this.shuffle(dealt);
    this.list = Array.from({ length: count }, (_, b) => {
      const rows = dealt.slice(Math.floor((b * n) / count), Math.floor(((b + 1) * n) / count)).sort();
      const products = bindProducts(
        { X: rowsOf(X, rows), gates: gatesOn(gates, rows), pooling: pooling ?? null },
        kernels,
      );
      this.bound.push(products);
      return { rows, products: products.roughly?.() ?? products, loss: loss.part?.(rows) ?? loss };
    });
    this.order = Int32Array.from({ length: count }, (_, b) => b);
  }

  /** All batches, in another order each time. */
  *pass(): Generator<Batch> {
    this.shuffle(this.order);
    for (const b of this.order) yield this.list[b];
  }

  /** What |A|^2 of all rows is by a batch, times their number: the largest of those that are looked at. */
  squaredNorm(): number {
    const { X, gates } = this.program;
    const every = Int32Array.from({ length: gates.count }, (_, i) => i);
    const [first, signs] = [new Int32Array(gates.count), new Float64Array(gates.count).fill(1)];
    const vectors = new Float64Array(gates.count * X.cols);
    let largest = 0;
    for (const { rows, products } of this.list.slice(0, PROBED)) {
      const U = new Float64Array(rows.length).fill(1 / Math.sqrt(rows.length));
      for (let step = 0; step < POWER_STEPS; step++) {
        products.adjoint(U, 1, null, vectors);
        products.forward(every, first, signs, vectors, 1, U);
        const length = norm(U);
        largest = Math.max(largest, length);
        if (length > 0) for (let k = 0; k < U.length; k++) U[k] /= length;
      }
    }
    return largest > 0 ? MISSED * this.list.length * largest : 1;
  }

  dispose(): void {
    for (const products of this.bound) products.dispose();
  }

  private shuffle(list: Int32Array): void {
    for (let k = list.length - 1; k > 0; k--) {
      const other = Math.floor(this.uniform() * (k + 1));
      [list[k], list[other]] = [list[other], list[k]];
    }
  }
}

function rowsOf({ cols, data }: Matrix, rows: Int32Array): Matrix {
  const some = new Float64Array(rows.length * cols);
  rows.forEach((row, k) => {
    some.set(data.subarray(row * cols, (row + 1) * cols), k * cols);
  });
  return { rows: rows.length, cols, data: some };
}

function gatesOn(gates: GateSet, rows: Int32Array): GateSet {
  const [all, some] = [wordsPerGate(gates.rows), wordsPerGate(rows.length)];
  const bits = new Uint32Array(gates.count * some);
  for (let i = 0; i < gates.count; i++) {
    rows.forEach((row, k) => {
      if ((gates.bits[i * all + (row >>> 5)] >>> (row & 31)) & 1) bits[i * some + (k >>> 5)] |= 1 << (k & 31);
    });
  }
  return { ...gates, rows: rows.length, bits, complete: false };
}
