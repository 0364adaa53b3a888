/** Blocks that Gaussian branches lie in, each with both signs q: a list, priced one by one. */

import type { Pieces } from "../linear/pieces.js";
import { gaussianSource } from "../linear/random.js";
import { norm } from "../linear/vectors.js";
import type { Matrix } from "../types.js";
import { type BlockClass, nameOf, type Priced } from "./blockClass.js";
import { type Block, type Branch, type BranchCharge, type Piece, type Sign, sumsOf, widthsOf } from "./branch.js";
import { patternsAbove } from "./cone.js";
import { coefficientsOf, priceOf } from "./pricing/index.js";

/** Draws for each block that is asked for, before fewer will do: small data have few. */
const DRAWS_PER_BLOCK = 20;

/** Draws branches until they lie in `count` blocks, too many were drawn, or it is told to end; of one seed the first blocks are always the same. */
export function* sampling(X: Matrix, hidden: readonly number[], count: number, seed: number): Pieces<Block[]> {
  const draw = gaussianSource(seed);
  const sizes = widthsOf(hidden);
  const blocks = new Map<string, Block>();
  for (let spent = 0; spent < DRAWS_PER_BLOCK * count && blocks.size < count; spent++) {
    const Z = Float64Array.from({ length: sizes[0] * X.cols }, draw);
    const signs = sizes.map((size) => Array.from({ length: size }, (): Sign => (draw() < 0 ? -1 : 1)));
    for (const q of [1, -1] as const) {
      const block = blockOf(X, { Z, signs: [...signs, [q]] });
      if (block === null) break;
      const name = nameOf(block);
      if (blocks.size < count && !blocks.has(name)) blocks.set(name, block);
    }
    if (yield) break;
  }
  return [...blocks.values()];
}

/** The block that a branch lies in, off all its walls; null where the branch is zero on all rows. */
export function blockOf(X: Matrix, branch: Branch): Block | null {
  const [[h]] = sumsOf(X, branch).slice(-1);
  if (!h.some((value) => value > 0)) return null;
  const length = norm(branch.Z);
  const inner = branch.Z.map((value) => value / length);
  const [own, second] = branch.signs;
  const pieces = own.map((sign, j) => {
    const of = Math.floor((j * second.length) / own.length);
    return { ...pieceAt(X, inner.slice(j * X.cols, (j + 1) * X.cols), sign), of };
  });
  return { pieces, above: patternsAbove(X, branch), inner };
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
      const found = priceOf(this.X, block.pieces, coefficientsOf(this.X, block, weights), this.charge, enough);
      upper = Math.max(upper, found.upper);
      if (found.lower > enough) dearer.push({ block, worth: found.lower });
    }
    dearer.sort((a, b) => b.worth - a.worth);
    return { upper, dearer: dearer.map(({ block }) => block) };
  }
}

function pieceAt({ rows: n, cols: d, data }: Matrix, inner: Float64Array, sign: Sign): Omit<Piece, "of"> {
  const on = Uint8Array.from({ length: n }, (_, k) => {
    let sum = 0;
    for (let p = 0; p < d; p++) sum += data[k * d + p] * inner[p];
    return Number(sum >= 0);
  });
  return { on, inner, sign };
}
