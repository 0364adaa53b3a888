/**
 * One affine layer, min over W, c of L(X W + 1 c') + beta / 2 |W|^2 + ridge |c|^2, for any loss, with or without kinks.
 *
 * The augmented Lagrangian method on Z = X W + 1 c' (Rockafellar 1976): with N the multiplier and Q = X W + 1 c' + tau N the loss
 * is replaced by its envelope, whose gradient (Q - prox(Q)) / tau is the next N, always in the domain of L*. Each envelope is
 * minimised by Newton's method with conjugate gradients (Li, Sun and Toh 2018 do so for the lasso). Columns are scaled to length
 * one, and centred where a free bias takes up the mean: the answer is that of the data as they are.
 */

import { GapJudge } from "../certificate/index.js";
import { dotAt, norm } from "../linear/vectors.js";
import type { SparseBlocks } from "../types.js";
import type { Point, Run, Setting, Solver } from "./solver.js";

const NEWTON_STEPS = 30;
/** Newton stops at this share of the first gradient, a tenth of it in each round, down to the least. */
const FIRST_SHARE = 1e-4;
const LEAST_SHARE = 1e-13;
const CG_SHARE = 0.1;
const CG_STEPS = 400;
const SUFFICIENT = 1e-4; // Armijo
const HALVINGS = 40;
const SHRINK = 8; // of tau, each round
const MOST_SHRUNK = 2 ** 18;
/** Of the curvature 1 / tau: what keeps Newton's systems regular where few rows have any. */
const PROXIMAL = 1e-5;
const IDLE_ROUNDS = 10;

export const affineNewton: Solver = {
  name: "affine-newton",
  firstOrder: false,
  joint: true,
  refuses: ({ penalty }) =>
    penalty.name === "ridge" ? null : `needs one layer alone, got the penalty "${penalty.name}".`,
  start: (setting, from) => new AffineRun(setting, from),
};

/** Weights [C x d] and biases [C] in one vector, over scaled and centred columns. */
class AffineRun implements Run {
  private readonly judge: GapJudge;
  private readonly n: number;
  private readonly C: number;
  private readonly d: number;
  private readonly scale: Float64Array; // [d]
  private readonly mean: Float64Array; // [d]
  private readonly gate: Int32Array;
  private readonly output: Int32Array;
  private readonly sign: Float64Array;
  private readonly one = Int32Array.of(0);
  private readonly N: Float64Array; // [n x C]
  private point: Float64Array; // [C d + C]
  private tau: number;
  private shrunk = 1;
  private share = FIRST_SHARE;
  private firstGradient = 0;
  private best: Point | null = null;
  private idle = 0;

  constructor(
    private readonly setting: Setting,
    from: SparseBlocks | null,
  ) {
    const { program, products } = setting;
    const { X, loss, outputBias } = program;
    [this.n, this.C, this.d] = [loss.rows, loss.outputs, X.cols];
    this.judge = new GapJudge(program, products);
    const { scale, mean } = columnsOf(X.data, this.n, this.d, outputBias?.ridge === 0);
    this.scale = scale;
    this.mean = mean;
    this.gate = new Int32Array(this.C);
    this.output = Int32Array.from({ length: this.C }, (_, c) => c);
    this.sign = new Float64Array(this.C).fill(1);
    this.N = new Float64Array(this.n * this.C);
    this.point = new Float64Array(this.C * (this.d + 1));
    if (from !== null) this.startAt(from);
    this.tau = Number.isFinite(loss.curvature) ? 1 / loss.curvature : this.n * this.C;
  }

  async round(): Promise<Point & { readonly resting: boolean }> {
    const { tau, N, point } = this;
    const anchor = point.slice();
    let state = this.envelope(point, anchor);
    if (this.firstGradient === 0) this.firstGradient = norm(state.gradient);
    for (let step = 0; step < NEWTON_STEPS; step++) {
      const size = norm(state.gradient);
      if (!(size > this.share * this.firstGradient)) break;
      const direction = this.newtonDirection(state, size);
      const slope = dotAt(direction, 0, state.gradient, 0, direction.length);
      const next = this.lineSearch(state, direction, slope, anchor);
      if (next === null) break;
      state = next;
      if (await this.setting.pause()) break;
    }
    this.point = state.point;
    for (let k = 0; k < N.length; k++) N[k] = state.next[k];
    this.share = Math.max(LEAST_SHARE, this.share / 10);
    if (this.shrunk < MOST_SHRUNK) {
      this.shrunk *= SHRINK;
      this.tau = tau / SHRINK;
    }
    return this.judged();
  }

  dispose(): void {}

