/**
 * Proximal point with semismooth Newton steps on the dual, in the space of the samples.
 *
 * The augmented Lagrangian idea of Li, Sun and Toh (2018) for lasso problems, here with any convex loss and with cones. A round
 * maximises the dual function of one proximal step (proximalDual.ts); what minimises it there is the next round's center.
 */

import { GapJudge } from "../../certificate/index.js";
import { dot, norm } from "../../linear/vectors.js";
import { smoothLike } from "../../losses/index.js";
import { hasPatches } from "../../network.js";
import { blockOutputs, zeroBlocks } from "../../operators/blocks.js";
import { minimiseOverBias } from "../../operators/outputBias.js";
import type { Gap, SparseBlocks } from "../../types.js";
import { suits as suitsAdmm } from "../admm/suits.js";
import { BestPoint } from "../bestPoint.js";
import type { Point, Run, Setting, Solver } from "../solver.js";
import { DENSE_ROWS } from "../systems/newton.js";
import { WorkingSet } from "../workingSet.js";
import { alignBlocks } from "./alignment.js";
import { type Evaluation, ProximalDual } from "./proximalDual.js";
import { SupportRun } from "./supportNewton.js";

const NEWTON_STEPS = 40; // a round; the line search makes each one ascend
const ARMIJO = 1e-4;
const BACKTRACKS = 40;
const GROWTH = 5; // of sigma and tau from round to round (Li, Sun, Toh 2018 use 3 to 10)
const SHRINKAGE = 4; // where the blocks are degenerate, long steps lose the Newton system to rounding
/** Largest growth of sigma over its first value: beyond it rounding eats the Newton step. */
const MAX_GROWTH = 1e5;
/** Between the largest and the smallest sigma. */
const RANGE = 1e9;
/** Share of the gap asked for that the inner error of a round may keep. */
const INNER_SHARE = 0.02;
/** The same with cones, whose faces cost more to settle than they bring. */
const CONES_SHARE = 0.2;
/** A point whose own gradient must shrink by less than this, to price no block above beta, is near the optimum. */
const NEAR = 0.95;
/** Halvings of the step from such a point. */
const NEAR_BACKTRACKS = 3;
/** Largest patch matrix of a program with cones. */
const MAX_PATCH_BYTES = 2 ** 30;
export const proximalNewton: Solver = {
  name: "proximal-newton",
  firstOrder: false,
  refuses(program) {
    const { X, loss, penalty, cones, pooling } = program;
    const separable = penalty.separable;
    const smooth = Number.isFinite(loss.curvature);
    if (hasPatches(pooling) && cones && 8 * X.rows * X.cols > MAX_PATCH_BYTES) {
      return (
        `holds all ${X.rows} patches for the cones, more than ${MAX_PATCH_BYTES} bytes; use fewer images, ` +
        "larger strides or a gated model."
      );
    }
    if (!separable && cones) {
      return `needs the penalty "perOutput" with cones, got "${penalty.name}"; drop the cones or change it.`;
    }
    // Pooled blocks have few dimensions too: only the nuclear norm asks for the matrix.
    if (loss.rows > DENSE_ROWS && !cones && (pooling == null || !separable)) {
      const instead = suitsAdmm(program) || !smooth ? "admm" : "fista";
      return `holds a ${loss.rows} x ${loss.rows} matrix, more than ${DENSE_ROWS} rows; use "${instead}" or fewer rows.`;
    }
    // With cones the blocks rest on faces of few dimensions, so that no n x n matrix is needed, unless the loss has kinks.
    if (loss.rows > DENSE_ROWS && !smooth) {
      const got = `got "${loss.name}" on ${loss.rows}`;
      return `needs a smooth loss beyond ${DENSE_ROWS} rows with cones, ${got}; use "${smoothLike(loss)}".`;
    }
    return null;
  },
  start: (setting, from, N) =>
    from !== null && SupportRun.fits(setting, from)
      ? new SupportRun(setting, from, (blocks) => new NewtonRun(setting, blocks))
      : new NewtonRun(setting, from, N),
};

