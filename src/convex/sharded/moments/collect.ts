/** What a shard adds up of its rows, once, so that squared loss needs them no more: folds apart, so that any of them can be left out. */

import type { GatedProducts, Kernels } from "../../kernels/types.js";
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
  gates: number,
  products: GatedProducts,
  deal: Deal,
): Float64Array {
  const size = momentsSize(gates, C, X.cols);
  const out = new Float64Array(deal.folds * size);
  const part = new Float64Array(X.rows * C);
  const ones = new Float64Array(X.rows);
  for (let fold = 0; fold < deal.folds; fold++) {
    const mine = out.subarray(fold * size, (fold + 1) * size);
    part.fill(0);
    ones.fill(0);
    for (let j = 0; j < X.rows; j++) {
      if (foldOf(deal.offset + j, deal.folds, deal.seed) !== fold) continue;
      ones[j] = 1;
      mine[0] += 1;
      for (let c = 0; c < C; c++) {
        const y = Y[j * C + c];
        part[j * C + c] = y;
        mine[1 + c] += y * y;
        mine[1 + C + c] += y;
      }
    }
    const sums = 1 + 2 * C;
    const width = gates * X.cols;
    products.adjoint(ones, 1, null, mine.subarray(sums, sums + width));
    products.adjoint(part, C, null, mine.subarray(sums + width));
  }
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
  const batches = Array.from(
    { length: deal.folds },
    (_, fold) => new Batch(kernels, X.cols, from, to, out.subarray(fold * size, (fold + 1) * size)),
  );
  eachBlock(X, BLOCK, (rows, first, count) => {
    for (let k = 0; k < count; k++) {
      const j = first + k;
      batches[foldOf(deal.offset + j, deal.folds, deal.seed)].add(
        rows.subarray(k * X.cols, (k + 1) * X.cols),
        gates,
        j,
      );
    }
  });
  for (const batch of batches) batch.flush();
  return out;
}

/** Rows of one fold on their way into its sums. */
class Batch {
  private readonly most: number;
  private readonly words: number;
  private readonly products: Float64Array; // [most x d (d + 1) / 2]
  private readonly masks: Uint32Array; // [to x words]
  private readonly both: Uint32Array; // [pairs x words]
  private readonly sums: Float64Array; // [pairs x d (d + 1) / 2]
  private count = 0;

  constructor(
    private readonly kernels: Pick<Kernels, "poolPatches">,
    private readonly d: number,
    private readonly from: number,
    private readonly to: number,
    private readonly out: Float64Array,
  ) {
    const width = productsOf(d);
    const pairs = pairsOf(to) - pairsOf(from);
    this.most = Math.max(WORD, Math.min(ROWS, WORD * Math.floor(ROOM / (WORD * width))));
    this.words = wordsPerGate(this.most);
    this.products = new Float64Array(this.most * width);
    this.masks = new Uint32Array(to * this.words);
    this.both = new Uint32Array(pairs * this.words);
    this.sums = new Float64Array(pairs * width);
  }

  add(row: Float64Array, { bits, rows }: GateSet, j: number): void {
    const { d, to, words, masks, products } = this;
    for (let p = 0, at = this.count * productsOf(d); p < d; p++) {
      const value = row[p];
      for (let q = p; q < d; q++) products[at++] = value * row[q];
    }
    const stride = wordsPerGate(rows);
    const word = this.count >>> 5;
    const place = this.count & 31;
    for (let i = 0, read = j >>> 5, write = word; i < to; i++, read += stride, write += words)
      masks[write] |= ((bits[read] >>> (j & 31)) & 1) << place;
    this.count += 1;
    if (this.count === this.most) this.flush();
  }

  /** Adds what has come together. */
  flush(): void {
    const { count, words, masks, both, sums, from, to, out } = this;
    if (count === 0) return;
    let at = 0;
    for (let i = from; i < to; i++) {
      for (let j = 0; j <= i; j++)
        for (let w = 0; w < words; w++) both[at++] = masks[i * words + w] & masks[j * words + w];
    }
    const gates = pairsOf(to) - pairsOf(from);
    const pooling = { ...ONE_PATCH, patches: this.most };
    const shape = { pooling, gates, samples: 1, d: productsOf(this.d), first: 0, words };
    this.kernels.poolPatches(this.products, both, shape, sums);
    for (let k = 0; k < sums.length; k++) out[k] += sums[k];
    masks.fill(0);
    this.count = 0;
  }
}
