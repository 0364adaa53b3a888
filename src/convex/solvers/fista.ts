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
 *
 * Blocks may live on a device in float32. Points are judged in float64 on the host; each is then the base from which the device
 * counts, and tells by how much its products were off: moves smaller than that prove nothing to the line search.
 */

import { GapJudge } from "../certificate/index.js";
import { hostIterate } from "../kernels/hostIterate.js";
import type { BlockIterate } from "../kernels/types.js";
import { norm } from "../linear/vectors.js";
import { smoothLike } from "../losses/index.js";
import { minimiseOverBias } from "../operators/outputBias.js";
import { perOutput } from "../penalties/perOutput.js";
import type { SparseBlocks } from "../types.js";
import { suits as suitsAdmm } from "./admm/suits.js";
import { BestPoint } from "./bestPoint.js";
import { proximalNewton } from "./newton/index.js";
import type { Point, Run, Setting, Solver } from "./solver.js";

const ITERATIONS_A_ROUND = 20;
/** On a device an iteration is cheap and the judgement, on the host in float64, is not. */
const DEVICE_ITERATIONS_A_ROUND = 50;
const POWER_STEPS = 12; // for the norm of the operator: the line search mends what they miss
const SHRINK = 0.5; // of the step, when the line search refuses it
const GROW = 1.02; // of the step, after every accepted iteration
const MAX_SHRINKS = 60;
/** Rounding of the left side of the line search, relative to its terms. */
const ROUNDING = 1e-12;
/** Products at two points have an error each, and an extrapolated one up to two. */
const NOISE_SHARE = 3;
/** A run on a device rests when this many rounds did not take this share off its gap: then float32 is the limit. */
const DEVICE_STALL_ROUNDS = 24;
const DEVICE_STALL_SHARE = 0.05;

