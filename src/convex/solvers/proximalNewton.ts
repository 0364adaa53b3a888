/**
 * Proximal point with semismooth Newton steps on the dual, in the space of the samples.
 *
 * The augmented Lagrangian idea of Li, Sun and Toh (2018) for lasso problems, here with any convex loss and with cones. One
 * round holds a center (v0, Z0, c0) and maximises over xi in R^{n x C}
 *
 *   theta(xi) = min_{v, Z, c} L(Z) + h(v) + r(c) + <xi, A v + 1 c' - Z>
 *               + |v - v0|^2 / (2 sigma) + |Z - Z0|^2 / (2 tau) + |c - c0|^2 / (2 rho),
 *
 * h the penalty plus the cones, r(c) = ridge |c|^2. With z = v0 - sigma A' xi and q the projection of z onto its cone, the
 * block is v = (1 - sigma beta / |q|)_+ q; Z is the prox of tau L at Z0 + tau xi; and with t = (|q| - sigma beta)_+
 *
 *   theta = L(Z) + |Z - Z0|^2 / (2 tau) - <xi, Z> + sum_i (|v0_i|^2 - t_i^2) / (2 sigma) + (bias terms)
 *   gradient = A v + 1 c' - Z
 *   -Hessian = tau J + sigma sum_i D_i X (s_i P_i + (1 - s_i) q_i q_i' / |q_i|^2) X' D_i + bias,   s_i = t_i / |q_i|,
 *
 * J the Jacobian of the prox of the loss and P_i the projector onto the face that carries q_i (the identity when gated). Each
 * Newton system has n unknowns an output: d and the number of gates have dropped out.
 */

import { GapJudge } from "../certificate.js";
import { blockOutputs, meanSquaredNorm, zeroBlocks } from "../operators/blocks.js";
import type { ConeProjector } from "../operators/coneProjection.js";
import { minimiseOverBias } from "../operators/outputBias.js";
import type { Gap, Loss, SparseBlocks } from "../types.js";
import { dot, norm } from "../vectors.js";
import {
  type ActiveBlocks,
  type BlockStep,
  curvatureOf,
  type FaceSpans,
  shrinkSpectra,
  shrinkVectors,
} from "./activeBlocks.js";
import { alignBlocks } from "./alignment.js";
import { BestPoint } from "./bestPoint.js";
import { spectralCurvature, vectorCurvature } from "./blockCurvature.js";
import { type CoupledSystem, prefersProducts, SketchMemory, solveCoupled } from "./coupledSystem.js";
import { DENSE_ROWS, solveNewton } from "./newtonSystem.js";
import type { Point, Run, Setting, Solver } from "./solver.js";
import { WorkingSet } from "./workingSet.js";

const NEWTON_STEPS = 40; // a round; the line search makes each one ascend
const ARMIJO = 1e-4;
const BACKTRACKS = 40;
const GROWTH = 5; // of sigma and tau from round to round (Li, Sun, Toh 2018 use 3 to 10)
const SHRINKAGE = 4; // where the blocks are degenerate, long steps lose the Newton system to rounding
/** First sigma and tau, in units of the curvature of the loss (and of the operator's squared norm for sigma). */
const FIRST_SIGMA = 1e4;
const FIRST_TAU = 100;
/** With one output and no cones or kinks: longer steps cost nothing, and the curvature is mostly far below its bound. */
const LONG_TAU = 1000;
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
/** Where the prox of the loss has a kink its Jacobian is zero; this share of tau keeps the system definite. */
const KINK = 1e-9;

export const proximalNewton: Solver = {
  name: "proximal-newton",
  firstOrder: false,
  refuses(program) {
    const { X, loss, penalty, cones, pooling } = program;
    const separable = penalty.separable;
    if (pooling != null && cones && 8 * X.rows * X.cols > MAX_PATCH_BYTES) {
      return (
        `proximal-newton: holds all ${X.rows} patches for the cones, more than ${MAX_PATCH_BYTES} bytes; use fewer images, ` +
        "larger strides or a gated model."
      );
    }
    if (!separable && cones) {
      return `proximal-newton: needs the penalty "perOutput" with cones, got "${penalty.name}"; drop the cones or change it.`;
    }
    // Pooled blocks have few dimensions too: only the nuclear norm asks for the matrix.
    if (loss.rows > DENSE_ROWS && !cones && (pooling == null || !separable)) {
      return `proximal-newton: holds a ${loss.rows} x ${loss.rows} matrix, more than ${DENSE_ROWS} rows; use "fista" or fewer rows.`;
    }
    // With cones the blocks rest on faces of few dimensions, so that no n x n matrix is needed, unless the loss has kinks.
    if (loss.rows > DENSE_ROWS && !Number.isFinite(loss.curvature)) {
      return `proximal-newton: needs a smooth loss beyond ${DENSE_ROWS} rows, got "${loss.name}" on ${loss.rows}; use "squaredHinge".`;
    }
    return null;
  },
  start: (setting, from) => new NewtonRun(setting, from),
};

