/**
 * Katyusha (Allen-Zhu 2017): accelerated proximal steps whose gradients are those of one batch, corrected by a snapshot.
 *
 * With w the snapshot, whose gradient over all rows is known, a step over one of m batches b goes from
 *
 *   v = tau z + w / 2 + (1/2 - tau) x,   g = L'(w) + m (L_b'(v) - L_b'(w)),   z := prox(z - eta g),   x := prox(v - s g),
 *
 * s = 1 / (3 L), eta = s / tau, where L is of the roughest batch. Some passes over the batches make a round; its end is judged in float64
 * over all rows and gates and becomes the next snapshot, so that the judgement is part of the method and not a cost beside it. Only
 * differences from the snapshot are multiplied by batches: in float32 their rounding shrinks with them. Gates that the last judgement
 * priced well below beta are left out of a round.
 */

import { GapJudge, type Prices } from "../../certificate/index.js";
import { nonzeroVectors } from "../../kernels/nonzero.js";
import { columnSums } from "../../linear/vectors.js";
import { everyVector, zeroBlocks } from "../../operators/blocks.js";
import { minimiseOverBias } from "../../operators/outputBias.js";
import type { SparseBlocks } from "../../types.js";
import { BestPoint } from "../bestPoint.js";
import type { Point, Run, Setting } from "../solver.js";
import { type Batch, Batches } from "./batches.js";

const SEED = 1;
const PASSES = 3; // over the batches, in a round: as much work as its judgement
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

/** The point at which a round begins, and all that is known of it. */
interface Snapshot {
  readonly w: Float64Array; // [P x C x d]
  readonly bias: Float64Array; // [C]
  readonly Z: Float64Array; // [n x C]
  readonly R: Float64Array; // [n x C]: the gradient of the loss
  readonly prices: Prices;
  readonly primal: number;
}

/** What a step needs to know of its round. */
interface Epoch {
  readonly from: Snapshot;
  readonly gates: Int32Array; // those that are not left out
  readonly columns: ReturnType<typeof everyVector>;
  readonly G: Float64Array; // [gates x C x d]: A'R
  readonly slopes: Float64Array; // [C]: of the bias
  readonly tau: number;
}

export class StochasticRun implements Run {
  private readonly judge: GapJudge;
  private readonly best: BestPoint;
  private readonly C: number;
  private readonly d: number;
  private batches: Batches | null = null;
  private x: Float64Array; // [P x C x d]
  private z: Float64Array;
  private cx: Float64Array; // [C]
  private cz: Float64Array;
  private snapshot: Snapshot | null = null; // the best so far
  private point: Point | null = null;
  private scale = FIRST_SCALE;
  private since = 0; // rounds, since the last restart
  private rises = 0; // in a row

  constructor(
    private readonly setting: Setting,
    from: SparseBlocks | null,
  ) {
    const { program, products } = setting;
    this.judge = new GapJudge(program, products, null, setting.late);
    this.best = new BestPoint(program);
    this.C = program.loss.outputs;
    this.d = program.X.cols;
    const start = from ?? zeroBlocks(program);
    this.x = new Float64Array(program.gates.count * this.C * this.d);
    start.index.forEach((index, k) => {
      this.x.set(start.vectors.subarray(k * this.d, (k + 1) * this.d), index * this.d);
    });
    this.z = this.x.slice();
    this.cx = Float64Array.from(start.bias);
    this.cz = this.cx.slice();
  }

  async round(): Promise<Point & { readonly resting: boolean }> {
    const from = this.snapshot ?? this.look();
    if (!(await this.setting.pause())) {
      await this.epoch(from);
      this.look();
    }
    if (this.point === null) throw new Error("stochastic: a round without a judgement.");
    return { ...this.point, resting: false };
  }

  dispose(): void {
    this.batches?.dispose();
  }

  /** Judges x. Where the objective rises, goes back to the last snapshot; else x is the next one. */
  private look(): Snapshot {
    const { loss, outputBias, gates } = this.setting.program;
    const { index, vectors } = nonzeroVectors(this.x, gates.count * this.C, this.d);
    const Z = new Float64Array(loss.rows * this.C);
    this.judge.predict({ index, vectors, bias: new Float64Array(this.C) }, Z);
    const bias = outputBias === null ? this.cx : minimiseOverBias(loss, Z, outputBias);
    for (let k = 0; k < Z.length; k++) Z[k] += bias[k % this.C];
    const R = new Float64Array(Z.length);
    loss.gradient(Z, R);
    const blocks = { index, vectors, bias: bias.slice() };
    const N = R.slice();
    const gap = this.judge.gap(blocks, N);
    const before = this.snapshot;
    const lost = before !== null && !(gap.primal <= before.primal);
    // Its bound may be the best there is all the same.
    if (!lost || Number.isFinite(gap.primal + gap.dual)) this.point = this.best.consider(blocks, gap, N);
    if (lost) return this.back(before);
    this.snapshot = { w: this.x.slice(), bias: blocks.bias, Z, R, prices: gap.prices, primal: gap.primal };
    this.cx = bias.slice();
    this.rises = 0;
    this.since += 1;
    if (before !== null) this.scale = Math.min(MOST_SCALE, GROW * this.scale);
    return this.snapshot;
  }

  /** Restarts at the snapshot; with shorter steps where that was the case the last time, too. */
  private back(snapshot: Snapshot): Snapshot {
    this.x.set(snapshot.w);
    this.z.set(snapshot.w);
    this.cx.set(snapshot.bias);
    this.cz.set(snapshot.bias);
    if (this.rises > 0 || this.since === 0) this.scale *= SHRINK;
    this.rises += 1;
    this.since = 0;
    return snapshot;
  }

