/** From a start near the optimum: Newton steps on its blocks while they close the gap fast, then another run. */

import { GapJudge } from "../../certificate/index.js";
import { blockOutputs } from "../../operators/blocks.js";
import type { SparseBlocks } from "../../types.js";
import { BestPoint } from "../bestPoint.js";
import type { Point, Run, Setting } from "../solver.js";
import { prefersProducts } from "../systems/index.js";
import { MOST_ENTERING, type SupportPoint, supportStep } from "./supportStep.js";

/** A step is slow where it leaves more than this share of the gap; so many may be, as long as the objective keeps its size. */
const FALL = 0.5;
const SLOW_STEPS = 2;
const NO_ROWS = { count: 0, make: () => new Float64Array(0) };

export class SupportRun implements Run {
  private readonly judge: GapJudge;
  private readonly best: BestPoint;
  private at: SupportPoint;
  private point: Point; // the best so far
  private slow = 0; // steps
  private after: Run | null = null;

  /** `next` starts the other run from the best point. */
  constructor(
    private readonly setting: Setting,
    from: SparseBlocks,
    private readonly next: (from: SparseBlocks) => Run,
  ) {
    this.best = new BestPoint(setting.program);
    this.judge = new GapJudge(setting.program, setting.products, setting.memory.judge, setting.late);
    const { at, judged } = this.judged(from);
    this.at = at;
    this.point = this.best.consider(from, judged, judged.N);
  }

  /** Whether its steps are for such programs: one output, a smooth loss, no cones or patches, rows for an n x n matrix. */
  static fits({ program }: Setting, from: SparseBlocks): boolean {
    const { X, loss, cones, penalty, pooling } = program;
    const plain = !cones && pooling == null && penalty.separable && blockOutputs(program) === 1 && !loss.beside;
    const vectors = Math.max(MOST_ENTERING, from.index.length);
    const blocks = { n: loss.rows, gates: from.index, vectors, rows: NO_ROWS };
    return plain && Number.isFinite(loss.curvature) && !prefersProducts(blocks, X.cols);
  }

  async round(): Promise<Point & { readonly resting: boolean }> {
    if (this.after === null) {
      if (this.point.gap.relative <= this.setting.tolerance || (await this.setting.pause()) || this.step()) {
        return { ...this.point, resting: false };
      }
      this.after = this.next(this.point.blocks);
    }
    const { blocks, gap, dualPoint, resting } = await this.after.round();
    this.point = this.best.consider(blocks, { ...gap, scale: 1 }, dualPoint);
    return { ...this.point, resting };
  }

  dispose(): void {
    this.after?.dispose();
  }

  /** One step; answers whether it, or what may follow it, is worth having. */
  private step(): boolean {
    const { primal, relative } = this.point.gap;
    const blocks = supportStep(this.setting, this.at);
    if (blocks === null) return false;
    const after = this.moveTo(blocks);
    if (this.point.gap.relative <= Math.max(this.setting.tolerance, FALL * relative)) return true;
    this.slow += 1;
    return this.slow <= SLOW_STEPS && after <= primal + relative * Math.abs(primal);
  }

  /** Answers with the objective there. */
  private moveTo(blocks: SparseBlocks): number {
    const { at, judged } = this.judged(blocks);
    this.at = at;
    this.point = this.best.consider(blocks, judged, judged.N);
    return judged.primal;
  }

  private judged(blocks: SparseBlocks) {
    const { loss } = this.setting.program;
    const Z = new Float64Array(loss.rows);
    this.judge.predict(blocks, Z);
    const xi = new Float64Array(loss.rows);
    loss.gradient(Z, xi);
    const N = xi.slice(); // the judge may balance it
    const gap = this.judge.gap(blocks, N);
    return { at: { blocks, Z, xi, prices: gap.prices.prices }, judged: { ...gap, N } };
  }
}