  /** The best point and the best bound so far, whether or not of one round. */
  private judged(): Point & { readonly resting: boolean } {
    const blocks = this.blocksOf(this.point);
    const dualPoint = this.N.slice();
    const { primal, dual, scale } = this.judge.gap(blocks, dualPoint);
    const scaled = dualPoint.map((value) => scale * value);
    const { best } = this;
    const before = best?.gap.relative ?? Number.POSITIVE_INFINITY;
    const first =
      best === null || primal < best.gap.primal ? { blocks, primal } : { blocks: best.blocks, primal: best.gap.primal };
    const second =
      best === null || dual > best.gap.dual
        ? { dual, dualPoint: scaled }
        : { dual: best.gap.dual, dualPoint: best.dualPoint };
    const relative = (first.primal - second.dual) / Math.max(Math.abs(first.primal), Number.MIN_VALUE);
    this.best = {
      blocks: first.blocks,
      gap: { primal: first.primal, dual: second.dual, relative },
      dualPoint: second.dualPoint,
    };
    this.idle = relative < before ? 0 : this.idle + 1;
    return { ...this.best, resting: this.idle >= IDLE_ROUNDS };
  }

  /** The objective with the loss's envelope at a point, its gradient, and what its Hessian needs. */
  private envelope(point: Float64Array, anchor: Float64Array): State {
    const { tau, N, n, C, setting } = this;
    const { loss } = setting.program;
    const A = this.predict(point);
    const Q = new Float64Array(n * C);
    for (let k = 0; k < Q.length; k++) Q[k] = A[k] + tau * N[k];
    const Z = new Float64Array(n * C);
    const slope = new Float64Array(n * C);
    const spread = loss.separable ? null : new Float64Array(n * C);
    loss.prox(Q, tau, Z, slope, spread);
    const next = new Float64Array(n * C);
    let value = loss.value(Z);
    for (let k = 0; k < Q.length; k++) {
      const gap = Z[k] - A[k];
      next[k] = (Q[k] - Z[k]) / tau;
      value += (gap * gap) / (2 * tau) - N[k] * gap;
    }
    const gradient = this.back(next);
    value += this.charge(point, gradient);
    const near = PROXIMAL / tau;
    for (let p = 0; p < point.length; p++) {
      const moved = point[p] - anchor[p];
      value += 0.5 * near * moved * moved;
      gradient[p] += near * moved;
    }
    return { point, value, gradient, next, slope, spread };
  }

  /** Adds the gradient of the charges, and answers their value. */
  private charge(point: Float64Array, gradient: Float64Array): number {
    const { C, d, setting } = this;
    const { beta, outputBias } = setting.program;
    let value = 0;
    for (let p = 0; p < C * d; p++) {
      const weight = beta / this.scale[p % d] ** 2;
      value += 0.5 * weight * point[p] * point[p];
      gradient[p] += weight * point[p];
    }
    for (let c = C * d; c < point.length; c++) {
      const weight = outputBias?.ridge ?? 0;
      value += weight * point[c] * point[c];
      gradient[c] += 2 * weight * point[c];
    }
    return value;
  }

  /** Conjugate gradients on the Hessian, preconditioned by its diagonal. */
  private newtonDirection(state: State, size: number): Float64Array {
    const inverse = this.inverseDiagonal(state);
    const x = new Float64Array(state.gradient.length);
    const r = state.gradient.map((value) => -value);
    const z = r.map((value, p) => value * inverse[p]);
    const direction = z.slice();
    let along = dotAt(r, 0, z, 0, r.length);
    const wanted = Math.min(CG_SHARE, Math.sqrt(size / this.firstGradient)) * size * CG_SHARE;
    for (let step = 0; step < CG_STEPS && along > 0; step++) {
      const H = this.hessian(state, direction);
      const curve = dotAt(direction, 0, H, 0, H.length);
      if (!(curve > 0)) break;
      const length = along / curve;
      for (let p = 0; p < x.length; p++) {
        x[p] += length * direction[p];
        r[p] -= length * H[p];
      }
      if (norm(r) <= wanted) break;
      for (let p = 0; p < x.length; p++) z[p] = r[p] * inverse[p];
      const next = dotAt(r, 0, z, 0, r.length);
      for (let p = 0; p < x.length; p++) direction[p] = z[p] + (next / along) * direction[p];
      along = next;
    }
    return x;
  }

  /** The Hessian times a direction: the loss's part (I - J) / tau, the charges, and the proximal term. */
  private hessian({ slope, spread }: State, direction: Float64Array): Float64Array {
    const { n, C, tau } = this;
    const R = this.predict(direction);
    for (let k = 0; k < n; k++) {
      let along = 0;
      if (spread !== null) for (let c = k * C; c < (k + 1) * C; c++) along += spread[c] * R[c];
      for (let c = k * C; c < (k + 1) * C; c++) {
        R[c] = ((1 - slope[c]) * R[c] - (spread === null ? 0 : spread[c] * along)) / tau;
      }
    }
    const out = this.back(R);
    this.charge(direction, out);
    for (let p = 0; p < out.length; p++) out[p] += (PROXIMAL / tau) * direction[p];
    return out;
  }

