/**
 * The dual function of one proximal step, in the space of the samples.
 *
 * For a center (v0, Z0, c0), over xi in R^{n x C}
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

import { columnSums, dot, LEAST, norm } from "../../linear/vectors.js";
import { meanSquaredNorm } from "../../operators/blocks.js";
import type { Loss } from "../../types.js";
import { type ActiveBlocks, type BlockStep, curvatureOf, shrinkSpectra, shrinkVectors } from "../activeBlocks.js";
import type { Setting } from "../solver.js";
import {
  type CoupledSystem,
  type OutputCurvature,
  prefersProducts,
  SketchMemory,
  solveCoupled,
  solveNewton,
} from "../systems/index.js";
import type { WorkingSet } from "../workingSet.js";
import { spectralCurvature, vectorCurvature } from "./blockCurvature.js";
import { type LinearMove, LinearStep } from "./linearStep.js";

/** Where the prox of the loss has a kink its Jacobian is zero; this share of tau keeps the system definite. */
const KINK = 1e-9;
/** First sigma and tau, in units of the curvature of the loss (and of the operator's squared norm for sigma). */
const FIRST_SIGMA = 1e4;
const FIRST_TAU = 100;
/** With one output and no cones or kinks: longer steps cost nothing, and the curvature is mostly far below its bound. */
const LONG_TAU = 1000;

/** One evaluation of theta and what the next Newton step needs of it. */
export interface Evaluation {
  readonly theta: number;
  readonly gradient: Float64Array; // [n x C]
  readonly Z: Float64Array; // [n x C]
  readonly slope: Float64Array; // [n x C]
  readonly spread: Float64Array | null;
  readonly bias: Float64Array; // [C]
  readonly linear: LinearMove | null; // of a linear part beside the network
  readonly active: ActiveBlocks;
}

/** Theta for a center that moves and lengths that change; the blocks' center is kept by the working set. */
export class ProximalDual {
  sigma: number;
  private Z0: Float64Array;
  private c0: Float64Array;
  private tau: number;
  private rho: number;
  private readonly n: number;
  private readonly C: number;
  private readonly d: number;
  private readonly slopes: number; // of a loss with kinks: the length of its gradients; 0 for smooth losses
  private readonly sketch = new SketchMemory();
  private readonly loss: Loss; // of the outputs with those of a linear part beside the network
  private readonly linear: LinearStep | null;
  private readonly plain: boolean; // one output, no cones, kinks or patches: large Newton systems are solved by products

  constructor(
    private readonly setting: Setting,
    private readonly working: WorkingSet,
    Z0: Float64Array, // [n x C]
    c0: Float64Array, // [C]
  ) {
    const { program } = setting;
    const { beside } = program.loss;
    const loss = beside?.loss ?? program.loss;
    this.loss = loss;
    this.Z0 = Z0;
    this.c0 = c0;
    this.linear = null;
    if (beside !== undefined) {
      const c = beside.best(Z0);
      this.Z0 = Z0.slice();
      beside.add(c, this.Z0);
      this.linear = new LinearStep(beside, c);
    }
    this.n = loss.rows;
    this.C = loss.outputs;
    this.d = program.X.cols;
    this.slopes = Number.isFinite(loss.curvature) ? 0 : slopesAtZero(loss);
    this.plain = this.C === 1 && !program.cones && program.pooling == null && this.slopes === 0;
    const curvature = this.slopes > 0 ? this.slopes / Math.sqrt(this.n * this.C) : loss.curvature;
    this.sigma = FIRST_SIGMA / (curvature * meanSquaredNorm(program) * this.n);
    this.tau = (this.plain ? LONG_TAU : FIRST_TAU) / curvature;
    this.rho = 1 / curvature;
  }

  /** Changes the lengths of all steps by one factor. */
  stretch(factor: number): void {
    this.sketch.worn = true;
    this.sigma *= factor;
    this.tau *= factor;
    this.rho *= factor;
  }

  /** N [n x C]: the gradient of the loss at the outputs Z of an evaluation at xi. */
  gradientOfLoss(xi: Float64Array, { Z, linear }: Evaluation): Float64Array {
    const { loss } = this.setting.program;
    if (loss.beside !== undefined && linear !== null) {
      // As the linear part wants it, near which the rounds come: at the outputs less that part.
      const own = linear.c.map((value) => -value);
      const N = Z.slice();
      loss.beside.add(own, N);
      loss.gradient(N, N);
      return N;
    }
    return xi.map((value, k) => value - (Z[k] - this.Z0[k]) / this.tau);
  }