class NewtonRun implements Run {
  private readonly judge: GapJudge;
  private readonly working: WorkingSet;
  private readonly dual: ProximalDual;
  private readonly C: number;
  private readonly d: number;
  private xi: Float64Array; // [n x C]
  private readonly sigmaLimit: number;
  private readonly share: number; // of the gap asked for that the inner error may keep
  private readonly best: BestPoint;
  private point: Point; // the best after the last round
  private target = Number.POSITIVE_INFINITY; // absolute error that the inner iteration may keep
  private evaluations = 0; // of the dual function, in this round
  private nearby: Float64Array | null = null; // [n x C]: the gradient at a start near the optimum

  constructor(
    private readonly setting: Setting,
    from: SparseBlocks | null,
    N?: Float64Array,
  ) {
    const { program, products, memory } = setting;
    const { loss, outputBias } = program;
    this.best = new BestPoint(program);
    this.C = loss.outputs;
    this.d = program.X.cols;
    this.judge = new GapJudge(program, products, memory.judge, setting.late);
    const Z0 = new Float64Array(loss.rows * this.C);
    let c0: Float64Array = from === null ? new Float64Array(this.C) : Float64Array.from(from.bias);
    if (from !== null) this.judge.predict(from, Z0);
    else if (outputBias !== null) {
      c0 = minimiseOverBias(loss, Z0, outputBias);
      for (let k = 0; k < Z0.length; k++) Z0[k] = c0[k % this.C];
    }
    this.xi = new Float64Array(Z0.length);
    loss.gradient(Z0, this.xi);
    const begin: SparseBlocks = from ?? { ...zeroBlocks(program), bias: c0 };
    const judged = this.judge.gap(begin, this.xi);
    this.point = this.keep(begin, judged, this.xi);
    const plain = !program.cones && program.penalty.separable && loss.beside === undefined;
    const smooth = plain && Number.isFinite(loss.curvature);
    if (from !== null && smooth && judged.scale >= NEAR) this.nearby = Float64Array.from(this.xi);
    // A dual point that no block prices above beta: from the raw gradient the first round would open every block.
    this.xi = N?.slice() ?? this.xi.map((value) => judged.scale * value);
    this.working = new WorkingSet(program, judged.prices.prices, from);
    this.dual = new ProximalDual(setting, this.working, Z0, c0);
    this.sigmaLimit = MAX_GROWTH * this.dual.sigma;
    this.share = program.cones ? CONES_SHARE : INNER_SHARE;
  }

  async round(): Promise<Point & { readonly resting: boolean; readonly steps: number }> {
    const goal = this.target;
    this.evaluations = 0;
    const evaluation = await this.maximise();
    if (evaluation === null) return { ...this.point, resting: false, steps: this.evaluations };
    const { beta } = this.setting.program;
    const N = this.dual.gradientOfLoss(this.xi, evaluation);
    const blocks = this.blocksOf(evaluation);
    const judged = this.judge.gap(blocks, N);
    this.point = this.keep(blocks, judged, N);
    this.dual.moveCenter(evaluation);
    this.working.grow(judged.prices.prices, beta, 0.1 * this.setting.tolerance);
    this.rescale(this.dual.innerError(this.xi, evaluation) <= this.share * goal);
    return { ...this.point, resting: false, steps: this.evaluations };
  }

  dispose(): void {}

  /** Longer proximal steps while the inner iteration comes to its end, shorter ones when it does not. */
  private rescale(reached: boolean): void {
    const { dual, sigmaLimit } = this;
    if (reached ? dual.sigma >= sigmaLimit : dual.sigma * RANGE <= sigmaLimit) return;
    dual.stretch(reached ? GROWTH : 1 / SHRINKAGE);
  }

