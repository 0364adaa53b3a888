/** The best of what a run has seen: the lowest primal point and the highest dual bound need not come from one round. */

import { relativeGap } from "../certificate/index.js";
import type { ConvexProgram, Gap, SparseBlocks } from "../types.js";
import type { Point } from "./solver.js";

export class BestPoint {
  private blocks: SparseBlocks | null = null;
  private primal = Number.POSITIVE_INFINITY;
  private dual = Number.NEGATIVE_INFINITY;
  private dualPoint: Float64Array | null = null;

  constructor(private readonly program: Pick<ConvexProgram, "loss" | "outputBias">) {}

  /** Takes in a point judged with the dual point scale N, and answers with the best so far. A point with NaN never wins. */
  consider(blocks: SparseBlocks, gap: Gap & { readonly scale: number }, N: Float64Array): Point {
    if (this.blocks === null || gap.primal < this.primal) {
      this.blocks = blocks;
      this.primal = gap.primal;
    }
    if (this.dualPoint === null || gap.dual > this.dual) {
      this.dual = gap.dual;
      this.dualPoint = N.map((value) => gap.scale * value);
    }
    const { primal, dual, dualPoint } = this;
    return { blocks: this.blocks, gap: { primal, dual, relative: relativeGap(primal, dual, this.program) }, dualPoint };
  }
}