  /** A bound of how much the objective may still change by mending A v + 1 c' = Z. */
  innerError(xi: Float64Array, at: Evaluation): number {
    const { curvature } = this.setting.program.loss;
    const residual = norm(at.gradient);
    const bend = this.slopes > 0 ? this.slopes * residual : 0.5 * curvature * residual ** 2;
    return Math.abs(dot(xi, at.gradient)) + bend;
  }

  /** The blocks, outputs and bias of an evaluation become the center. */
  moveCenter(at: Evaluation): void {
    this.working.centers.fill(0);
    at.active.slots.forEach((slot, k) => {
      this.working.centers.set(at.active.vectors.subarray(k * this.d, (k + 1) * this.d), slot * this.d);
    });
    this.Z0 = Float64Array.from(at.Z);
    this.c0 = Float64Array.from(at.bias);
    if (at.linear !== null) this.linear?.moveCenter(at.linear);
  }

  /** Null when it is too late to project all blocks. */
  evaluate(xi: Float64Array, G: Float64Array): Evaluation | null {
    const { program } = this.setting;
    const { n, C, tau, rho } = this;
    const { loss } = this;
    const { outputBias } = program;
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
      columnSums(xi, C).forEach((sum, c) => {
        bias[c] = (this.c0[c] - rho * sum) / (1 + 2 * outputBias.ridge * rho);
        theta += outputBias.ridge * bias[c] ** 2 + (bias[c] - this.c0[c]) ** 2 / (2 * rho) + sum * bias[c];
      });
    }
    const linear = this.linear?.at(xi, rho) ?? null;
    if (linear !== null) {
      program.loss.beside?.add(linear.c, gradient);
      theta += linear.theta;
    }
    for (let k = 0; k < gradient.length; k++) gradient[k] += bias[k % C] - Z[k];
    return { theta, gradient, Z, slope, spread, bias, linear, active };
  }

  /** out [n x C] = what these blocks add to the outputs. */
  predict({ slots, vectors }: Pick<ActiveBlocks, "slots" | "vectors">, out: Float64Array): void {
    const { gate, output, sign } = this.working.columns(slots);
    this.setting.products.forward(gate, output, sign, vectors, this.C, out);
  }

  blockStep(): BlockStep {
    const { working, sigma, setting } = this;
    const { run: projector, spans } = setting.memory;
    const { centers } = working;
    return { program: setting.program, working, centers, projector, sigma, spans, late: setting.late };
  }

  /** The Newton direction in place of the gradient; false when the system could not be solved. */
  async direct(at: Evaluation, direction: Float64Array): Promise<boolean> {
    const { products, program } = this.setting;
    const { outputBias, penalty } = program;
    const bias = outputBias === null ? 0 : this.rho / (1 + 2 * outputBias.ridge * this.rho);
    const step = this.blockStep();
    const common = { n: this.n, outputs: this.C, ...this.lossCurvature(at) };
    const { linear, rho } = this;
    const coupled = (system: CoupledSystem) =>
      solveCoupled(linear?.joinedTo(system, rho) ?? system, this.setting, this.sketch, direction);
    if (!penalty.separable) return coupled({ ...common, bias, ...spectralCurvature(step, products, at.active) });
    if (this.plain) {
      const blocks = vectorCurvature(step, products, at.active);
      if (prefersProducts({ n: this.n, ...blocks }, this.d)) return coupled({ ...common, bias, ...blocks });
    }
    const curvature: OutputCurvature[] = [];
    for (let c = 0; c < this.C; c++) {
      const own = curvatureOf(step, products, at.active, c, bias);
      curvature.push(linear?.joined(own, rho) ?? own);
      await this.setting.pause();
    }
    return solveNewton({ ...common, curvature }, this.setting, direction);
  }

  /** tau times the Jacobian of the loss's prox: a diagonal, and for softmax a rank-one term a sample. */
  private lossCurvature(at: Evaluation): { diagonal: Float64Array; spread: Float64Array | null } {
    const { tau } = this;
    const diagonal = at.slope.map((slope) => tau * Math.max(slope, KINK));
    return { diagonal, spread: at.spread?.map((value) => Math.sqrt(tau) * value) ?? null };
  }
}

/**
 * Where the loss has no curvature the length of its gradients stands in for it: at the zero network, where no sample rests on a
 * kink unless its target is zero.
 */
function slopesAtZero(loss: Loss): number {
  const N = new Float64Array(loss.rows * loss.outputs);
  loss.gradient(new Float64Array(N.length), N);
  return Math.max(norm(N), LEAST);
}