export const fista: Solver = {
  name: "fista",
  firstOrder: true,
  refuses(program) {
    const { cones, loss } = program;
    const why = proximalNewton.refuses(program);
    if (cones)
      return `has no step that keeps cones${why ? `, and "proximal-newton" ${why}` : '; use "proximal-newton".'}`;
    if (Number.isFinite(loss.curvature)) return null;
    const instead = why !== null || suitsAdmm(program) ? "admm" : "proximal-newton";
    return `needs a smooth loss, got "${loss.name}"; use "${smoothLike(loss)}", or "${instead}" as the solver.`;
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
  private readonly Zbase: Float64Array; // A base
  private Zx: Float64Array; // A x + 1 c'
  private Zy: Float64Array;
  private cx: Float64Array;
  private cy: Float64Array;
  private readonly onDevice: boolean;
  private readonly rounding: number; // of one number on the engine
  private noise = 0; // |A x as the engine says it - A x in float64| at the end of the last round
  private readonly gaps: number[] = []; // of the best point after each round

  constructor(
    private readonly setting: Setting,
    private readonly from: SparseBlocks | null,
  ) {
    const { program, products, kernels } = setting;
    this.onDevice = kernels.iterate !== undefined;
    this.rounding = this.onDevice && kernels.dtype === "float32" ? 2 ** -24 : 2 ** -53;
    this.judge = new GapJudge(program, products, setting.memory.judge);
    this.best = new BestPoint(program);
    this.size = program.loss.rows * program.loss.outputs;
    this.Zbase = new Float64Array(this.size);
    this.Zx = new Float64Array(this.size);
    this.Zy = new Float64Array(this.size);
    this.cx = new Float64Array(program.loss.outputs);
    this.cy = new Float64Array(program.loss.outputs);
  }

  async round(): Promise<Point & { readonly resting: boolean }> {
    if (this.iterate === null) this.iterate = await this.begin();
    const iterations = this.onDevice ? DEVICE_ITERATIONS_A_ROUND : ITERATIONS_A_ROUND;
    for (let k = 0; k < iterations; k++) {
      await this.advance(this.iterate);
      if (await this.setting.pause()) break;
    }
    const { index, vectors } = await this.iterate.read();
    const blocks: SparseBlocks = { index, vectors, bias: Float64Array.from(this.cx) };
    const told = this.Zx.slice();
    this.judge.predict(blocks, this.Zx);
    this.noise = distance(told, this.Zx);
    await this.rebase(this.iterate);
    const N = new Float64Array(this.size);
    this.setting.program.loss.gradient(this.Zx, N);
    const point = this.best.consider(blocks, this.judge.gap(blocks, N), N);
    return { ...point, resting: this.rests(point.gap.relative) };
  }

  dispose(): void {
    this.iterate?.dispose();
  }

  /** Makes x the base of the engine's blocks: its product is known in float64 by now. */
  private async rebase(iterate: BlockIterate): Promise<void> {
    if (iterate.rebase === undefined) return;
    await iterate.rebase();
    await this.measureBase(iterate);
  }

  /** The product of the base is what is left of Zx without the bias and without what the engine's differences make. */
  private async measureBase(iterate: BlockIterate): Promise<void> {
    await iterate.forward(this.Zbase);
    const C = this.cx.length;
    for (let k = 0; k < this.size; k++) this.Zbase[k] = this.Zx[k] - this.cx[k % C] - this.Zbase[k];
  }

  /** True when float32 is the limit. In float64 that is for the caller to see. */
  private rests(gap: number): boolean {
    this.gaps.push(gap);
    const before = this.gaps[this.gaps.length - 1 - DEVICE_STALL_ROUNDS];
    return this.onDevice && before !== undefined && gap > (1 - DEVICE_STALL_SHARE) * before;
  }

  private async begin(): Promise<BlockIterate> {
    const { program, products, kernels } = this.setting;
    const { X, gates, loss, penalty, outputBias, pooling } = program;
    const iterate =
      kernels.iterate === undefined
        ? hostIterate(products, X, gates, loss.outputs, penalty, pooling)
        : await kernels.iterate(X, gates, loss.outputs, penalty, pooling);
    // Every output has the same operator: on the host one is enough.
    const probe = this.onDevice ? iterate : hostIterate(products, X, gates, 1, perOutput, pooling);
    const squaredNorm = await this.operatorNorm(probe, this.onDevice ? this.size : loss.rows);
    if (this.from !== null) {
      await iterate.write(this.from.index, this.from.vectors);
      this.cx.set(this.from.bias);
      this.judge.predict(this.from, this.Zx);
      if (iterate.rebase !== undefined) await this.measureBase(iterate);
    } else if (outputBias !== null) {
      this.cx = minimiseOverBias(loss, this.Zx, outputBias);
      for (let k = 0; k < this.size; k++) this.Zx[k] = this.cx[k % loss.outputs];
    }
    this.cy.set(this.cx);
    this.Zy.set(this.Zx);
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
      const [report] = await Promise.all([iterate.step(this.step, this.step * beta), iterate.forward(Z)]);
      const rounding = this.rounding * norm(Z);
      for (let k = 0; k < this.size; k++) Z[k] += this.Zbase[k];
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
      const away = distance(Z, this.Zy);
      const noise = NOISE_SHARE * Math.max(this.noise, rounding);
      const slack = loss.curvature * noise * (2 * away + noise);
      if (bend <= (moved / this.step) * (1 + ROUNDING) + slack || shrinks === MAX_SHRINKS) {
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

  /** |A|^2 by power steps on as many predictions: from blocks of zero, a step of -1 without a threshold leads to A' U. */
  private async operatorNorm(iterate: BlockIterate, size: number): Promise<number> {
    const none = new Int32Array(0);
    const U = new Float64Array(size).fill(1 / Math.sqrt(size));
    let value = 0;
    for (let k = 0; k < POWER_STEPS; k++) {
      await iterate.write(none, new Float64Array(0));
      await iterate.gradient(U);
      await Promise.all([iterate.step(-1, 0), iterate.forward(U)]);
      value = normalise(U);
      if (!(value > 0) || (await this.setting.pause())) break;
    }
    await iterate.write(none, new Float64Array(0));
    return value > 0 ? value : 1;
  }
}

/** Divides by the Euclidean norm, and answers with it; not where it is 0. */
function normalise(u: Float64Array): number {
  const length = norm(u);
  if (length > 0) for (let k = 0; k < u.length; k++) u[k] /= length;
  return length;
}

function distance(a: Float64Array, b: Float64Array): number {
  let square = 0;
  for (let k = 0; k < a.length; k++) square += (a[k] - b[k]) ** 2;
  return Math.sqrt(square);
}