/** One evaluation of theta and what the next Newton step needs of it. */
interface Evaluation {
  readonly theta: number;
  readonly gradient: Float64Array; // [n x C]
  readonly Z: Float64Array; // [n x C]
  readonly slope: Float64Array; // [n x C]
  readonly spread: Float64Array | null;
  readonly bias: Float64Array; // [C]
  readonly active: ActiveBlocks;
}

class NewtonRun implements Run {
  private readonly judge: GapJudge;
  private readonly projector: ConeProjector | null;
  private readonly working: WorkingSet;
  private readonly spans: FaceSpans;
  private readonly n: number;
  private readonly C: number;
  private readonly d: number;
  private xi: Float64Array;
  private Z0: Float64Array;
  private c0: Float64Array;
  private sigma: number;
  private tau: number;
  private rho: number;
  private readonly slopes: number; // of a loss with kinks: the length of its gradients; 0 for smooth losses
  private readonly sigmaLimit: number;
  private readonly share: number; // of the gap asked for that the inner error may keep
  private readonly sketch = new SketchMemory();
  private readonly plain: boolean; // one output, no cones, kinks or patches: large Newton systems are solved by products
  private readonly best: BestPoint;
  private point: Point; // the best after the last round
  private target = Number.POSITIVE_INFINITY; // absolute error that the inner iteration may keep
  private nearby: Float64Array | null = null; // [n x C]: the gradient at a start near the optimum

  constructor(
    private readonly setting: Setting,
    from: SparseBlocks | null,
  ) {
    const { program, products, memory } = setting;
    const { loss, outputBias } = program;
    this.best = new BestPoint();
    this.n = loss.rows;
    this.C = loss.outputs;
    this.d = program.X.cols;
    this.judge = new GapJudge(program, products, memory.judge, setting.late);
    this.projector = memory.run;
    this.spans = memory.spans;
    this.Z0 = new Float64Array(this.n * this.C);
    this.c0 = from === null ? new Float64Array(this.C) : Float64Array.from(from.bias);
    if (from !== null) this.judge.predict(from, this.Z0);
    else if (outputBias !== null) {
      this.c0 = minimiseOverBias(loss, this.Z0, outputBias);
      for (let k = 0; k < this.Z0.length; k++) this.Z0[k] = this.c0[k % this.C];
    }
    this.xi = new Float64Array(this.n * this.C);
    loss.gradient(this.Z0, this.xi);
    const begin: SparseBlocks = from ?? { ...zeroBlocks(program), bias: this.c0 };
    const judged = this.judge.gap(begin, this.xi);
    this.point = this.keep(begin, judged, this.xi);
    const smooth = this.projector === null && program.penalty.separable && Number.isFinite(loss.curvature);
    if (from !== null && smooth && judged.scale >= NEAR) this.nearby = Float64Array.from(this.xi);
    // A dual point that no block prices above beta: from the raw gradient the first round would open every block.
    for (let k = 0; k < this.xi.length; k++) this.xi[k] *= judged.scale;
    this.working = new WorkingSet(program, judged.prices.prices, from);
    this.slopes = Number.isFinite(loss.curvature) ? 0 : slopesAtZero(loss);
    this.plain = this.C === 1 && !program.cones && program.pooling == null && this.slopes === 0;
    const curvature = this.slopes > 0 ? this.slopes / Math.sqrt(this.n * this.C) : loss.curvature;
    this.sigma = FIRST_SIGMA / (curvature * meanSquaredNorm(program) * this.n);
    this.tau = (this.plain ? LONG_TAU : FIRST_TAU) / curvature;
    this.rho = 1 / curvature;
    this.sigmaLimit = MAX_GROWTH * this.sigma;
    this.share = program.cones ? CONES_SHARE : INNER_SHARE;
  }

  async round(): Promise<Point & { readonly resting: boolean }> {
    const goal = this.target;
    const evaluation = await this.maximise();
    if (evaluation === null) return { ...this.point, resting: false };
    const { beta } = this.setting.program;
    const N = new Float64Array(this.xi.length);
    for (let k = 0; k < N.length; k++) N[k] = this.xi[k] - (evaluation.Z[k] - this.Z0[k]) / this.tau;
    const blocks = this.blocksOf(evaluation);
    const judged = this.judge.gap(blocks, N);
    this.point = this.keep(blocks, judged, N);
    this.moveCenter(evaluation);
    this.working.grow(judged.prices.prices, beta, 0.1 * this.setting.tolerance);
    this.rescale(this.innerError(evaluation) <= this.share * goal);
    return { ...this.point, resting: false };
  }