  private async epoch(from: Snapshot): Promise<void> {
    const { program, products, kernels } = this.setting;
    this.batches ??= await Batches.of(program, kernels, SEED, this.setting.pause);
    if (this.batches === null) return;
    const gates = this.workingGates(from);
    const G = new Float64Array(gates.length * this.C * this.d);
    products.adjoint(from.R, this.C, gates, G);
    const slopes = columnSums(from.R, this.C);
    const tau = Math.max(LEAST_PULL, 2 / (this.since + 4));
    const epoch: Epoch = { from, gates, columns: everyVector(gates, this.C), G, slopes, tau };
    for (let pass = 0; pass < PASSES; pass++) {
      for (const batch of this.batches.pass()) {
        this.step(epoch, batch, this.batches);
        if (await this.setting.pause()) return;
      }
    }
  }

  /** Gates with a block that is not zero, and of the others the dearest. */
  private workingGates({ w, prices: { prices } }: Snapshot): Int32Array {
    const { gates, beta } = this.setting.program;
    const { C, d, x, z } = this;
    const chosen = new Uint8Array(gates.count);
    for (const point of [w, x, z]) for (const k of nonzeroVectors(point, gates.count, C * d).index) chosen[k] = 1;
    const open = chosen.reduce((sum, one) => sum + one, 0);
    const price = (i: number) => prices.subarray(i * C, (i + 1) * C).reduce((most, one) => Math.max(most, one), 0);
    const dear = Array.from({ length: gates.count }, (_, gate) => ({ gate, price: price(gate) }))
      .filter(({ gate, price }) => chosen[gate] === 0 && price >= PRICED * beta)
      .sort((a, b) => b.price - a.price);
    for (const { gate } of dear.slice(0, Math.max(NEW_GATES, open))) chosen[gate] = 1;
    return Int32Array.from(chosen.keys()).filter((gate) => chosen[gate] === 1);
  }

  /** One step, over one of all batches. */
  private step(epoch: Epoch, batch: Batch, { list, squaredNorm }: Batches): void {
    const { from, gates, G, tau } = epoch;
    const { C, d, x, z } = this;
    const { loss, penalty, beta, outputBias } = this.setting.program;
    const size = C * d;
    const short = this.scale / (3 * loss.curvature * squaredNorm);
    const v = this.mixed(epoch);
    const R = this.turn(epoch, batch, v, list.length);
    const g = new Float64Array(v.length);
    batch.products.adjoint(R, C, gates, g);
    for (let k = 0; k < gates.length; k++) {
      const at = gates[k] * size;
      const [zk, xk] = [z.subarray(at, at + size), x.subarray(at, at + size)];
      for (let p = 0, q = k * size; p < size; p++, q++) {
        const slope = g[q] + G[q];
        zk[p] -= (short / tau) * slope;
        xk[p] = v[q] - short * slope;
      }
      penalty.prox(zk, C, d, (short / tau) * beta);
      penalty.prox(xk, C, d, short * beta);
    }
    if (outputBias === null) return;
    const stride = (short * BIAS_SHARE * squaredNorm) / loss.rows;
    const sums = columnSums(R, C);
    for (let c = 0; c < C; c++) {
      const middle = tau * this.cz[c] + from.bias[c] / 2 + (0.5 - tau) * this.cx[c];
      const slope = epoch.slopes[c] + sums[c];
      this.cz[c] = (this.cz[c] - (stride / tau) * slope) / (1 + (2 * outputBias.ridge * stride) / tau);
      this.cx[c] = (middle - stride * slope) / (1 + 2 * outputBias.ridge * stride);
    }
  }

  /** v [gates x C x d]. */
  private mixed({ from, gates, tau }: Epoch): Float64Array {
    const { x, z } = this;
    const size = this.C * this.d;
    const v = new Float64Array(gates.length * size);
    for (let k = 0, q = 0; k < gates.length; k++) {
      for (let p = gates[k] * size, end = p + size; p < end; p++, q++) {
        v[q] = tau * z[p] + from.w[p] / 2 + (0.5 - tau) * x[p];
      }
    }
    return v;
  }

  /** m (L_b'(v) - L_b'(w)) on the rows of a batch. */
  private turn({ from, gates, columns, tau }: Epoch, batch: Batch, v: Float64Array, m: number): Float64Array {
    const { C, d } = this;
    const size = C * d;
    const away = new Float64Array(v.length);
    for (let k = 0, q = 0; k < gates.length; k++) {
      for (let p = gates[k] * size, end = p + size; p < end; p++, q++) away[q] = v[q] - from.w[p];
    }
    const { index, vectors } = nonzeroVectors(away, gates.length * C, d);
    const pick = (list: Int32Array) => Int32Array.from(index, (k) => list[k]);
    const signs = new Float64Array(index.length).fill(1);
    const Z = new Float64Array(batch.rows.length * C);
    batch.products.forward(pick(columns.gate), pick(columns.output), signs, vectors, C, Z);
    const shift = this.cx.map((value, c) => tau * (this.cz[c] - from.bias[c]) + (0.5 - tau) * (value - from.bias[c]));
    const R = new Float64Array(Z.length);
    for (let k = 0; k < Z.length; k++) Z[k] += from.Z[this.entry(batch, k)] + shift[k % C];
    batch.loss.gradient(Z, R);
    for (let k = 0; k < R.length; k++) R[k] = m * (R[k] - from.R[this.entry(batch, k)]);
    return R;
  }

  /** Where entry k of a batch's [rows x C] stands among those of all rows. */
  private entry({ rows }: Batch, k: number): number {
    const c = k % this.C;
    return rows[(k - c) / this.C] * this.C + c;
  }
}
