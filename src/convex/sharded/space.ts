/** The blocks of a program as the driver holds them, and as shards multiply them: one vector a gate and output, whatever signs and cones. */

import type { ConvexProgram } from "../types.js";
import type { RowSums } from "./crew.js";
import type { KeptCuts } from "./cuts.js";

/** A point of the program, near another one that may be none. */
export interface Inside {
  readonly blocks: Float64Array;
  readonly moved: boolean; // false: it is the same
}

/** Blocks [B x C x d], B = P or 2 P. */
export interface BlockSpace {
  readonly size: number; // of all blocks, in numbers
  /** What shards multiply, [P x C x d]; of gated blocks these themselves. */
  folded(blocks: Float64Array): Float64Array;
  /** The gradient over blocks of one over what shards multiply. */
  lifted(pull: Float64Array): Float64Array;
  /** blocks := argmin threshold penalty(u) + |u - blocks|^2 / 2 over the blocks that are known to be allowed. */
  prox(blocks: Float64Array, threshold: number): void;
  /** The largest price of all blocks for X'D_i N [P x C x d] where it is above `threshold`, else a bound of it that is not. Never too low. */
  largestPrice(pull: Float64Array, threshold: number): number;
  /** The same as exactly as shards can tell. */
  exactPrice(rows: RowSums, pull: Float64Array): Promise<number>;
  /** Called before each round. */
  beginRound(): void;
  /** Asks whether all rows allow these blocks, and answers with some that they do; what it learns holds from now on. */
  inside(rows: RowSums, blocks: Float64Array): Promise<Inside>;
  /** What a new driver has to know beside the blocks. */
  readonly kept: KeptCuts | null;
  restore(kept: KeptCuts | null): void;
}

type Charged = Pick<ConvexProgram, "penalty" | "loss" | "X">;

/** Of a gated program. */
export function gatedSpace(program: Pick<ConvexProgram, "gates" | "penalty" | "loss" | "X">): BlockSpace {
  const { gates, loss, penalty, X } = program;
  const C = loss.outputs;
  const largestPrice = (pull: Float64Array) =>
    eachBlock(program, pull, (block) => penalty.dualNorm(block, C, X.cols)).reduce((a, b) => Math.max(a, b), 0);
  return {
    size: gates.count * C * X.cols,
    folded: (blocks) => blocks,
    lifted: (pull) => pull,
    prox(blocks, threshold) {
      eachBlock(program, blocks, (block) => penalty.prox(block, C, X.cols, threshold));
    },
    largestPrice,
    exactPrice: async (_, pull) => largestPrice(pull),
    beginRound() {},
    inside: async (_, blocks) => ({ blocks, moved: false }),
    kept: null,
    restore() {},
  };
}

/** The penalty of blocks, without beta. */
export function penaltyOf(program: Charged, blocks: Float64Array): number {
  const { penalty, loss, X } = program;
  return eachBlock(program, blocks, (block) => penalty.value(block, loss.outputs, X.cols)).reduce((a, b) => a + b, 0);
}

function eachBlock({ loss, X }: Charged, all: Float64Array, use: (block: Float64Array) => number): number[] {
  const size = loss.outputs * X.cols;
  return Array.from({ length: all.length / size }, (_, i) => use(all.subarray(i * size, (i + 1) * size)));
}
