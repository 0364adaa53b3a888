/**
 * Accelerated proximal gradient for gated programs with smooth losses: one product forward and one back an iteration.
 *
 * Beck and Teboulle (2009), with the gradient restart of O'Donoghue and Candes (2015, section 3.2). The products A x are
 * carried along, so that the extrapolated point costs none. The line search accepts a step when
 *
 *   <L'(Z+) - L'(Zy), Z+ - Zy> <= |x+ - y|^2 / step,   Z+ = A x+,
 *
 * which implies the usual bound on L(Z+) (for a quadratic it is the same) and, unlike a difference of two losses, keeps its
 * digits near the optimum (Becker, Candes and Grant 2011, section 5.3).
 */

import { GapJudge } from "../certificate.js";
import { hostIterate } from "../kernels/hostIterate.js";
import type { BlockIterate } from "../kernels/types.js";
import { minimiseOverBias } from "../operators/outputBias.js";
import type { SparseBlocks } from "../types.js";
import { BestPoint } from "./bestPoint.js";
import type { Point, Run, Setting, Solver } from "./solver.js";

const ITERATIONS_A_ROUND = 20;
const POWER_STEPS = 12; // for the norm of the operator: the line search mends what they miss
const SHRINK = 0.5; // of the step, when the line search refuses it
const GROW = 1.02; // of the step, after every accepted iteration
const MAX_SHRINKS = 60;
/** Rounding of the left side of the line search, relative to its terms. */
const ROUNDING = 1e-12;

export const fista: Solver = {
  name: "fista",
  refuses(program) {
    if (program.cones) return `fista: has no step that keeps cones; use "proximal-newton" for ReLU programs.`;
    if (!Number.isFinite(program.loss.curvature)) {
      return `fista: needs a smooth loss, got "${program.loss.name}"; use "squaredHinge" or "proximal-newton".`;
    }
    return null;
  },
  start: (setting, from) => new FistaRun(setting, from),
};

class FistaRun implements Run {
  private readonly judge: GapJudge;
  private readonly best: BestPoint;
  private readonly size: number;
  private iterate: BlockIterate | null = null;
  private step = 0;
  private biasScale = 0; // kappa^2: c moves kappa^2 times as far as a block would
  private momentum = 1; // t of Beck and Teboulle
  private Zx: Float64Array; // A x + 1 c'
  private Zy: Float64Array;
  private cx: Float64Array;
  private cy: Float64Array;

  constructor(
    private readonly setting: Setting,
    private readonly from: SparseBlocks | null,
  ) {
    const { program, products } = setting;
    this.judge = new GapJudge(program, products, setting.memory.judge);
    this.best = new BestPoint();
    this.size = program.loss.rows * program.loss.outputs;
    this.Zx = new Float64Array(this.size);
    this.Zy = new Float64Array(this.size);
    this.cx = new Float64Array(program.loss.outputs);
    this.cy = new Float64Array(program.loss.outputs);
  }

  async round(): Promise<Point & { readonly resting: boolean }> {
    if (this.iterate === null) this.iterate = await this.begin();
    for (let k = 0; k < ITERATIONS_A_ROUND; k++) {
      await this.advance(this.iterate);
      if (await this.setting.pause()) break;
    }
    const { index, vectors } = await this.iterate.read();
    const blocks: SparseBlocks = { index, vectors, bias: Float64Array.from(this.cx) };
    const N = new Float64Array(this.size);
    this.judge.predict(blocks, this.Zx);
    this.setting.program.loss.gradient(this.Zx, N);
    const point = this.best.consider(blocks, this.judge.gap(blocks, N));
    return { ...point, resting: false };
  }

  dispose(): void {
    this.iterate?.dispose();
  }

