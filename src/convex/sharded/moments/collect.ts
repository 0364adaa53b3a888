/** What a shard adds up of its rows, once, so that squared loss needs them no more: folds apart, so that any of them can be left out. */

import type { Kernels } from "../../kernels/types.js";
import { wordsPerGate } from "../../linear/bits.js";
import { eachBlock } from "../../linear/rowBlock.js";
import { ONE_PATCH } from "../../network.js";
import type { GateSet, Matrix } from "../../types.js";
import { foldOf } from "./folds.js";
import { momentsSize, pairsOf, productsOf } from "./layout.js";

/** How rows are dealt into folds: by their number among all rows, of which `offset` come before. */
export interface Deal {
  readonly folds: number;
  readonly seed: number;
  readonly offset: number;
}

/** Rows of one fold whose products are summed together: a multiple of 32, some 8 MB of products. */
const ROWS = 1024;
const ROOM = 2 ** 20;
const WORD = 32;
/** Rows that are read at a time. */
const BLOCK = 1024;

/** Of every fold: n, y'y and 1'y [C each], A'1 [P x d] and A'y [P x C x d], one after another. */
export function linearMoments(
  X: Matrix,
  Y: Float64Array,
  C: number,
  gates: GateSet,
  kernels: Pick<Kernels, "poolPatches">,
  deal: Deal,
): Float64Array {
  const { cols: d } = X;
  const P = gates.count;
  const size = momentsSize(P, C, d);
  const out = new Float64Array(deal.folds * size);
  const heads = Array.from({ length: deal.folds }, () => new Float64Array(1 + 2 * C)); // of a block
  const each = d * (1 + C); // x, then y_c x
  const batches = heads.map(() => new Batch(kernels, each, P, ownPairs(P), new Float64Array(P * each)));
  eachBlock(X, BLOCK, (rows, first, count) => {
    for (let k = 0; k < count; k++) {
      const fold = foldOf(deal.offset + first + k, deal.folds, deal.seed);
      const y = Y.subarray((first + k) * C, (first + k + 1) * C);
      const x = rows.subarray(k * d, (k + 1) * d);
      const head = heads[fold];
      head[0] += 1;
      for (let c = 0; c < C; c++) {
        head[1 + c] += y[c] * y[c];
        head[1 + C + c] += y[c];
      }
      batches[fold].add(gates, first + k, (into, at) => {
        for (let p = 0; p < d; p++) {
          into[at + p] = x[p];
          for (let c = 0; c < C; c++) into[at + (1 + c) * d + p] = y[c] * x[p];
        }
      });
    }
    heads.forEach((head, fold) => {
      for (let k = 0; k < head.length; k++) out[fold * size + k] += head[k];
      head.fill(0);
    });
  });
  batches.forEach((batch, fold) => {
    const sums = batch.end();
    const at = fold * size + 1 + 2 * C;
    for (let i = 0; i < P; i++) {
      const one = sums.subarray(i * each, (i + 1) * each);
      out.set(one.subarray(0, d), at + i * d);
      out.set(one.subarray(d), at + P * d + i * C * d);
    }
  });
  return out;
}

/**
 * Of every fold: X' D_i D_j X for the gates i of [from, to) and all j <= i, each as its upper triangle.
 *
 * A row adds the same products x_p x_q to the block of every pair that it passes. So these are sums of rows that masks select, as those
 * of patches are, and four rows cost a pair one addition (`poolPatches`): an eighth of the additions, and none of the multiplications,
 * of A'A from the columns of A.
 */
export function pairSums(
  X: Matrix,
  gates: GateSet,
  kernels: Pick<Kernels, "poolPatches">,
  deal: Deal,
  from: number,
  to: number,
): Float64Array {
  const width = productsOf(X.cols);
  const size = (pairsOf(to) - pairsOf(from)) * width;
  const out = new Float64Array(deal.folds * size);
  const pairs = pairsFrom(from, to);
  const batches = Array.from(
    { length: deal.folds },
    (_, fold) => new Batch(kernels, width, to, pairs, out.subarray(fold * size, (fold + 1) * size)),
  );
  eachBlock(X, BLOCK, (rows, first, count) => {
    for (let k = 0; k < count; k++) {
      const j = first + k;
      const row = rows.subarray(k * X.cols, (k + 1) * X.cols);
      batches[foldOf(deal.offset + j, deal.folds, deal.seed)].add(gates, j, (into, start) => {
        let at = start;
        for (let p = 0; p < row.length; p++) for (let q = p; q < row.length; q++) into[at++] = row[p] * row[q];
      });
    }
  });
  for (const batch of batches) batch.end();
  return out;
}

/** (i, j) for the gates i of [from, to) and all j <= i, one after another. */
function pairsFrom(from: number, to: number): Int32Array {
  const list: number[] = [];
  for (let i = from; i < to; i++) for (let j = 0; j <= i; j++) list.push(i, j);
  return Int32Array.from(list);
}

/** (i, i) for each gate. */
function ownPairs(gates: number): Int32Array {
  return Int32Array.from({ length: 2 * gates }, (_, k) => k >>> 1);
}

/** Rows of one fold on their way into its sums. */
class Batch {
  private readonly most: number;
  private readonly words: number;
  private readonly rows: Float64Array; // [most x width]
  private readonly masks: Uint32Array; // [gates x words]
  private readonly both: Uint32Array; // [pairs x words]
  private readonly sums: Float64Array; // [pairs x width]
  private count = 0;

  constructor(
    private readonly kernels: Pick<Kernels, "poolPatches">,
    private readonly width: number, // numbers of a row
    private readonly gates: number, // that pairs are of
    private readonly pairs: Int32Array, // [pairs x 2]
    private readonly out: Float64Array, // [pairs x width]
  ) {
    this.most = Math.max(WORD, Math.min(ROWS, WORD * Math.floor(ROOM / (WORD * width))));
    this.words = wordsPerGate(this.most);
    this.rows = new Float64Array(this.most * width);
    this.masks = new Uint32Array(gates * this.words);
    this.both = new Uint32Array((pairs.length / 2) * this.words);
    this.sums = new Float64Array(out.length);
  }

  /** Adds row j, whose numbers `write` puts into their place, to the sums of the pairs that it passes. */
  add({ bits, rows }: GateSet, j: number, write: (into: Float64Array, at: number) => void): void {
    const { gates, words, masks } = this;
    write(this.rows, this.count * this.width);
    const stride = wordsPerGate(rows);
    const word = this.count >>> 5;
    const place = this.count & 31;
    for (let i = 0, read = j >>> 5, to = word; i < gates; i++, read += stride, to += words)
      masks[to] |= ((bits[read] >>> (j & 31)) & 1) << place;
    this.count += 1;
    if (this.count === this.most) this.flush();
  }

  /** The sums, once no row is to come. */
  end(): Float64Array {
    this.flush();
    return this.out;
  }

  private flush(): void {
    const { words, masks, both, pairs, sums, out } = this;
    if (this.count === 0) return;
    for (let k = 0, at = 0; k < pairs.length; k += 2) {
      const [i, j] = [pairs[k] * words, pairs[k + 1] * words];
      for (let w = 0; w < words; w++) both[at++] = masks[i + w] & masks[j + w];
    }
    const pooling = { ...ONE_PATCH, patches: this.most };
    const shape = { pooling, gates: pairs.length / 2, samples: 1, d: this.width, first: 0, words };
    this.kernels.poolPatches(this.rows, both, shape, sums);
    for (let k = 0; k < sums.length; k++) out[k] += sums[k];
    masks.fill(0);
    this.count = 0;
  }
}
