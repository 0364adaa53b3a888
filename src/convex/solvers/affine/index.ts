/**
 * One affine layer, min over W, c of L(X W + 1 c') + beta / 2 |W|^2 + ridge |c|^2, for any loss, with or without kinks.
 *
 * The augmented Lagrangian method on Z = X W + 1 c' (Rockafellar 1976): with N the multiplier and Q = X W + 1 c' + tau N the loss
 * is replaced by its envelope, whose gradient (Q - prox(Q)) / tau is the next N, always in the domain of L*. Each envelope is
 * minimised by Newton's method with conjugate gradients (Li, Sun and Toh 2018 do so for the lasso). Columns are scaled to length
 * one, and centred where a free bias takes up the mean: the answer is that of the data as they are.
 */

import { GapJudge } from "../../certificate/index.js";
import { dotAt, norm } from "../../linear/vectors.js";
import type { SparseBlocks } from "../../types.js";
import type { Point, Run, Setting, Solver } from "../solver.js";
import { Envelope, type State } from "./envelope.js";
import { ScaledLayer } from "./scaledLayer.js";

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
const IDLE_ROUNDS = 10;

export const affineNewton: Solver = {
  name: "affine-newton",
  firstOrder: false,
  joint: true,
  refuses: ({ penalty }) =>
    penalty.name === "ridge" ? null : `needs one layer alone, got the penalty "${penalty.name}".`,
  start: (setting, from) => new AffineRun(setting, from),
};

class AffineRun implements Run {
  private readonly judge: GapJudge;
  private readonly layer: ScaledLayer;
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
    const size = program.loss.rows * program.loss.outputs;
    this.judge = new GapJudge(program, products);
    this.layer = new ScaledLayer(program, products);
    this.N = new Float64Array(size);
    this.point = this.layer.pointOf(from);
    this.tau = Number.isFinite(program.loss.curvature) ? 1 / program.loss.curvature : size;
  }

  async round(): Promise<Point & { readonly resting: boolean }> {
    const { tau, N, point } = this;
    const envelope = new Envelope(this.setting.program, this.layer, N, tau, point.slice());
    let state = envelope.at(point);
    if (this.firstGradient === 0) this.firstGradient = norm(state.gradient);
    for (let step = 0; step < NEWTON_STEPS; step++) {
      const size = norm(state.gradient);
      if (!(size > this.share * this.firstGradient)) break;
      const direction = this.newtonDirection(envelope, state, size);
      const slope = dotAt(direction, 0, state.gradient, 0, direction.length);
      const next = lineSearch(envelope, state, direction, slope);
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
    const blocks = this.layer.blocksOf(this.point);
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

  /** Conjugate gradients on the Hessian, preconditioned by its diagonal. */
  private newtonDirection(envelope: Envelope, state: State, size: number): Float64Array {
    const inverse = envelope.inverseDiagonal(state);
    const x = new Float64Array(state.gradient.length);
    const r = state.gradient.map((value) => -value);
    const z = r.map((value, p) => value * inverse[p]);
    const direction = z.slice();
    let along = dotAt(r, 0, z, 0, r.length);
    const wanted = Math.min(CG_SHARE, Math.sqrt(size / this.firstGradient)) * size * CG_SHARE;
    for (let step = 0; step < CG_STEPS && along > 0; step++) {
      const H = envelope.hessian(state, direction);
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
}

/** The next point along a direction, or null where none is lower. */
function lineSearch(envelope: Envelope, state: State, direction: Float64Array, slope: number): State | null {
  if (!(slope < 0)) return null;
  let length = 1;
  for (let halving = 0; halving < HALVINGS; halving++) {
    const point = state.point.map((value, p) => value + length * direction[p]);
    const next = envelope.at(point);
    if (next.value <= state.value + SUFFICIENT * length * slope) return next;
    // Near the optimum values no longer tell: a smaller gradient does.
    if (halving === 0 && norm(next.gradient) < 0.5 * norm(state.gradient)) return next;
    length /= 2;
  }
  return null;
}