  private async begin(): Promise<BlockIterate> {
    const { program, products, kernels } = this.setting;
    const { X, gates, loss, penalty, outputBias, pooling } = program;
    const iterate =
      kernels.iterate === undefined || pooling != null
        ? hostIterate(products, X, gates, loss.outputs, penalty, pooling?.positions)
        : await kernels.iterate(X, gates, loss.outputs, penalty);
    if (this.from !== null) {
      await iterate.write(this.from.index, this.from.vectors);
      this.cx.set(this.from.bias);
      this.judge.predict(this.from, this.Zx);
    } else if (outputBias !== null) {
      this.cx = minimiseOverBias(loss, this.Zx, outputBias);
      for (let k = 0; k < this.size; k++) this.Zx[k] = this.cx[k % loss.outputs];
    }
    this.cy.set(this.cx);
    this.Zy.set(this.Zx);
    const squaredNorm = this.operatorNorm();
    this.biasScale = squaredNorm / loss.rows;
    this.step = 1 / (loss.curvature * squaredNorm);
    return iterate;
  }

  /** One iteration: gradient at y, a step that the line search accepts, momentum or restart. */
  private async advance(iterate: BlockIterate): Promise<void> {
    const { loss, beta, outputBias } = this.setting.program;
    const C = loss.outputs;
    const R = new Float64Array(this.size);
    loss.gradient(this.Zy, R);
    await iterate.gradient(R);
    const Z = new Float64Array(this.size);
    const ahead = new Float64Array(this.size);
    const c = new Float64Array(C);
    for (let shrinks = 0; ; shrinks++) {
      const report = await iterate.step(this.step, this.step * beta);
      await iterate.forward(Z);
      let moved = report.moved;
      let turned = report.turned;
      if (outputBias !== null) {
        const stride = this.step * this.biasScale;
        for (let o = 0; o < C; o++) {
          let sum = 0;
          for (let k = o; k < this.size; k += C) sum += R[k];
          c[o] = (this.cy[o] - stride * sum) / (1 + 2 * outputBias.ridge * stride);
          moved += (c[o] - this.cy[o]) ** 2 / this.biasScale;
          turned += ((this.cy[o] - c[o]) * (c[o] - this.cx[o])) / this.biasScale;
        }
        for (let k = 0; k < this.size; k++) Z[k] += c[k % C];
      }
      loss.gradient(Z, ahead);
      let bend = 0;
      for (let k = 0; k < this.size; k++) bend += (ahead[k] - R[k]) * (Z[k] - this.Zy[k]);
      if (bend <= (moved / this.step) * (1 + ROUNDING) || shrinks === MAX_SHRINKS) {
        await this.move(iterate, Z, c, turned > 0);
        return;
      }
      this.step *= SHRINK;
    }
  }

  private async move(iterate: BlockIterate, Z: Float64Array, c: Float64Array, restart: boolean): Promise<void> {
    const before = restart ? 1 : this.momentum;
    this.momentum = (1 + Math.sqrt(1 + 4 * before * before)) / 2;
    const pull = restart ? 0 : (before - 1) / this.momentum;
    await iterate.accept(pull);
    for (let k = 0; k < this.size; k++) {
      this.Zy[k] = Z[k] + pull * (Z[k] - this.Zx[k]);
      this.Zx[k] = Z[k];
    }
    for (let o = 0; o < c.length; o++) {
      this.cy[o] = c[o] + pull * (c[o] - this.cx[o]);
      this.cx[o] = c[o];
    }
    this.step *= GROW;
  }

  /** |A|^2 by power steps on [n]: every output has the same operator, so one is enough. */
  private operatorNorm(): number {
    const { program, products } = this.setting;
    const { gates, X, loss, pooling } = program;
    const n = loss.rows;
    const positions = pooling?.positions ?? 1;
    const columns = gates.count * positions;
    const all = Int32Array.from({ length: columns }, (_, k) => Math.floor(k / positions));
    const output = Int32Array.from(all, (_, k) => k % positions);
    const sign = new Float64Array(columns).fill(1);
    const vectors = new Float64Array(columns * X.cols);
    let u = new Float64Array(n).fill(1 / Math.sqrt(n));
    let next = new Float64Array(n);
    let value = 0;
    for (let k = 0; k < POWER_STEPS; k++) {
      products.adjoint(u, 1, null, vectors);
      products.forward(all, output, sign, vectors, 1, next);
      value = Math.sqrt(next.reduce((sum, entry) => sum + entry * entry, 0));
      if (!(value > 0)) return 1;
      for (let j = 0; j < n; j++) next[j] /= value;
      [u, next] = [next, u];
    }
    return value;
  }
}
