/** The best of what a run has seen: the lowest primal point and the highest dual bound need not come from one round. */

import { relativeGap } from "../certificate.js";
import type { Gap, SparseBlocks } from "../types.js";
import type { Point } from "./solver.js";

export class BestPoint {
  private blocks: SparseBlocks | null = null;
  private primal = Number.POSITIVE_INFINITY;
  private dual = Number.NEGATIVE_INFINITY;

  /** Takes in a judged point and answers with the best so far. A point with NaN never wins. */
  consider(blocks: SparseBlocks, gap: Gap): Point {
    if (this.blocks === null || gap.primal < this.primal) {
      this.blocks = blocks;
      this.primal = gap.primal;
    }
    if (gap.dual > this.dual) this.dual = gap.dual;
    const { primal, dual } = this;
    return { blocks: this.blocks, gap: { primal, dual, relative: relativeGap(primal, dual) } };
  }
}