  private inverseDiagonal({ slope, spread }: State): Float64Array {
    const { n, C, d, tau, setting } = this;
    const { X, beta, outputBias } = setting.program;
    const diagonal = new Float64Array(C * (d + 1));
    for (let k = 0; k < n; k++) {
      for (let c = 0; c < C; c++) {
        const at = k * C + c;
        const h = Math.max(0, 1 - slope[at] - (spread === null ? 0 : spread[at] ** 2)) / tau;
        if (h === 0) continue;
        for (let p = 0; p < d; p++)
          diagonal[c * d + p] += h * ((X.data[k * d + p] - this.mean[p]) / this.scale[p]) ** 2;
        diagonal[C * d + c] += h;
      }
    }
    return diagonal.map((value, p) => {
      if (p < C * d) return 1 / (value + beta / this.scale[p % d] ** 2 + PROXIMAL / tau);
      return outputBias === null ? 0 : 1 / (value + 2 * outputBias.ridge + PROXIMAL / tau);
    });
  }

  private lineSearch(state: State, direction: Float64Array, slope: number, anchor: Float64Array): State | null {
    if (!(slope < 0)) return null;
    let length = 1;
    for (let halving = 0; halving < HALVINGS; halving++) {
      const point = state.point.map((value, p) => value + length * direction[p]);
      const next = this.envelope(point, anchor);
      if (next.value <= state.value + SUFFICIENT * length * slope) return next;
      // Near the optimum values no longer tell: a smaller gradient does.
      if (halving === 0 && norm(next.gradient) < 0.5 * norm(state.gradient)) return next;
      length /= 2;
    }
    return null;
  }

  /** X W + 1 c' [n x C] of a point. */
  private predict(point: Float64Array): Float64Array {
    const { n, C, setting } = this;
    const { weights, bias } = this.plain(point);
    const A = new Float64Array(n * C);
    setting.products.forward(this.gate, this.output, this.sign, weights, C, A);
    for (let k = 0; k < A.length; k++) A[k] += bias[k % C];
    return A;
  }

  /** The adjoint of `predict` at R [n x C]. */
  private back(R: Float64Array): Float64Array {
    const { n, C, d, setting } = this;
    const out = new Float64Array(C * (d + 1));
    const weights = new Float64Array(C * d);
    setting.products.adjoint(R, C, this.one, weights);
    const sums = new Float64Array(C);
    for (let k = 0; k < n * C; k++) sums[k % C] += R[k];
    for (let p = 0; p < C * d; p++)
      out[p] = (weights[p] - this.mean[p % d] * sums[Math.floor(p / d)]) / this.scale[p % d];
    if (setting.program.outputBias !== null) out.set(sums, C * d);
    return out;
  }

  /** Weights [C x d] and biases [C] for the data as they are. */
  private plain(point: Float64Array): { weights: Float64Array; bias: Float64Array } {
    const { C, d } = this;
    const weights = new Float64Array(C * d);
    const bias = point.slice(C * d);
    for (let p = 0; p < C * d; p++) {
      weights[p] = point[p] / this.scale[p % d];
      bias[Math.floor(p / d)] -= this.mean[p % d] * weights[p];
    }
    return { weights, bias };
  }

  private blocksOf(point: Float64Array): SparseBlocks {
    const { weights, bias } = this.plain(point);
    return { index: this.output.slice(), vectors: weights, bias };
  }

  private startAt({ index, vectors, bias }: SparseBlocks): void {
    const { C, d, point } = this;
    point.set(bias, C * d);
    index.forEach((c, k) => {
      for (let p = 0; p < d; p++) {
        const value = vectors[k * d + p];
        point[c * d + p] = value * this.scale[p];
        point[C * d + c] += this.mean[p] * value;
      }
    });
  }
}

interface State {
  readonly point: Float64Array;
  readonly value: number;
  readonly gradient: Float64Array;
  readonly next: Float64Array; // N [n x C]
  readonly slope: Float64Array;
  readonly spread: Float64Array | null;
}

/** The lengths of the columns less their mean (0 unless `centred`); 1 for one that is zero. */
function columnsOf(
  data: Float64Array,
  n: number,
  d: number,
  centred: boolean,
): { scale: Float64Array; mean: Float64Array } {
  const mean = new Float64Array(d);
  if (centred) for (let k = 0; k < n * d; k++) mean[k % d] += data[k] / n;
  const square = new Float64Array(d);
  const size = new Float64Array(d);
  for (let k = 0; k < n * d; k++) {
    square[k % d] += (data[k] - mean[k % d]) ** 2;
    size[k % d] = Math.max(size[k % d], Math.abs(data[k]));
  }
  // What is left of a constant column is rounding.
  const scale = square.map((value, p) => (Math.sqrt(value / n) > 1e-12 * size[p] ? Math.sqrt(value) : 1));
  return { scale, mean };
}
