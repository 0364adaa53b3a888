/** The rows of a shard, dealt into batches: the same whatever shard a row is in. */

import type { GatedProducts, Kernels } from "../../kernels/types.js";
import { type Batch, batchOf, gatesOn, outputsAt, turnOf } from "../../solvers/stochastic/batches.js";
import { type Bound, powerOf, shifted } from "../answers.js";
import type { OneBatch } from "../cluster.js";
import { hashOf } from "../gates/hash.js";

/** Of the hash of a row: not those of its patterns nor of its fold. */
const SEED = 0x165667b1;

export class DealtRows {
  private readonly list: Int32Array[];
  private readonly made = new Map<number, { readonly batch: Batch; readonly bound: GatedProducts }>();

  constructor(
    private readonly bound: Bound,
    private readonly kernels: Kernels,
    private readonly batches: number,
    offset: number, // of the first row among all
  ) {
    const rows: number[][] = Array.from({ length: batches }, () => []);
    for (let j = 0; j < bound.X.rows; j++) rows[hashOf(offset + j, SEED) % batches].push(j);
    this.list = rows.map((some) => Int32Array.from(some));
  }

  /** A'A v of a batch for one output, v [P x d]. */
  power(call: OneBatch, v: Float64Array): Float64Array {
    const batch = this.batchOf(call);
    return batch === null
      ? new Float64Array(v.length)
      : powerOf(batch.products, batch.rows.length, this.bound.X.cols, v);
  }

  /**
   * The turn of a batch from the point whose outputs are `at` [n x C]. Payload: what is added to the bias there [C], shift of the bias [C], the
   * gates of the round, and the difference of their blocks [gates x C x d]. Answers with sums [C] and pull [gates x C x d].
   */
  turn(call: OneBatch, at: Float64Array, payload: Float64Array): Float64Array {
    const { loss, X } = this.bound;
    const C = loss.outputs;
    const count = (payload.length - 2 * C) / (1 + C * X.cols);
    const batch = this.batchOf(call);
    const out = new Float64Array(C + count * C * X.cols);
    if (batch === null) return out;
    const gates = Int32Array.from(payload.subarray(2 * C, 2 * C + count));
    const move = { away: payload.subarray(2 * C + count), shift: payload.subarray(C, 2 * C) };
    const here = shifted(outputsAt(batch, at, C), payload.subarray(0, C));
    const { sums, pull } = turnOf(batch, this.batches, gates, move, here);
    out.set(sums);
    out.set(pull, C);
    return out;
  }

  dispose(): void {
    for (const { bound } of this.made.values()) bound.dispose();
    this.made.clear();
  }

  /** Null where this shard has no row of it. */
  private batchOf({ batch }: OneBatch): Batch | null {
    const rows = this.list[batch];
    if (rows.length === 0) return null;
    const known = this.made.get(batch);
    if (known !== undefined) return known.batch;
    const { X, loss, gates } = this.bound;
    const made = batchOf({ X, loss, pooling: null }, rows, gatesOn(gates, rows), this.kernels);
    this.made.set(batch, made);
    return made.batch;
  }
}
