/**
 * Katyusha (Allen-Zhu 2017): accelerated proximal steps whose gradients are those of one batch, corrected by a snapshot.
 *
 * With w the snapshot, whose gradient over all rows is known, a step over one of m batches b goes from
 *
 *   v = tau z + w / 2 + (1/2 - tau) x,   g = L'(w) + m (L_b'(v) - L_b'(w)),   z := prox(z - eta g),   x := prox(v - s g),
 *
 * s = 1 / (3 L), eta = s / tau, where L is of the roughest batch. Here the points, and what a judgement makes of them; rows are elsewhere.
 */

import { nonzeroVectors } from "../../kernels/nonzero.js";
import type { ConvexProgram } from "../../types.js";
import type { Turn } from "./batches.js";

/** Passes over the batches in a round: as much work as its judgement. */
export const PASSES = 3;
/** tau of round s since the last restart is 2 / (s + 4) (Allen-Zhu 2017, section 4), and at least this. */
const LEAST_PULL = 0.02;
/** Of 1 / (3 L): the bound on L is for the worst of directions and rows. Grows while the objective falls, shrinks when it rises twice. */
const FIRST_SCALE = 2;
const GROW = 1.1;
const MOST_SCALE = 4;
const SHRINK = 0.5;
/** Blocks that are zero and priced below this share of beta are left out; so many at least may come in in a round. */
const PRICED = 0.9;
const NEW_GATES = 64;
/** The squared norm of the column of ones, as a share of that of all blocks. */
const BIAS_SHARE = 0.25;

/** What steps go by, beside the points. */
export interface Pace {
  readonly scale: number;
  readonly since: number; // rounds, since the last restart
  readonly rises: number; // of the objective, in a row
}

export const FIRST_PACE: Pace = { scale: FIRST_SCALE, since: 0, rises: 0 };

/** The best point so far, [P x C x d] and [C], and what its judgement said. */
interface Snapshot {
  readonly w: Float64Array;
  readonly bias: Float64Array;
  readonly prices: Float64Array; // [P]: of each gate the dearest
  readonly primal: number;
}

/** The gates that are not left out of a round, and the gradient at the snapshot. */
interface Epoch {
  readonly gates: Int32Array;
  readonly G: Float64Array; // [gates x C x d]
  readonly slopes: Float64Array; // [C]: of the bias
  readonly tau: number;
}

export class Katyusha {
  readonly x: Float64Array; // [P x C x d]
  readonly z: Float64Array;
  readonly cx: Float64Array; // [C]
  readonly cz: Float64Array;
  private pace: Pace;
  private snapshot: Snapshot | null = null;
  private epoch: Epoch | null = null;
  private v = new Float64Array(0); // [gates x C x d], of the step that comes

  constructor(
    private readonly program: Pick<ConvexProgram, "X" | "loss" | "gates" | "penalty" | "beta" | "outputBias">,
    { x, z, cx, cz }: Pick<Katyusha, "x" | "z" | "cx" | "cz">,
    pace: Pace = FIRST_PACE,
  ) {
    [this.x, this.z, this.cx, this.cz] = [x.slice(), z.slice(), cx.slice(), cz.slice()];
    this.pace = pace;
  }

  get at(): Pace {
    return this.pace;
  }

  /** Goes on from a snapshot that was taken before, at x. */
  resume(snapshot: Omit<Snapshot, "w">): void {
    this.snapshot = { ...snapshot, w: this.x.slice() };
    this.cx.set(snapshot.bias);
  }

  /** What x, with its best bias, turned out to be: the next snapshot (true), or, where the objective rose, nothing to go on from. */
  judged({ bias, prices, primal }: Omit<Snapshot, "w">): boolean {
    const { snapshot: before, pace } = this;
    if (before !== null && !(primal <= before.primal)) {
      this.back(before);
      return false;
    }
    this.snapshot = { w: this.x.slice(), bias: bias.slice(), prices, primal };
    this.cx.set(bias);
    const scale = before === null ? pace.scale : Math.min(MOST_SCALE, GROW * pace.scale);
    this.pace = { scale, since: pace.since + 1, rises: 0 };
    return true;
  }

