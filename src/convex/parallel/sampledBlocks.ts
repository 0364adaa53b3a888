/** Blocks that Gaussian branches lie in, each with both signs q: a list, priced one by one. */

import type { Pieces } from "../linear/pieces.js";
import { gaussianSource } from "../linear/random.js";
import { norm } from "../linear/vectors.js";
import type { Matrix } from "../types.js";
import { type BlockClass, nameOf, type Priced } from "./blockClass.js";
import { type Block, type BranchCharge, type Piece, sumsOf } from "./branch.js";
import { sumRow } from "./cone.js";
import { priceOf, type RowCoefficients } from "./pricing/index.js";

/** Draws for each block that is asked for, before fewer will do: small data have few. */
const DRAWS_PER_BLOCK = 20;

/** Draws branches until they lie in `count` blocks, too many were drawn, or it is told to end; of one seed the first blocks are always the same. */
export function* sampling(X: Matrix, m: number, count: number, seed: number): Pieces<Block[]> {
  const draw = gaussianSource(seed);
  const blocks = new Map<string, Block>();
  for (let spent = 0; spent < DRAWS_PER_BLOCK * count && blocks.size < count; spent++) {
    const Z = Float64Array.from({ length: m * X.cols }, draw);
    const signs = Array.from({ length: m }, (): 1 | -1 => (draw() < 0 ? -1 : 1));
    const h = sumsOf(X, { Z, signs });
    if (!h.some((value) => value > 0)) continue;
    const on = Uint8Array.from(h, (value) => Number(value >= 0));
    const length = norm(Z);
    const inner = Z.map((value) => value / length);
    const pieces = signs.map((sign, j) => pieceAt(X, inner.slice(j * X.cols, (j + 1) * X.cols), sign));
    for (const sign of [1, -1] as const) {
      const block = { pieces, on, sign, inner };
      const name = nameOf(block);
      if (blocks.size < count && !blocks.has(name)) blocks.set(name, block);
    }
    if (yield) break;
  }
  return [...blocks.values()];
}

export class SampledBlocks implements BlockClass {
  readonly complete = false;

  constructor(
    private readonly X: Matrix,
    private readonly blocks: readonly Block[],
    private readonly charge: BranchCharge,
  ) {}

  get count(): number {
    return this.blocks.length;
  }

  async price(weights: Float64Array, enough: number, pause: () => Promise<boolean>): Promise<Priced | null> {
    let upper = 0;
    const dearer: { block: Block; worth: number }[] = [];
    for (const block of this.blocks) {
      if (await pause()) return null;
      const found = priceOf(this.X, block.pieces, rowsOf(this.X, block, weights), this.charge, enough);
      upper = Math.max(upper, found.upper);
      if (found.lower > enough) dearer.push({ block, worth: found.lower });
    }
    dearer.sort((a, b) => b.worth - a.worth);
    return { upper, dearer: dearer.map(({ block }) => block) };
  }
}

function pieceAt({ rows: n, cols: d, data }: Matrix, inner: Float64Array, sign: 1 | -1): Piece {
  const on = Uint8Array.from({ length: n }, (_, k) => {
    let sum = 0;
    for (let p = 0; p < d; p++) sum += data[k * d + p] * inner[p];
    return Number(sum >= 0);
  });
  return { on, inner, sign };
}

/** c = q D_2 w + (2 D_2 - I) mu, mu >= 0. */
function rowsOf(X: Matrix, { pieces, on, sign }: Block, weights: Float64Array): RowCoefficients {
  return {
    base: weights.map((value, k) => sign * on[k] * value),
    direction: Int8Array.from(on, (entry) => 2 * entry - 1),
    upper: weights.map((_, k) => (sumRow(X, pieces, k).some((entry) => entry !== 0) ? Number.POSITIVE_INFINITY : 0)),
  };
}