  dispose(): void {}

  /** Longer proximal steps while the inner iteration comes to its end, shorter ones when it does not. */
  private rescale(reached: boolean): void {
    const { sigma, sigmaLimit } = this;
    if (reached ? sigma >= sigmaLimit : sigma * RANGE <= sigmaLimit) return;
    const factor = reached ? GROWTH : 1 / SHRINKAGE;
    this.sketch.worn = true;
    this.sigma *= factor;
    this.tau *= factor;
    this.rho *= factor;
  }

  /** Semismooth Newton with line search on theta for the present center; null when it was too late to begin. */
  private async maximise(): Promise<Evaluation | null> {
    const { products } = this.setting;
    const size = this.working.gates.length * blockOutputs(this.setting.program) * this.d;
    let G: Float64Array = new Float64Array(size);
    let trialG: Float64Array = new Float64Array(size);
    const directionG = new Float64Array(size);
    products.adjoint(this.xi, this.C, this.working.gates, G);
    let now = this.evaluate(this.xi, G);
    if (now === null) return null;
    const near = await this.aligned(now);
    if (near !== null) {
      this.xi = near.xi;
      G = near.G;
      now = near.now;
    }
    for (let step = 0; step < NEWTON_STEPS; step++) {
      if (await this.setting.pause()) break;
      if (this.innerError(now) <= this.share * this.target) break;
      const direction = Float64Array.from(now.gradient);
      if (!(await this.direct(now, direction))) break;
      const slope = dot(now.gradient, direction);
      if (!(slope > 0)) break;
      products.adjoint(direction, this.C, this.working.gates, directionG);
      const trial = new Float64Array(this.xi.length);
      let accepted: Evaluation | null = null;
      for (let back = 0, alpha = 1; back < BACKTRACKS; back++, alpha /= 2) {
        for (let k = 0; k < trial.length; k++) trial[k] = this.xi[k] + alpha * direction[k];
        for (let k = 0; k < size; k++) trialG[k] = G[k] + alpha * directionG[k];
        const next = this.evaluate(trial, trialG);
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
    const at = this.evaluate(nearby, G);
    const blocks = at === null ? null : alignBlocks(this.blockStep(), G, at.active);
    if (at === null || blocks === null) return null;
    const direction = new Float64Array(nearby.length);
    this.predict({ ...blocks.active, vectors: blocks.moved }, direction);
    for (let k = 0; k < direction.length; k++) direction[k] += at.bias[k % C] - at.Z[k];
    if (!(await this.direct({ ...at, active: blocks.active }, direction))) return null;
    const directionG = new Float64Array(G.length);
    products.adjoint(direction, C, working.gates, directionG);
    for (let back = 0, alpha = 1; back < NEAR_BACKTRACKS; back++, alpha /= 2) {
      const xi = nearby.map((value, k) => value + alpha * direction[k]);
      const moved = G.map((value, k) => value + alpha * directionG[k]);
      const then = this.evaluate(xi, moved);
      if (then !== null && then.theta > now.theta) return { xi, G: moved, now: then };
    }
    return null;
  }

  /** A bound of how much the objective may still change by mending A v + 1 c' = Z. */
  private innerError(at: Evaluation): number {
    const { curvature } = this.setting.program.loss;
    const residual = norm(at.gradient);
    const bend = this.slopes > 0 ? this.slopes * residual : 0.5 * curvature * residual ** 2;
    return Math.abs(dot(this.xi, at.gradient)) + bend;
  }

  /** Null when it is too late to project all blocks. */
  private evaluate(xi: Float64Array, G: Float64Array): Evaluation | null {
    const { program } = this.setting;
    const { n, C, tau, rho } = this;
    const { loss, outputBias } = program;
    const Z = new Float64Array(n * C);
    const slope = new Float64Array(n * C);
    const spread = loss.separable ? null : new Float64Array(n * C);
    const Q = new Float64Array(n * C);
    for (let k = 0; k < Q.length; k++) Q[k] = this.Z0[k] + tau * xi[k];
    loss.prox(Q, tau, Z, slope, spread);
    let theta = loss.value(Z);
    for (let k = 0; k < Z.length; k++) theta += (Z[k] - this.Z0[k]) ** 2 / (2 * tau) - xi[k] * Z[k];
    const active = program.penalty.separable ? shrinkVectors(this.blockStep(), G) : shrinkSpectra(this.blockStep(), G);
    if (active === null) return null;
    theta += active.theta;
    const gradient = new Float64Array(n * C);
    this.predict(active, gradient);
    const bias = new Float64Array(C);
    if (outputBias !== null) {
      for (let c = 0; c < C; c++) {
        let sum = 0;
        for (let k = c; k < xi.length; k += C) sum += xi[k];
        bias[c] = (this.c0[c] - rho * sum) / (1 + 2 * outputBias.ridge * rho);
        theta += outputBias.ridge * bias[c] ** 2 + (bias[c] - this.c0[c]) ** 2 / (2 * rho) + sum * bias[c];
      }
    }
    for (let k = 0; k < gradient.length; k++) gradient[k] += bias[k % C] - Z[k];
    return { theta, gradient, Z, slope, spread, bias, active };
  }

  /** out [n x C] = what these blocks add to the outputs. */
  private predict({ slots, vectors }: Pick<ActiveBlocks, "slots" | "vectors">, out: Float64Array): void {
    const { working } = this;
    const gate = Int32Array.from(slots, (slot) => working.gateOf(slot));
    const output = Int32Array.from(slots, (slot) => working.outputOf(slot));
    const sign = Float64Array.from(slots, (slot) => working.signOf(slot));
    this.setting.products.forward(gate, output, sign, vectors, this.C, out);
  }

  private blockStep(): BlockStep {
    const { working, projector, sigma } = this;
    return { program: this.setting.program, working, projector, sigma, spans: this.spans, late: this.setting.late };
  }

  /** The Newton direction in place of the gradient; false when the system could not be solved. */
  private direct(at: Evaluation, direction: Float64Array): Promise<boolean> {
    const { products, program } = this.setting;
    const { outputBias, penalty } = program;
    const bias = outputBias === null ? 0 : this.rho / (1 + 2 * outputBias.ridge * this.rho);
    const step = this.blockStep();
    const common = { n: this.n, outputs: this.C, ...this.lossCurvature(at) };
    const coupled = (system: CoupledSystem) => solveCoupled(system, this.setting, this.sketch, direction);
    if (!penalty.separable) return coupled({ ...common, bias, ...spectralCurvature(step, products, at.active) });
    if (this.plain) {
      const blocks = vectorCurvature(step, this.setting, at.active);
      if (prefersProducts({ n: this.n, ...blocks }, this.d)) return coupled({ ...common, bias, ...blocks });
    }
    const curvature = Array.from({ length: this.C }, (_, c) => curvatureOf(step, products, at.active, c, bias));
    return solveNewton({ ...common, curvature }, this.setting, direction);
  }

  /** tau times the Jacobian of the loss's prox: a diagonal, and for softmax a rank-one term a sample. */
  private lossCurvature(at: Evaluation): { diagonal: Float64Array; spread: Float64Array | null } {
    const { tau } = this;
    const diagonal = at.slope.map((slope) => tau * Math.max(slope, KINK));
    return { diagonal, spread: at.spread?.map((value) => Math.sqrt(tau) * value) ?? null };
  }

  private moveCenter(at: Evaluation): void {
    this.working.centers.fill(0);
    at.active.slots.forEach((slot, k) => {
      this.working.centers.set(at.active.vectors.subarray(k * this.d, (k + 1) * this.d), slot * this.d);
    });
    this.Z0 = Float64Array.from(at.Z);
    this.c0 = Float64Array.from(at.bias);
  }

  private blocksOf(at: Evaluation): SparseBlocks {
    const { working, d } = this;
    const order = at.active.slots
      .map((slot, k) => ({ index: working.indexOf(slot), k }))
      .sort((a, b) => a.index - b.index);
    const vectors = new Float64Array(order.length * d);
    order.forEach(({ k }, to) => {
      vectors.set(at.active.vectors.subarray(k * d, (k + 1) * d), to * d);
    });
    return { index: Int32Array.from(order, (entry) => entry.index), vectors, bias: Float64Array.from(at.bias) };
  }

  /** Takes in a judged point; sets what the next round's inner iteration may leave. */
  private keep(blocks: SparseBlocks, judged: Gap & { readonly scale: number }, N: Float64Array): Point {
    const point = this.best.consider(blocks, judged, N);
    const { primal, dual } = point.gap;
    this.target = Math.max(this.setting.tolerance * Math.abs(primal), 0.1 * (primal - dual));
    return point;
  }
}

/**
 * Where the loss has no curvature the length of its gradients stands in for it: at the zero network, where no sample rests on a
 * kink unless its target is zero.
 */
function slopesAtZero(loss: Loss): number {
  const N = new Float64Array(loss.rows * loss.outputs);
  loss.gradient(new Float64Array(N.length), N);
  return Math.max(norm(N), Number.MIN_VALUE * 2 ** 60);
}