  /** Begins a round: gates with a block that is not zero, and of the others the dearest. */
  begin(): Int32Array {
    const { gates, beta } = this.program;
    const { x, z, size } = this;
    const { w, prices } = this.here;
    const chosen = new Uint8Array(gates.count);
    for (const point of [w, x, z]) for (const k of nonzeroVectors(point, gates.count, size).index) chosen[k] = 1;
    const open = chosen.reduce((sum, one) => sum + one, 0);
    const dear = Array.from(prices, (price, gate) => ({ gate, price }))
      .filter(({ gate, price }) => chosen[gate] === 0 && price >= PRICED * beta)
      .sort((a, b) => b.price - a.price);
    for (const { gate } of dear.slice(0, Math.max(NEW_GATES, open))) chosen[gate] = 1;
    return Int32Array.from(chosen.keys()).filter((gate) => chosen[gate] === 1);
  }

  /** With the gradient at the snapshot, over the blocks of these gates and over the bias. */
  with(gates: Int32Array, G: Float64Array, slopes: Float64Array): void {
    this.epoch = { gates, G, slopes, tau: Math.max(LEAST_PULL, 2 / (this.pace.since + 4)) };
  }

  /** v - w, of the blocks of the round's gates [gates x C x d] and of the bias [C]: where the next step looks. */
  towards(): { readonly away: Float64Array; readonly shift: Float64Array } {
    const { x, z, cx, cz, size } = this;
    const { gates, tau } = this.round;
    const { w, bias } = this.here;
    this.v = new Float64Array(gates.length * size);
    const away = new Float64Array(gates.length * size);
    for (let k = 0, q = 0; k < gates.length; k++) {
      for (let p = gates[k] * size, end = p + size; p < end; p++, q++) {
        this.v[q] = tau * z[p] + w[p] / 2 + (0.5 - tau) * x[p];
        away[q] = this.v[q] - w[p];
      }
    }
    return { away, shift: cx.map((value, c) => tau * (cz[c] - bias[c]) + (0.5 - tau) * (value - bias[c])) };
  }

  /** The step, by what a batch made of that; `squaredNorm` as `Batches` has it. */
  step({ pull, sums }: Turn, squaredNorm: number): void {
    const { x, z, cx, cz, v, size } = this;
    const { gates, G, slopes, tau } = this.round;
    const { loss, penalty, beta, outputBias, X } = this.program;
    const [C, d] = [loss.outputs, X.cols];
    const short = this.pace.scale / (3 * loss.curvature * squaredNorm);
    for (let k = 0; k < gates.length; k++) {
      const at = gates[k] * size;
      const [zk, xk] = [z.subarray(at, at + size), x.subarray(at, at + size)];
      for (let p = 0, q = k * size; p < size; p++, q++) {
        const slope = pull[q] + G[q];
        zk[p] -= (short / tau) * slope;
        xk[p] = v[q] - short * slope;
      }
      penalty.prox(zk, C, d, (short / tau) * beta);
      penalty.prox(xk, C, d, short * beta);
    }
    if (outputBias === null) return;
    const { bias } = this.here;
    const stride = (short * BIAS_SHARE * squaredNorm) / loss.rows;
    for (let c = 0; c < C; c++) {
      const middle = tau * cz[c] + bias[c] / 2 + (0.5 - tau) * cx[c];
      const slope = slopes[c] + sums[c];
      cz[c] = (cz[c] - (stride / tau) * slope) / (1 + (2 * outputBias.ridge * stride) / tau);
      cx[c] = (middle - stride * slope) / (1 + 2 * outputBias.ridge * stride);
    }
  }

  /** Restarts at the snapshot; with shorter steps where that was the case the last time, too. */
  private back({ w, bias }: Snapshot): void {
    const { x, z, cx, cz } = this;
    for (const point of [x, z]) point.set(w);
    for (const point of [cx, cz]) point.set(bias);
    const { scale, since, rises } = this.pace;
    this.pace = { scale: rises > 0 || since === 0 ? SHRINK * scale : scale, since: 0, rises: rises + 1 };
  }

  private get size(): number {
    return this.program.loss.outputs * this.program.X.cols;
  }

  private get here(): Snapshot {
    if (this.snapshot === null) throw new Error("stochastic: steps before a judgement.");
    return this.snapshot;
  }

  private get round(): Epoch {
    if (this.epoch === null) throw new Error("stochastic: a step before its round.");
    return this.epoch;
  }
}