  /** Semismooth Newton with line search on theta for the present center; null when it was too late to begin. */
  private async maximise(): Promise<Evaluation | null> {
    const { products } = this.setting;
    const size = this.working.gates.length * blockOutputs(this.setting.program) * this.d;
    let G: Float64Array = new Float64Array(size);
    let trialG: Float64Array = new Float64Array(size);
    const directionG = new Float64Array(size);
    products.adjoint(this.xi, this.C, this.working.gates, G);
    let now = this.dual.evaluate(this.xi, G);
    if (now === null) return null;
    const near = await this.aligned(now);
    if (near !== null) {
      this.xi = near.xi;
      G = near.G;
      now = near.now;
    }
    for (let step = 0; step < NEWTON_STEPS; step++) {
      if (await this.setting.pause()) break;
      if (this.dual.innerError(this.xi, now) <= this.share * this.target) break;
      const direction = Float64Array.from(now.gradient);
      if (!(await this.dual.direct(now, direction))) break;
      const slope = dot(now.gradient, direction);
      if (!(slope > 0)) break;
      await this.setting.pause();
      products.adjoint(direction, this.C, this.working.gates, directionG);
      await this.setting.pause();
      const trial = new Float64Array(this.xi.length);
      let accepted: Evaluation | null = null;
      for (let back = 0, alpha = 1; back < BACKTRACKS; back++, alpha /= 2) {
        for (let k = 0; k < trial.length; k++) trial[k] = this.xi[k] + alpha * direction[k];
        for (let k = 0; k < size; k++) trialG[k] = G[k] + alpha * directionG[k];
        const next = this.dual.evaluate(trial, trialG);
        this.evaluations += 1;
        if (next === null) break;
        const rounding = 1e-14 * (Math.abs(now.theta) + Math.abs(next.theta));
        if (next.theta >= now.theta + ARMIJO * alpha * slope - rounding) {
          accepted = next;
          break;
        }
        if (await this.setting.pause()) break;
      }
      if (accepted === null) break;
      this.xi = trial;
      [G, trialG] = [trialG, G];
      await this.setting.pause();
      const stuck = norm(accepted.gradient) >= norm(now.gradient) && accepted.theta <= now.theta;
      now = accepted;
      if (stuck) break;
    }
    return now;
  }

  /** One step from a start near the optimum, where it leads to more than `now` has. */
  private async aligned(now: Evaluation): Promise<{ xi: Float64Array; G: Float64Array; now: Evaluation } | null> {
    const { nearby, setting, working, C } = this;
    if (nearby === null) return null;
    this.nearby = null;
    const { products } = setting;
    const G = new Float64Array(working.slots * this.d);
    products.adjoint(nearby, C, working.gates, G);
    const at = this.dual.evaluate(nearby, G);
    const blocks = at === null ? null : alignBlocks(this.dual.blockStep(), G, at.active);
    if (at === null || blocks === null) return null;
    const direction = new Float64Array(nearby.length);
    this.dual.predict({ ...blocks.active, vectors: blocks.moved }, direction);
    for (let k = 0; k < direction.length; k++) direction[k] += at.bias[k % C] - at.Z[k];
    if (!(await this.dual.direct({ ...at, active: blocks.active }, direction))) return null;
    const directionG = new Float64Array(G.length);
    products.adjoint(direction, C, working.gates, directionG);
    for (let back = 0, alpha = 1; back < NEAR_BACKTRACKS; back++, alpha /= 2) {
      const xi = nearby.map((value, k) => value + alpha * direction[k]);
      const moved = G.map((value, k) => value + alpha * directionG[k]);
      const then = this.dual.evaluate(xi, moved);
      if (then !== null && then.theta > now.theta) return { xi, G: moved, now: then };
    }
    return null;
  }

  private blocksOf(at: Evaluation): SparseBlocks {
    return this.working.point(at.active.slots, at.active.vectors, at.bias);
  }

  /** Takes in a judged point; sets what the next round's inner iteration may leave. */
  private keep(blocks: SparseBlocks, judged: Gap & { readonly scale: number }, N: Float64Array): Point {
    const point = this.best.consider(blocks, judged, N);
    const { primal, dual } = point.gap;
    this.target = Math.max(this.setting.tolerance * Math.abs(primal), 0.1 * (primal - dual));
    return point;
  }
}
